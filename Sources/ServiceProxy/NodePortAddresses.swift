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

    /// - Parameter entries: CIDRs, or nothing but `primary`; each may hold several, separated by commas.
    init(_ entries: [String], _ problems: inout [String]) {
        let words = entries.flatMap { $0.split(separator: ",").map { String($0).trimmed } }
        guard !words.isEmpty, words != ["primary"] else {
            self = .primary
            return
        }
        var prefixes: [CIDR] = []
        for word in words {
            if let prefix = CIDR(word) {
                prefixes.append(prefix.masked)
            } else if word == "primary" {
                problems.append("--nodeport-addresses: \"primary\" cannot be combined with CIDRs")
            } else {
                problems.append("--nodeport-addresses: \"\(word)\" is neither a CIDR nor \"primary\"")
            }
        }
        self = .within(prefixes)
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
