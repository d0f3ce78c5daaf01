import Glibc
import Netlink

/// For `.enabled(if:)` of tests that make network namespaces.
public let isRoot = geteuid() == 0

extension NetworkNamespace {
    /// A path to this namespace that is valid as long as this object lives, without a mount anywhere.
    public var descriptorPath: String { "/proc/\(getpid())/fd/\(descriptor)" }

    /// A namespace like that of a node: loopback is up, and packets are forwarded.
    public static func makeHost() throws -> NetworkNamespace {
        let namespace = try makeContainer()
        try namespace.run {
            for family in ["ipv4", "ipv6"] {
                try Sysctl(family, "conf", "all", "forwarding")?.write("1")
            }
        }
        return namespace
    }

    /// A namespace like that of a container's sandbox: nothing but loopback, which is up.
    public static func makeContainer() throws -> NetworkNamespace {
        let namespace = try NetworkNamespace.create()
        try NetlinkSocket(in: namespace).send(.setLink(.name("lo"), up: true))
        return namespace
    }
}
