import NetworkTypes

/// What an operator decides about the iptables backend, and where it works.
public struct IPTablesOptions: Hashable, Sendable {
    /// Set on packets that are to be masqueraded; one bit.
    public var masqueradeMark: UInt32
    public var surroundings: Surroundings
    /// Whether node ports are served on 127.0.0.0/8 too (1.7). Needs `route_localnet`; IPv6 has nothing like it.
    public var servesLoopback: Bool
    /// Whether forwarded packets that belong to no connection are dropped; not with `nf_conntrack_tcp_be_liberal`.
    public var dropsInvalid: Bool
    /// Whether chains of kube-proxy, which have the same names, are taken over; else the start fails where there are any.
    public var replacesKubeProxy: Bool

    /// - Parameter masqueradeBit: 0 to 31 (`iptables.masqueradeBit`).
    public init(
        masqueradeBit: Int = 14,
        servesLoopback: Bool = false,
        dropsInvalid: Bool = true,
        replacesKubeProxy: Bool = false,
        _ surroundings: Surroundings = Surroundings()
    ) {
        masqueradeMark = 1 << UInt32(masqueradeBit & 31)
        self.servesLoopback = servesLoopback
        self.dropsInvalid = dropsInvalid
        self.replacesKubeProxy = replacesKubeProxy
        self.surroundings = surroundings
    }
}
