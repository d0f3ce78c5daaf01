import NetworkTypes

/// What a backend has to know besides the frontends: where it is.
public struct Surroundings: Hashable, Sendable {
    /// Where node ports are served (1.7).
    public var nodePorts: NodePortSelections
    /// Which sources are pods (1.8).
    public var localSources: LocalSources
    /// The ranges that cluster IPs are taken from; what nobody has of them is dropped (3.1, cluster-ips-check).
    public var serviceCIDRs: Set<CIDR>

    public init(
        nodePorts: NodePortSelections = [:],
        localSources: LocalSources = .unknown,
        serviceCIDRs: Set<CIDR> = []
    ) {
        self.nodePorts = nodePorts
        self.localSources = localSources
        self.serviceCIDRs = serviceCIDRs
    }
}
