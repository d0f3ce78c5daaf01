import ClusterClient
import Foundation
import NetworkTypes
import Synchronization
import TestSupport
import Testing

@testable import IPAM

/// One record that cannot be read: it is named and left as it is, and stops nothing that does not need it.
@Suite struct UnreadableRecordsTests {
    private static let broken = Data(#"{"metadata": {"name": "broken"}, "spec": {}}"#.utf8)
    private static let brokenPool = RecordKey.resource(.ipPools, name: "broken")

    private func fixture(_ kind: StoreKind = .transactional) async throws -> Fixture {
        let fixture = try Fixture(kind)
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/28", blockSize: 30)])
        return fixture
    }

    private func withBrokenPool(_ kind: StoreKind = .transactional) async throws -> Fixture {
        let fixture = try await fixture(kind)
        try await fixture.put(Self.brokenPool, Self.broken)
        return fixture
    }

    private func problem(_ body: () async throws(IPAMError) -> Void) async -> String {
        do throws(IPAMError) {
            try await body()
            return "no error"
        } catch {
            guard case .inconsistent(let problem) = error else { return "another error: \(error)" }
            return problem
        }
    }

    // MARK: Pools

    @Test(arguments: StoreKind.allCases)
    func addressesComeFromTheOtherPools(_ kind: StoreKind) async throws {
        let fixture = try await withBrokenPool(kind)
        let leftOut = Mutex<[UnreadableRecord]>([])
        let allocator = Allocator(
            datastore: fixture.store,
            host: "node-a",
            clock: fixture.clock.allocatorClock,
            leaveOut: { record in leftOut.withLock { $0.append(record) } }
        )
        #expect(try await allocator.assign(request("a")).map(\.pool) == ["default"])
        #expect(leftOut.withLock { $0.map(\.key) } == [Self.brokenPool])
        #expect(leftOut.withLock { $0.first?.problem.contains("ippools/broken: spec: cidr is missing") } == true)

        for name in ["broken", "10.9.0.0/16"] {
            let problem = await problem { () async throws(IPAMError) in
                _ = try await allocator.assign(request("b") { $0.ipv4Pools = [name] })
            }
            #expect(problem.contains("pool \(name) does not exist") && problem.contains("ippools/broken"), "\(problem)")
        }
        let outside = await #expect(throws: IPAMError.self) {
            try await allocator.assign(request("b", ipv4: 0) { $0.requested = [IPAddress("10.9.0.1")!] })
        }
        #expect(outside?.description.contains("ippools/broken") == true, "\(outside as Any)")
        let shortage = await #expect(throws: IPAMError.self) { try await allocator.assign(request("b", ipv4: 16)) }
        #expect(shortage?.description.contains("ippools/broken") == true, "\(shortage as Any)")
        #expect(try await fixture.store.get(Self.brokenPool)?.value == Self.broken)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test func withNoOtherPoolTheErrorNamesIt() async throws {
        let fixture = try Fixture()
        try await fixture.put(Self.brokenPool, Self.broken)
        let problem = await problem { () async throws(IPAMError) in
            _ = try await fixture.allocator().assign(request("a"))
        }
        #expect(problem.contains("no configured IPv4 pools for node node-a"), "\(problem)")
        #expect(problem.contains("ippools/broken: spec: cidr is missing"), "\(problem)")
    }

    /// By handle, by address, and by address when the address's own pool is the one that cannot be read.
    @Test(arguments: StoreKind.allCases)
    func releasesNeedNoPool(_ kind: StoreKind) async throws {
        let fixture = try await withBrokenPool(kind)
        let allocator = fixture.allocator()
        let first = try await allocator.assign(request("a", ipv4: 2)).map(\.address)
        #expect(try await allocator.release([ReleaseOptions(address: first[0], handle: "a")]).released == [first[0]])
        let second = try await allocator.assign(request("b", ipv4: 2))
        try await fixture.put(.resource(.ipPools, name: "default"), Data("{}".utf8))
        #expect(try await allocator.release(handle: "a") == [first[1]])
        let leak = ReleaseOptions(
            address: second[0].address,
            handle: "b",
            sequenceNumber: second[0].sequenceNumber
        )
        #expect(try await fixture.administration.release(leaks: [leak]).done == 1)
        #expect(try await allocator.addresses(ofHandle: "b").map(\.pool) == [""])
        #expect(try await allocator.release([ReleaseOptions(address: second[1].address)]).released.count == 1)
        #expect(try await fixture.store.list(.handles).isEmpty)
        // Whether a pool selects the node nobody can tell, so that the node keeps its blocks (R6).
        #expect(try await !fixture.blocks().isEmpty)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test func poolsOfAConfigurationAreJudgedOneByOne() async throws {
        let fixture = try await withBrokenPool()
        let configured = [fixture.pool("10.0.0.0/28", blockSize: 30), fixture.pool("10.9.0.0/16", name: "broken")]
        try await fixture.allocator().ensurePools(configured)
        #expect(try await fixture.store.get(Self.brokenPool)?.value == Self.broken)
        // A new one might overlap it.
        let problem = await problem { () async throws(IPAMError) in
            try await fixture.allocator().ensurePools(configured + [fixture.pool("10.8.0.0/16", name: "new")])
        }
        #expect(problem.contains("new cannot be created") && problem.contains("ippools/broken"), "\(problem)")
    }

    /// The two ways out for whoever looks after the cluster.
    @Test func aPersonReplacesOrDeletesIt() async throws {
        let fixture = try await withBrokenPool()
        let administration = fixture.administration
        let named = await problem { () async throws(IPAMError) in
            _ = try await administration.resources(.pool, named: "broken")
        }
        #expect(named.contains("ippools/broken"))
        #expect(await problem { () async throws(IPAMError) in _ = try await administration.resources(.pool) } == named)
        var leftOut: [RecordKey] = []
        #expect(try await administration.resources(.pool) { leftOut.append($0.key) }.map(\.name) == ["default"])
        #expect(leftOut == [Self.brokenPool])

        let overlapping = fixture.pool("10.0.0.0/16", name: "broken")
        await #expect(throws: IPAMError.self) { try await administration.put(.pool(overlapping), existing: .replace) }
        let other = fixture.pool("10.8.0.0/16", name: "other")
        let refused = await problem { () async throws(IPAMError) in
            try await administration.put(.pool(other), existing: .refuse)
        }
        #expect(refused.contains("other cannot be created"))
        let good = fixture.pool("10.9.0.0/16", name: "broken")
        #expect(try await administration.put(.pool(good), existing: .replace) == .configured)
        #expect(try await administration.put(.pool(other), existing: .refuse) == .created)

        try await fixture.put(Self.brokenPool, Self.broken)
        #expect(try await administration.delete(.pool, named: "broken"))
        #expect(try await administration.resources(.pool).map(\.name) == ["default", "other"])
    }

    /// What an ADD fails for, or does without, `ipam check` tells.
    @Test func allOfThemAreFound() async throws {
        let fixture = try await withBrokenPool()
        try await fixture.put(fixture.pool("10.9.0.0/16", name: "whose") { $0.spec.nodeSelector = "zone ==" })
        let broken: [(RecordKey, String)] = [
            (.resource(.nodes, name: "node-a"), "[]"), (.ipamConfiguration, "7"),
            (.block(CIDR("10.0.0.0/30")!), "{}"), (.handle("a"), "{"),
        ]
        for (key, text) in broken { try await fixture.put(key, Data(text.utf8)) }
        let check = ConsistencyCheck(try await fixture.administration.records(), now: fixture.clock.now)
        let expected = broken.map(\.0) + [Self.brokenPool, .resource(.ipPools, name: "whose")]
        #expect(Set(check.unreadable.map(\.key)) == Set(expected) && check.unreadable.count == expected.count)
        #expect(check.problemCount == expected.count)
        for record in check.unreadable { #expect(record.problem.contains("\(record.key)"), "\(record)") }
    }

    // MARK: Blocks

    /// P8a: the next block will do; what cannot be read is not written to.
    @Test(arguments: StoreKind.allCases, ["{}", #"{"cidr": "10.0.0.0/30"}"#, "unsound"])
    func aHostDoesWithoutABlock(_ kind: StoreKind, _ text: String) async throws {
        let fixture = try await fixture(kind)
        let block = try await fixture.allocator().assign(request("a"))[0].block
        var value = Data(text.utf8)
        if text == "unsound" {
            var unsound = try await fixture.blocks()[0]
            unsound.unallocated.append(0)
            value = unsound.json
        }
        try await fixture.put(.block(block), value)
        let next = try await fixture.allocator().assign(request("b"))
        #expect(next[0].block != block)
        #expect(try await fixture.allocator().hasRoom(in: [fixture.pool("10.0.0.0/28", blockSize: 30)]))
        let explanation = try await fixture.allocator().explain(request("c"))
        #expect(explanation.unreadable.map(\.key) == [.block(block)])
        #expect(explanation.families.map(\.source) == [.ownBlock(next[0].block, pool: "default")])
        // Others neither claim nor borrow nor take it over.
        fixture.clock.advance(.seconds(120))
        let rest = try await fixture.allocator("node-b").assign(request("rest", ipv4: 11)).map(\.block)
        #expect(!rest.contains(block))
        let error = await #expect(throws: IPAMError.self) {
            try await fixture.allocator("node-b").assign(request("x"))
        }
        #expect(error?.description.contains("\(block)") == true, "\(error as Any)")
        #expect(try await fixture.store.get(.block(block))?.value == value)
        // What it may have of the container itself is not guessed.
        let own = await problem { () async throws(IPAMError) in
            _ = try await fixture.allocator().assign(request("a"))
        }
        #expect(own.contains("\(block)"), "\(own)")
    }

    /// The rest is released, and what is left is found again when the block is mended.
    @Test(arguments: StoreKind.allCases)
    func aReleaseDoesWhatItCan(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let allocator = fixture.allocator()
        let assigned = try await allocator.assign(request("a", ipv4: 6))
        let hidden = assigned[0].block
        let original = try #require(try await fixture.store.get(.block(hidden))).value
        try await fixture.put(.block(hidden), Data("{}".utf8))
        for _ in 0..<2 {
            let problem = await problem { () async throws(IPAMError) in try await allocator.release(handle: "a") }
            #expect(problem.contains("\(hidden)"), "\(problem)")
        }
        let left = assigned.filter { $0.block == hidden }.map(\.address)
        #expect(try await Handle(json: #require(fixture.store.get(.handle("a"))).value).blocks == [hidden: left.count])
        try await fixture.put(.block(hidden), original)
        #expect(try await allocator.addresses(ofHandle: "a").map(\.address) == left)
        #expect(try await allocator.release(handle: "a") == left)
        #expect(try await fixture.blocks().allSatisfy(\.isEmpty))
        #expect(try await fixture.problems(exact: true) == [])
    }

    // MARK: Handles and settings

    /// The handle is an index; without it a DEL finds its addresses where the truth is.
    @Test(arguments: StoreKind.allCases)
    func aHandleThatCannotBeReadHidesNoAddress(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let allocator = fixture.allocator()
        let addresses = try await allocator.assign(request("a", ipv4: 5)).map(\.address)
        let other = try await allocator.assign(request("b")).map(\.address)
        let value = Data("[]".utf8)
        try await fixture.put(.handle("a"), value)
        #expect(try await allocator.addresses(ofHandle: "a").map(\.address).sorted() == addresses.sorted())
        let one = ReleaseOptions(address: addresses[0], handle: "a")
        #expect(try await allocator.release([one]).released == [addresses[0]])
        #expect(try await allocator.release(handle: "a", interface: "net1") == [])
        #expect(try await allocator.release(handle: "a", interface: "eth0").sorted() == addresses.dropFirst().sorted())
        #expect(try await allocator.release(handle: "a") == [])
        #expect(try await allocator.addresses(ofHandle: "b").map(\.address) == other)
        #expect(try await fixture.store.get(.handle("a"))?.value == value)
    }

    /// An unreadable record is not a missing one: it is a problem of its own, and stays unless it is given up.
    @Test(arguments: [true, false])
    func aHandleThatCannotBeReadIsNotMissing(_ isAtomic: Bool) async throws {
        let fixture = Fixture(MemoryDatastore(commitsAtomically: isAtomic))
        try await fixture.put(fixture.pool("10.0.0.0/28", blockSize: 30))
        let block = try await fixture.allocator().assign(request("a"))[0].block
        try await fixture.put(.handle("a"), Data("[]".utf8))
        try await fixture.put(.handle("nobody"), Data("{".utf8))
        func check() async throws -> ConsistencyCheck {
            ConsistencyCheck(try await fixture.administration.records(), now: fixture.clock.now)
        }
        let found = try await check()
        #expect(found.missingHandles == [] && found.leakedHandles == [])
        #expect(found.unreadableHandles == ["a", "nobody"])
        #expect(found.unreadable.map(\.key) == [.handle("a"), .handle("nobody")])
        #expect(found.leaks.count == 1 && found.problemCount == 3)

        let administration = fixture.administration
        let refused = await problem { () async throws(IPAMError) in
            try await administration.restore(handle: "a", of: [block])
        }
        #expect(refused.contains("handle a"), "\(refused)")
        #expect(try await fixture.store.get(.handle("a"))?.value == Data("[]".utf8))
        try await administration.restore(handle: "a", of: [block], replacingUnreadable: true)
        try await administration.restore(handle: "nobody", of: [], replacingUnreadable: true)
        #expect(try await check().unreadable == [])
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// An address rests as long as settings may say that cannot be read.
    @Test(arguments: StoreKind.allCases)
    func settingsThatCannotBeReadHoldUpNoRelease(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let allocator = fixture.allocator()
        let all = try await allocator.assign(request("a", ipv4: 16)).map(\.address)
        try await fixture.put(.ipamConfiguration, Data("[]".utf8))
        #expect(try await allocator.release(handle: "a").count == 16)
        let refused = await problem { () async throws(IPAMError) in _ = try await allocator.assign(request("b")) }
        #expect(refused.contains("IPAM configuration"), "\(refused)")
        try await fixture.configure { $0.ipCooldownSeconds = 60 }
        await #expect(throws: IPAMError.self) { try await allocator.assign(request("b")) }
        fixture.clock.advance(.seconds(61))
        #expect(try await allocator.assign(request("b", ipv4: 16)).count == all.count)
        #expect(try await fixture.problems(exact: true) == [])
    }
}
