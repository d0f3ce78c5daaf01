@testable import KubernetesAPI
