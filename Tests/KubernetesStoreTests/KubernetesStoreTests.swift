import KubernetesStore
import Testing
