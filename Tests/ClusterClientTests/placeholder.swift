@testable import ClusterClient
