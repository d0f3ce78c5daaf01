import ClusterClient
import Foundation
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

/// Leak collection (2.13): what is confirmed when, and what never is.
@Suite struct LeakCollectionTests {
    private let fixture = Fixture(MemoryDatastore())
    private var start: ContinuousClock.Instant { fixture.clock.allocatorClock.uptime() }

    private func observe(_ collection: inout LeakCollection, after duration: Duration) async throws -> CollectionPlan {
        collection.observe(
            try await IPAMRecords.read(from: fixture.store),
            now: fixture.clock.now,
            uptime: start + duration
        )
    }

    private func putEndpoint(_ pod: String, _ addresses: [IPAddress]) async throws {
        let networks = addresses.map { "\"\($0.hostPrefix)\"" }.joined(separator: ",")
        try await fixture.put(
            .resource(.workloadEndpoints, namespace: "default", name: "node--a-k8s-\(pod)-eth0"),
            Data(
                #"{"metadata":{"name":"x"},"spec":{"pod":"\#(pod)","node":"node-a","ipNetworks":[\#(networks)]}}"#.utf8
            )
        )
    }

    /// G4: the first look makes candidates, a later one confirms what has not changed; G5: collecting looks once more.
    @Test func aLeakIsConfirmedAfterTheGracePeriod() async throws {
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 28))
        let used = try await fixture.allocator().assign(request("used"))[0].address
        let leaked = try await fixture.allocator().assign(request("leaked"))[0].address
        let late = try await fixture.allocator().assign(request("late"))[0].address
        try await putEndpoint("used", [used])
        var collection = LeakCollection(grace: .seconds(60), knowsAllNodes: false)

        let first = try await observe(&collection, after: .zero)
        #expect(first.leaks.map(\.allocation.address) == [leaked, late])
        #expect(first.leaks.allSatisfy { $0.standing == .candidate(.zero) } && first.hasCandidates)
        #expect(try await fixture.administration.collect(first) == CollectionOutcome())
        let early = try await observe(&collection, after: .seconds(59))
        #expect(early.leaks.allSatisfy { $0.standing == .candidate(.seconds(59)) })
        // Released and assigned again meanwhile: it is another assignment, whose time begins anew.
        try await fixture.allocator().release(handle: "leaked")
        _ = try await fixture.allocator().assign(
            request("leaked") {
                $0.requested = [leaked]; $0.ipv4 = 0
            }
        )
        let confirmed = try await observe(&collection, after: .seconds(60))
        #expect(confirmed.leaks.map(\.standing) == [.candidate(.zero), .confirmed])
        // Its endpoint is recorded before it is collected.
        try await putEndpoint("late", [late])
        let spared = try await fixture.administration.collect(confirmed)
        #expect(spared.addresses.isEmpty && spared.skipped == 1)

        let last = try await observe(&collection, after: .seconds(120))
        #expect(last.leaks.map(\.allocation.address) == [leaked])
        #expect(try await fixture.administration.collect(last).addresses == [leaked])
        #expect(try await fixture.administration.collect(last).skipped == 1)
        #expect(try await fixture.store.get(.handle("leaked")) == nil)
        #expect(try await !observe(&collection, after: .seconds(180)).hasCandidates)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// G5: a container keeps all its addresses while one of them is in use.
    @Test func theAddressesOfAContainerGoTogether() async throws {
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 28))
        let first = try await fixture.allocator().assign(request("a", "eth0"))[0].address
        _ = try await fixture.allocator().assign(request("a", "net1"))
        try await putEndpoint("a", [first])
        var collection = LeakCollection(grace: .seconds(1), knowsAllNodes: false)
        _ = try await observe(&collection, after: .zero)
        #expect(try await observe(&collection, after: .seconds(9)).leaks.isEmpty)
        let key = RecordKey.resource(.workloadEndpoints, namespace: "default", name: "node--a-k8s-a-eth0")
        let record = try #require(try await fixture.store.get(key))
        _ = try await fixture.store.commit([.delete(key, record.revision)])
        _ = try await observe(&collection, after: .seconds(10))
        #expect(try await observe(&collection, after: .seconds(20)).leaks.map(\.standing) == [.confirmed, .confirmed])
    }

    /// G2, G3: tunnels, Services, what is set aside, and what nobody can judge.
    @Test func whatCannotBeJudgedIsLeftAlone() async throws {
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 28))
        for (handle, attributes) in [
            ("tunnel", ["type": "vxlanTunnelAddress", "node": "node-a"]), ("unknown", ["note": "by hand"]),
            ("none", [:]),
            ("Windows-Reserved-IPAM-Handle", ["note": "windows host rsvd"]),
        ] {
            _ = try await fixture.allocator().assign(request(handle) { $0.attributes = attributes })
        }
        var collection = LeakCollection(grace: .seconds(1), knowsAllNodes: false)
        _ = try await observe(&collection, after: .zero)
        #expect(try await observe(&collection, after: .seconds(9)).leaks.isEmpty)
    }

    /// An endpoint that cannot be read may be the one that has the address.
    @Test func withAnUnreadableEndpointNothingHasLeaked() async throws {
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 28))
        _ = try await fixture.allocator().assign(request("a"))
        var collection = LeakCollection(grace: .seconds(1), knowsAllNodes: false)
        _ = try await observe(&collection, after: .zero)
        let plan = try await observe(&collection, after: .seconds(9))
        #expect(plan.leaks.map(\.standing) == [.confirmed])
        try await fixture.put(.resource(.workloadEndpoints, namespace: "x", name: "y"), Data("{".utf8))
        #expect(try await observe(&collection, after: .seconds(18)).leaks.isEmpty)
        #expect(try await fixture.administration.collect(plan).addresses.isEmpty)
    }

    /// G3: a Pod has it, though no endpoint is recorded; noticed at the last moment too.
    @Test func whatAPodHasByItsStatusStays() async throws {
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 28))
        let address = try await fixture.allocator().assign(request("a"))[0].address
        var administration = fixture.administration
        var collection = LeakCollection(grace: .zero, knowsAllNodes: false)
        _ = try await administration.observe(&collection)
        let plan = try await administration.observe(&collection)
        #expect(plan.leaks.map(\.standing) == [.confirmed])
        administration.addressesInUseElsewhere = { () async throws(DatastoreError) in [address] }
        #expect(try await administration.collect(plan).skipped == 1)
        #expect(try await administration.observe(&collection).leaks.isEmpty)
        #expect(try await fixture.allocator().addresses(ofHandle: "a").count == 1)
    }

    /// G5: of a container whose Pod has one address by its status the other stays too, at the last moment as well.
    @Test func theOtherAddressesOfAPodStay() async throws {
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 28))
        let first = try await fixture.allocator().assign(request("a", "eth0"))[0].address
        _ = try await fixture.allocator().assign(request("a", "net1"))
        var administration = fixture.administration
        var collection = LeakCollection(grace: .zero, knowsAllNodes: false)
        _ = try await administration.observe(&collection)
        let plan = try await administration.observe(&collection)
        #expect(plan.leaks.map(\.standing) == [.confirmed, .confirmed])
        administration.addressesInUseElsewhere = { () async throws(DatastoreError) in [first] }
        #expect(try await administration.collect(plan).skipped == 2)
        #expect(try await fixture.allocator().addresses(ofHandle: "a").count == 2)
    }

    /// While a store is locked for a migration, nothing in it changes.
    @Test func aLockedStoreIsLeftAlone() async throws {
        let pool = fixture.pool("10.80.0.0/24", blockSize: 28)
        try await fixture.administration.put(.pool(pool), existing: .refuse)
        _ = try await fixture.allocator().assign(request("a"))
        var collection = LeakCollection(grace: .seconds(1), knowsAllNodes: false)
        _ = try await observe(&collection, after: .zero)
        let plan = try await observe(&collection, after: .seconds(9))
        #expect(plan.hasWork)
        let key = ClusterInformation.recordKey("default")
        var information = try ClusterInformation(try #require(try await fixture.store.get(key)))
        information.spec.datastoreReady = false
        try await fixture.put(key, information.json())
        await #expect(throws: IPAMError.self) { try await fixture.administration.collect(plan) }
        #expect(try await fixture.allocator().addresses(ofHandle: "a").count == 1)
    }

    /// G6: what belongs to a node that does not exist goes at once, where all nodes are known.
    @Test(arguments: [true, false]) func aNodeThatIsGoneKeepsNothing(_ knowsAllNodes: Bool) async throws {
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 28))
        try await fixture.put(NodeResource(name: "node-a", labels: [:]))
        _ = try await fixture.allocator("node-b").assign(request("b") { $0.attributes["node"] = "node-b" })
        let tunnel = ["type": "ipipTunnelAddress", "node": "node-b"]
        _ = try await fixture.allocator("node-b").assign(request("tunnel-b") { $0.attributes = tunnel })
        var collection = LeakCollection(grace: .seconds(60), knowsAllNodes: knowsAllNodes)
        let plan = try await observe(&collection, after: .zero)
        guard knowsAllNodes else {
            #expect(plan.leaks.map(\.standing) == [.candidate(.zero)])
            return
        }
        #expect(plan.leaks.map(\.standing) == [.confirmed, .confirmed])
        #expect(try await fixture.administration.collect(plan).addresses.count == 2)
        let next = try await observe(&collection, after: .seconds(30))
        #expect(next.blocks.map(\.standing) == [.confirmed])
        #expect(try await fixture.administration.collect(next).blocks.count == 1)
        #expect(try await fixture.blocks().isEmpty)
        #expect(try await fixture.store.list(.blockAffinities(.host("node-b"), .ipv4)).isEmpty)
    }

    /// G7: of the blocks of a node the last one stays, and those that are in use.
    @Test func emptyBlocksGoButTheLast() async throws {
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 30))
        for number in 0..<12 { _ = try await fixture.allocator().assign(request("h\(number)")) }
        let blocks = try await fixture.blocks()
        #expect(blocks.count == 3)
        for number in 0..<12 { try await fixture.allocator().release(handle: "h\(number)") }
        var collection = LeakCollection(grace: .seconds(60), knowsAllNodes: false)
        _ = try await observe(&collection, after: .zero)
        let plan = try await observe(&collection, after: .seconds(60))
        #expect(plan.blocks.map(\.standing) == [.confirmed, .confirmed])
        // One of them is used again before it is collected.
        let again = try await fixture.allocator().assign(request("again"))[0]
        let outcome = try await fixture.administration.collect(plan)
        #expect(outcome.blocks.count + outcome.skipped == 2)
        #expect(!outcome.blocks.contains(again.block))
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// G6, A1, A5: affinities without their block, of hosts that are gone at once, but for what may be a claim under way (A2).
    @Test(arguments: [true, false]) func affinitiesWithoutTheirBlockGo(_ isAtomic: Bool) async throws {
        let fixture = Fixture(MemoryDatastore(commitsAtomically: isAtomic))
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 28))
        try await fixture.put(NodeResource(name: "node-a", labels: [:]))
        let own = try await fixture.allocator().assign(request("a"))[0].block
        let free = try #require(CIDR("10.80.0.\(own.address == IPAddress("10.80.0.0") ? 16 : 0)/28"))
        func put(_ node: String, _ cidr: CIDR, _ state: BlockAffinity.State) async throws {
            try await fixture.put(.blockAffinity(.host(node), cidr), BlockAffinity(state).json)
        }
        try await put("gone-1", own, .confirmed)
        try await put("gone-2", free, .pendingDeletion)
        try await put("gone-3", free, .pending)
        try await put("gone-4", free, .pending)
        try await put("node-a", free, .confirmed)
        var collection = LeakCollection(grace: .seconds(60), knowsAllNodes: true)
        func observe(after duration: Duration) async throws -> CollectionPlan {
            let records = try await IPAMRecords.read(from: fixture.store)
            return collection.observe(records, now: fixture.clock.now, uptime: start + duration)
        }
        let first = try await observe(after: .zero)
        #expect(first.affinities.map(\.affinity.node) == ["gone-1", "gone-2", "gone-3", "gone-4", "node-a"])
        let candidate = CollectionPlan.Standing.candidate(.zero)
        #expect(first.affinities.map(\.standing) == [.confirmed, .confirmed, candidate, candidate, candidate])
        #expect(try await fixture.administration.collect(first).affinities.map(\.node) == ["gone-1", "gone-2"])

        // One host goes on with its claim; another claimed the block before it is collected.
        try await put("gone-3", free, .pending)
        let second = try await observe(after: .seconds(60))
        #expect(second.affinities.map(\.standing) == [candidate, .confirmed, .confirmed])
        let block = Block(cidr: free, affinity: .host("node-a"), now: fixture.clock.now)
        try await fixture.put(.block(free), block.json)
        let outcome = try await fixture.administration.collect(second)
        #expect(outcome.affinities.map(\.node) == ["gone-4"] && outcome.skipped == 1)
        #expect(try await observe(after: .seconds(61)).affinities.map(\.affinity.node) == ["gone-3"])
        #expect(try await fixture.store.list(.blockAffinities(.host("node-a"), .ipv4)).count == 2)
    }

    /// G8: addresses of a block that nobody uses come back when they have cooled down.
    @Test func whatHasCooledDownIsWrittenAsFree() async throws {
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 28))
        try await fixture.configure { $0.ipCooldownSeconds = 30 }
        let address = try await fixture.allocator().assign(request("a"))[0]
        try await fixture.allocator().release(handle: "a")
        var collection = LeakCollection(grace: .seconds(60), knowsAllNodes: false)
        #expect(try await observe(&collection, after: .zero).cooledDown.isEmpty)
        fixture.clock.advance(.seconds(31))
        let plan = try await observe(&collection, after: .zero)
        #expect(plan.cooledDown == [address.block] && !plan.hasCandidates)
        #expect(try await fixture.administration.collect(plan).cooledDown == [address.block])
        #expect(try await fixture.blocks()[0].inUseCount == 0)
        #expect(try await fixture.administration.collect(plan).cooledDown.isEmpty)
    }

    /// G9: handles that no address has, as long as nobody writes them.
    @Test func orphanHandlesGo() async throws {
        try await fixture.put(.handle("orphan"), Handle(blocks: [CIDR("10.80.0.0/28")!: 1]).json)
        try await fixture.put(.handle("busy"), Handle(blocks: [CIDR("10.80.0.0/28")!: 1]).json)
        var collection = LeakCollection(grace: .seconds(60), knowsAllNodes: false)
        _ = try await observe(&collection, after: .zero)
        try await fixture.put(.handle("busy"), Handle(blocks: [CIDR("10.80.0.0/28")!: 2]).json)
        let plan = try await observe(&collection, after: .seconds(60))
        #expect(plan.handles.map(\.standing) == [.candidate(.zero), .confirmed])
        #expect(try await fixture.administration.collect(plan).handles == ["orphan"])
    }
}
