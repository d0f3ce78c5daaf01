import KubernetesWire
import Testing
