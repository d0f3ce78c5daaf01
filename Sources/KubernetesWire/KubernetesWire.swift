// KubernetesWire
