// Netlink: talking to the Linux kernel about its network. Sockets and messages (one builder, one reader for every
// request), rtnetlink (links, addresses, routes, neighbours, rules), network namespaces and the files under
// /proc/sys/net. Swift only: no C library besides libc, so that the CNI plugin links fully static.
//
// Not here: policy of any kind. Which links, routes or settings a pod gets is PodNetwork's decision.

/// A netlink protocol: which part of the kernel a socket talks to.
public struct NetlinkProtocol: Hashable, Sendable, RawRepresentable {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// Links, addresses, routes, neighbours and rules (NETLINK_ROUTE).
    public static let route = NetlinkProtocol(rawValue: 0)
    /// nftables, conntrack and the other netfilter subsystems (NETLINK_NETFILTER).
    public static let netfilter = NetlinkProtocol(rawValue: 12)
}

/// An attribute number of one kind of message, so that an error can name the attribute that the kernel refused.
public protocol NetlinkAttribute: RawRepresentable<UInt16>, Sendable {}

/// The index by which the kernel knows a network interface inside one namespace; always positive.
public typealias InterfaceIndex = Int32
