// KubernetesStore: the records of IPAM as Calico's custom resources in the Kubernetes API (`reference/calico.md` 2.10):
// their names and labels, how a record becomes an object and back, compare-and-swap on `resourceVersion`, and soft
// deletion. Attachments are kept at their Pods. How requests reach the server is KubernetesClient's business, what the
// records mean is IPAM's.
