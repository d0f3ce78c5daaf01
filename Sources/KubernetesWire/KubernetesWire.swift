// KubernetesWire: the two encodings of the Kubernetes API, protobuf and JSON, for the kinds of KubernetesAPI: objects,
// lists, watch streams and Status, in both directions. Bytes in, values out; no I/O, no requests, no caches.
//
// Both encodings are read into the same messages (Protos/), which hold what the wire holds, and one conversion makes
// values of them: what is right and what is not is decided once, whatever the encoding.

/// Reads and writes single objects and lists.
public enum Wire {}
