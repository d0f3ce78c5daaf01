// EtcdStore: the ``Datastore`` over etcd v3, in the key layout of Calico (`reference/calico.md` 2.9), so that Calico's
// tools and ours read and write the same records. It knows etcd's requests, answers and errors; bytes are moved by
// ServerTransport, and what the records mean is for IPAM to know.
//
// It speaks to etcd's JSON gateway (POST /v3/…) and not gRPC. The gateway serves all that is needed here from 3.4 on
// (transactions, ranges, watches, authentication), is on unless someone turned it off (`--enable-grpc-gateway=false`),
// and goes over the same HTTP/1.1 and TLS as the Kubernetes client. gRPC would bring HTTP/2 and generated messages into
// the CNI plugin, which is one static file started for every pod; what JSON costs instead is base64 around each key and
// value. One thing the gateway cannot do: it does not pass on the common name of a client certificate as etcd user.
