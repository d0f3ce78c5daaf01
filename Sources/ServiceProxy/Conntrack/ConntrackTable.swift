import Netlink
import NetworkTypes

/// The table of the connections that the kernel tracks.
protocol ConntrackTable: Sendable {
    /// Forgets the UDP flows of a family that are stale. Takes as long as the table is long.
    ///
    /// - Parameter isStale: is asked again before a flow goes.
    /// - Returns: how many went.
    func removeFlows(_ family: IPFamily, where isStale: @escaping @Sendable (ConntrackEntry) -> Bool) throws -> Int
}

/// The table of a network namespace.
struct KernelConntrackTable: ConntrackTable {
    /// `nil` for that of this process.
    var namespace: NetworkNamespace?

    /// How many flows are read before they are deleted, so that memory is bounded.
    private static let batch = 16_384

    func removeFlows(
        _ family: IPFamily,
        where isStale: @escaping @Sendable (ConntrackEntry) -> Bool
    ) throws -> Int {
        let socket = try namespace.map { try NetlinkSocket(.netfilter, in: $0) } ?? NetlinkSocket(.netfilter)
        var total = 0
        while true {
            let found = try socket.conntrackEntries(family, .udp, limit: Self.batch, where: isStale)
            let deleted = try socket.deleteConntrackEntries(found.filter(isStale))
            total += deleted
            // Flows that others removed first are no reason to look again.
            guard found.count == Self.batch, deleted > 0 else { return total }
        }
    }
}
