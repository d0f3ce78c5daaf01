@testable import ServiceProxy
