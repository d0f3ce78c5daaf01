@testable import Netlink
