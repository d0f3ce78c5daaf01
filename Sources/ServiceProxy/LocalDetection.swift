import NetworkTypes

/// How the proxy tells pods from other sources (`detectLocalMode`, 1.8).
public enum LocalDetection: Hashable, Sendable {
    /// By the prefixes that the pods of the whole cluster are in, at most one of each family.
    case clusterCIDR([IPFamily: CIDR])
    /// By the prefixes that the pods of this node are in, as the Node object has them.
    case nodeCIDR
    /// By the bridge that the pods of this node are on.
    case bridgeInterface(String)
    /// By how the names of the interfaces to the pods of this node begin.
    case interfaceNamePrefix(String)

    /// What is known of pods on a node. Of several prefixes of a family the first counts.
    func sources(on node: NodeFacts) -> LocalSources {
        switch self {
        case .clusterCIDR(let prefixes): .within(prefixes.values.sorted())
        case .nodeCIDR:
            .within(
                IPFamily.allCases.compactMap { family in node.podCIDRs.first { $0.family == family } }.sorted()
            )
        case .bridgeInterface(let name): .interface(name)
        case .interfaceNamePrefix(let prefix): .interfaces(prefix: prefix)
        }
    }

    /// The families in which pods can be told. What the Node object will say is not known yet: the backend makes do with
    /// less (``LocalSources/detects(_:)``).
    var families: Set<IPFamily> {
        switch self {
        case .clusterCIDR(let prefixes): Set(prefixes.keys)
        case .nodeCIDR, .bridgeInterface, .interfaceNamePrefix: Set(IPFamily.allCases)
        }
    }
}
