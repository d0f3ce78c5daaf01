// NFTables: tables, chains, rules, sets and maps as values; a transaction that changes any number of them in one
// atomic netlink batch; reading them back; and word of what others change. Over libnftnl and libmnl: no `nft` process.
// There is a kernel (`NetfilterSocket`) and one in memory with the same rules (`FakeKernel`). Knows no Services.

import NetworkTypes

/// The address family of a table.
public enum Family: UInt8, Hashable, Sendable, CaseIterable {
    /// IPv4 and IPv6 in one table (NFPROTO_INET).
    case inet = 1
    /// NFPROTO_IPV4
    case ip = 2
    /// NFPROTO_IPV6
    case ip6 = 10

    public init(_ family: IPFamily) {
        self = family == .ipv4 ? .ip : .ip6
    }
}

extension Family: CustomStringConvertible {
    /// As `nft` writes it: `inet`, `ip` or `ip6`.
    public var description: String {
        switch self {
        case .inet: "inet"
        case .ip: "ip"
        case .ip6: "ip6"
        }
    }
}
