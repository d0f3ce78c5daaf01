import ClusterClient

/// The pools of a store. One that cannot be read takes none of the others out of use.
public struct PoolList: Hashable, Sendable {
    /// In the order of their names, in which allocation tries them.
    public let pools: [IPPool]
    public let unreadable: [UnreadableRecord]

    public init(_ records: [Record]) {
        var unreadable: [UnreadableRecord] = []
        pools = unreadable.readable(records) { (record) throws(IPAMError) in
            let pool = try IPPool(record)
            if let problem = pool.shapeProblem { throw .inconsistent("\(record.key): \(problem)") }
            return pool
        }
        .sorted { $0.name < $1.name }
        self.unreadable = unreadable
    }

    /// Whether there is a pool of this name that cannot be read.
    func hides(_ name: String) -> Bool { unreadable.contains { $0.key == IPPool.recordKey(name) } }

    /// A pool is only made where it overlaps no other, which of what cannot be read nobody can tell.
    func requireReadable(toCreate name: String) throws(IPAMError) {
        guard !unreadable.isEmpty else { return }
        throw .inconsistent(
            "IP pool \(name) cannot be created, as it may overlap a pool that cannot be read: "
                + unreadable.map(\.problem).joined(separator: "; ")
        )
    }
}
