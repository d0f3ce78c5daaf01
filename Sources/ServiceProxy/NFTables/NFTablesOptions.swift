import NetworkTypes

/// What an operator decides about the nftables backend.
public struct NFTablesOptions: Hashable, Sendable {
    /// The name of the table in both families.
    public var tableName: String
    /// Set on packets that are to be masqueraded; one bit.
    public var masqueradeMark: UInt32
    /// Where pods are, of either family: sources that are not masqueraded (MQ-2, MQ-6). A family without any has no
    /// local detector.
    public var localSources: [CIDR]
    /// Which addresses of the node serve node ports (section 1.7); all local ones in a family that is not here.
    public var nodePortAddresses: NodePortSelections
    /// Whether the new connections to each frontend are counted.
    public var countsConnections: Bool

    /// - Parameter masqueradeBit: 0 to 31 (`nftables.masqueradeBit`).
    public init(
        tableName: String = "swiftlet",
        masqueradeBit: Int = 14,
        localSources: [CIDR] = [],
        nodePortAddresses: NodePortSelections = [:],
        countsConnections: Bool = false
    ) {
        self.tableName = tableName
        masqueradeMark = 1 << UInt32(masqueradeBit & 31)
        self.localSources = localSources
        self.nodePortAddresses = nodePortAddresses
        self.countsConnections = countsConnections
    }
}
