import NetworkTypes

/// Where node ports are served, per family.
public typealias NodePortSelections = [IPFamily: NodePortAddresses.Selection]

/// On which addresses of the node the node ports are served (1.7).
public enum NodePortAddresses: Hashable, Sendable {
    /// The node's own address of each family, as its Node object has it.
    case primary
    /// The local addresses inside of these prefixes.
    case within([CIDR])

    /// The local addresses of one family that serve node ports. Loopback addresses never do.
    public enum Selection: Hashable, Sendable {
        case all
        case only(Set<IPAddress>)
    }

    /// - Parameter entries: CIDRs, or nothing but `primary`. What is neither is passed over: see
    ///   ``KubeProxyConfiguration/problems``.
    init(_ entries: [String]) {
        self = entries.isEmpty || entries == ["primary"] ? .primary : .within(entries.compactMap { CIDR($0)?.masked })
    }

    /// - Parameter local: every address that the node's interfaces have.
    public func selection(in family: IPFamily, node: NodeFacts, local: Set<IPAddress>) -> Selection {
        switch self {
        case .primary:
            guard let address = node.addresses[family], !address.isLoopback else { return .all }
            return .only([address])
        case .within(let prefixes):
            let ours = prefixes.filter { $0.family == family }
            guard !ours.isEmpty, !ours.contains(where: { $0.prefixLength == 0 }) else { return .all }
            return .only(local.filter { address in !address.isLoopback && ours.contains { $0.contains(address) } })
        }
    }
}

extension NodePortAddresses.Selection: CustomStringConvertible {
    public var description: String {
        switch self {
        case .all: "on all addresses"
        case .only(let addresses) where addresses.isEmpty: "on no address"
        case .only(let addresses): "on " + addresses.sorted().map(\.description).joined(separator: ", ")
        }
    }
}
