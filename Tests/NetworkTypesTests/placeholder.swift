@testable import NetworkTypes
