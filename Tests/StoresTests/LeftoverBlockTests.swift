import ClusterClient
import IPAM
import NetworkTypes
import TestAPIServer
import TestSupport
import Testing

/// Blocks that were deleted by half, or claimed by half, in the custom resources.
@Suite struct LeftoverBlockTests {
    /// A pool of 32 blocks, and the block at which node-a ends its walk over them: the names of all blocks are fetched
    /// before it is looked at (P9).
    private func fixture() async throws -> (Fixture, KubernetesUnderTest, last: CIDR) {
        let kubernetes = try await KubernetesUnderTest()
        let fixture = Fixture(try kubernetes.store(), keeping: kubernetes)
        let pool = fixture.pool("10.0.0.0/24", blockSize: 29)
        try await fixture.allocator().ensurePools([pool])
        let empty = Fixture(MemoryDatastore())
        try await empty.allocator().ensurePools([pool])
        let first = try await empty.allocator().assign(request("a"))[0].block
        let place = try #require(Self.blocks.firstIndex(of: first))
        return (fixture, kubernetes, Self.blocks[(place + 31) % 32])
    }

    private static let blocks = (0..<32).map { CIDR("10.0.0.\($0 * 8)/29")! }

    /// Fills all blocks of the pool but one.
    private func fill(_ fixture: Fixture, except left: CIDR) async throws {
        var handle = Handle()
        for cidr in Self.blocks where cidr != left {
            var block = Block(cidr: cidr, affinity: nil, now: fixture.clock.now)
            handle.blocks[cidr] = block.assign(count: 8, to: Block.Attribute(handleID: "full")).count
            try await fixture.put(.block(cidr), block.json)
        }
        try await fixture.put(.handle("full"), handle.json)
    }

    /// K2: whoever marked the block as deleted died before it was. Its name is taken, the block is not.
    @Test func aBlockThatIsBeingDeletedIsClaimed() async throws {
        let (fixture, kubernetes, last) = try await fixture()
        let owner = BlockOwner.host("node-b")
        try await fixture.put(.block(last), Block(cidr: last, affinity: owner, now: fixture.clock.now).json)
        kubernetes.server.addFault(FaultRule(.status(403), method: "DELETE", path: "/apis/", count: nil))
        _ = try await fixture.administration.releaseAffinity(of: last, owner: owner, requireEmpty: true)
        kubernetes.server.removeFaults()
        #expect(try await fixture.store.keys(.blocks(.ipv4)) == [.block(last)])
        #expect(try await fixture.blocks().isEmpty)
        try await fill(fixture, except: last)
        #expect(try await fixture.allocator().assign(request("a"))[0].block == last)
        #expect(try await fixture.blocks().count == 32)
        #expect(try await fixture.problems(exact: false) == [])
    }

    /// A8: the host's own block, whose affinity was never written.
    @Test func aBlockWithoutItsAffinityIsUsed() async throws {
        let (fixture, _, last) = try await fixture()
        var block = Block(cidr: last, affinity: .host("node-a"), now: fixture.clock.now)
        let taken = block.assign(count: 1, to: Block.Attribute(handleID: "old"))
        try await fixture.put(.block(last), block.json)
        try await fixture.put(.handle("old"), Handle(blocks: [last: taken.count]).json)
        try await fill(fixture, except: last)
        #expect(try await fixture.allocator().assign(request("a"))[0].block == last)
        #expect(try await fixture.store.get(.blockAffinity(.host("node-a"), last)) != nil)
        #expect(try await fixture.problems(exact: false) == [])
    }
}
