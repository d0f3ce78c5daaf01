// KubernetesSource
