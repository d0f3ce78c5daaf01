/// What a mode cannot do by its nature. The tests that are the same for all modes expect something else of it where
/// this says so; the raw values are the rows of the table in docs/userspace.md, which gives the reasons.
enum ModeLimit: String, CaseIterable, Sendable {
    /// Refused, with the reason.
    case sctp = "SCTP"
    /// Endpoints see an address of the node instead.
    case clientAddress = "keep the client's address"
    /// Endpoints' packets have none.
    case packetMark = "keep a packet's mark or DSCP"
    /// Clients are reset.
    case connectionsOverRestart = "keep connections when the proxy ends"
    /// With session affinity, a client may go elsewhere once.
    case memoryOverRestart = "remember over a restart which endpoint a client had"
    /// A client is reset.
    case silentSourceRanges = "drop a client outside of `loadBalancerSourceRanges` silently"
    /// A client is reset.
    case silentFarClients = "drop a far client silently when only near ones have endpoints"
    /// The address itself refuses, without a rule.
    case refusalByRule = "an ICMP error for a Service without endpoints"
    /// Pods count as far.
    case interfaceDetection = "tell pods by interface (`BridgeInterface`, `InterfaceNamePrefix`)"
    /// What listens on all addresses answers (FE-4).
    case otherPorts = "refuse other ports of a Service's address"
    /// Node ports are served there.
    case loopbackNodePorts = "keep node ports off loopback"
    /// They go where the node's routes lead.
    case unallocatedAddresses = "drop what no Service has of a service range"
    /// The node answers.
    case echoRequests = "ICMP to a Service's address"
}

extension TestBackend {
    var limits: Set<ModeLimit> {
        switch self {
        case .nftables: []
        // It would need a rule for each address.
        case .iptablesNFT, .iptablesLegacy: [.otherPorts]
        case .userspace: Set(ModeLimit.allCases)
        }
    }

    func cannot(_ limit: ModeLimit) -> Bool { limits.contains(limit) }
}
