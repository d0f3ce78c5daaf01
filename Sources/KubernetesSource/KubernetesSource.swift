// KubernetesSource: the objects that describe Services, from the API server: list and watch with a cache per kind, and
// a snapshot on disk for a start without a server. Nothing here knows what the objects are for, nor how a request is
// sent (KubernetesClient) or bytes are read (KubernetesWire).
//
// What to request, and what an answer changes, are values without I/O (Reflector/, Cache/).
