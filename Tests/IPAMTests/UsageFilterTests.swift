import ClusterClient
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

@Suite struct UsageFilterTests {
    /// Two pools; node-a has a block in each and lends one address to node-b; an orphan.
    private func store() async throws -> (store: any Datastore, block: CIDR) {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/26", name: "one", blockSize: 29))
        try await fixture.put(fixture.pool("10.81.0.0/26", name: "two", blockSize: 29))
        let assigned = try await fixture.allocator().assign(
            request("a") {
                $0.ipv4Pools = ["one"]
                $0.attributes = ["node": "node-a", "namespace": "shop"]
            }
        )
        _ = try await fixture.allocator().assign(
            request("b") {
                $0.ipv4Pools = ["two"]
                $0.attributes = ["node": "node-b", "namespace": "desk"]
            }
        )
        let orphan = Block(cidr: try #require(CIDR("192.0.2.0/29")), affinity: .host("node-c"), now: fixture.clock.now)
        try await fixture.put(.block(orphan.cidr), orphan.json)
        return (fixture.store, assigned[0].block)
    }

    @Test(
        arguments: [
            (UsageFilter(), ["one", "two"], 1), (UsageFilter(pools: ["two"]), ["two"], 0),
            (UsageFilter(pools: ["10.81.0.0/26", "one"]), ["one", "two"], 0),
            (UsageFilter(node: "node-a"), ["one", "two"], 0), (UsageFilter(node: "node-b"), ["two"], 0),
            (UsageFilter(node: "node-c"), [], 1), (UsageFilter(namespace: "shop"), ["one"], 0),
            (UsageFilter(node: "node-a", namespace: "desk"), ["two"], 0),
            (UsageFilter(pools: ["two"], namespace: "shop"), [], 0), (UsageFilter(namespace: "none"), [], 0),
        ] as [(UsageFilter, [String], Int)]
    )
    func rowsAreLeftOut(_ filter: UsageFilter, _ pools: [String], _ orphans: Int) async throws {
        let store = try await store().store
        let usage = try await IPAMUsage.read(from: store, filter)
        #expect(usage.pools.map(\.name) == pools)
        #expect(usage.orphanBlocks.count == orphans)
        // The numbers stay those of the whole pool.
        #expect(usage.pools.allSatisfy { $0.counts.total == 64 && $0.counts.inUse == 1 && $0.blocks.count == 1 })
        #expect(try await filter.blocks(of: store).count == pools.count + orphans)
        let map = try await AddressMap.read(from: store, filter)
        #expect(map.pools.map(\.name) == pools && map.orphanBlocks.count == orphans)
    }

    @Test func aPoolThatIsNotThereIsAMistake() async throws {
        let store = try await store().store
        await #expect(throws: IPAMError.noPool("there is no IP pool three")) {
            try await IPAMUsage.read(from: store, UsageFilter(pools: ["one", "three"]))
        }
    }

    /// 2.4: what the owner's record says; one that is missing is not there.
    @Test func affinitiesOfBlocks() async throws {
        let (store, block) = try await store()
        let pending = RecordKey.blockAffinity(.host("node-a"), block)
        let record = try #require(try await store.get(pending))
        _ = try await store.commit([.update(pending, BlockAffinity(.pending).json, record.revision)])
        let usage = try await IPAMUsage.read(from: store)
        let states = try await usage.affinityStates(from: store)
        #expect(states[block] == .pending)
        #expect(states.count == 2 && states.values.contains(.confirmed))
    }
}
