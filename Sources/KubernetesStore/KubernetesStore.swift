// KubernetesStore
