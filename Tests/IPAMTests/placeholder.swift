@testable import IPAM
