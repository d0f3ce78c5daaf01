// KubernetesAPI: the Kubernetes object types that Swiftlet reads and writes, with the fields that it uses. No I/O.
