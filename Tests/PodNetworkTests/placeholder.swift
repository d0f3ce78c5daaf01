@testable import PodNetwork
