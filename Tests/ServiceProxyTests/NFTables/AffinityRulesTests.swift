import NFTables
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// What affinity costs in nftables mode.
extension AffinityTests {
    /// As many services as one likes: no more chains and rules; and `nft` lists them.
    @Test(arguments: IPFamily.allCases)
    func theNumberOfRulesDoesNotGrow(family: IPFamily) async throws {
        let backend = try makeBackend(.nftables)
        let table = ServiceTable(family: family, options: NFTablesOptions()).table
        let first = [
            frontend(.clusterIP, family, .tcp, [1, 2, 3]), frontend(.nodePort, family, .tcp, [1, 2, 3], near: [1, 2]),
        ]
        _ = try await backend.start(with: first)
        let count = try kernel.rules(of: table).count
        let more = (1...200).map { frontend(.clusterIP, family, .tcp, [1, 2, 3], port: 80 + $0) }
        #expect(try await backend.apply(more.map { .add($0) }).isEmpty)
        #expect(try kernel.rules(of: table).count == count)
        _ = try answers(family, .tcp)
        let listing = try node.node.nft("list", "table", family == .ipv4 ? "ip" : "ip6", "swiftlet")
        #expect(listing.contains("chain masquerade-unless-local-pick-3-for-10800s"), "\(listing)")
        #expect(listing.contains("update @affinity-memory"))
        #expect(try await backend.apply((first + more).map { .remove($0) }).isEmpty)
        for set in ["affinity", "affinity-backends", "nodeport-near-affinity-backends", "affinity-endpoints"] {
            #expect(try kernel.elements(of: set, in: table).isEmpty)
        }
    }
}
