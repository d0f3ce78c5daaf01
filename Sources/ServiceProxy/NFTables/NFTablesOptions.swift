import NetworkTypes

/// What an operator decides about the nftables backend, and where it works.
public struct NFTablesOptions: Hashable, Sendable {
    /// The name of the table in both families.
    public var tableName: String
    /// Set on packets that are to be masqueraded; one bit.
    public var masqueradeMark: UInt32
    /// In a family that its node ports say nothing about, all local addresses serve them.
    public var surroundings: Surroundings
    /// Whether the new connections to each frontend are counted.
    public var countsConnections: Bool

    /// - Parameter masqueradeBit: 0 to 31 (`nftables.masqueradeBit`).
    public init(
        tableName: String = "swiftlet",
        masqueradeBit: Int = 14,
        countsConnections: Bool = false,
        _ surroundings: Surroundings
    ) {
        self.tableName = tableName
        masqueradeMark = 1 << UInt32(masqueradeBit & 31)
        self.countsConnections = countsConnections
        self.surroundings = surroundings
    }

    /// - Parameters:
    ///   - masqueradeBit: 0 to 31 (`nftables.masqueradeBit`).
    ///   - localSources: where pods are, of either family.
    ///   - nodePortAddresses: which addresses of the node serve node ports.
    public init(
        tableName: String = "swiftlet",
        masqueradeBit: Int = 14,
        localSources: [CIDR] = [],
        nodePortAddresses: NodePortSelections = [:],
        countsConnections: Bool = false
    ) {
        self.init(
            tableName: tableName,
            masqueradeBit: masqueradeBit,
            countsConnections: countsConnections,
            Surroundings(nodePorts: nodePortAddresses, localSources: .within(localSources))
        )
    }
}
