import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

/// Release by address (R1 to R6), affinities (A5 to A8) and what is left by a crash.
@Suite struct ReleaseTests {
    private func fixture(_ kind: StoreKind) async throws -> Fixture {
        let fixture = try Fixture(kind)
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/28", blockSize: 30)])
        return fixture
    }

    @Test(arguments: StoreKind.allCases)
    func addressesAreReleasedOneByOne(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let allocator = fixture.allocator()
        let addresses = try await allocator.assign(request("a", ipv4: 6)).map(\.address)
        let free = IPAddress("10.0.0.3")!
        let elsewhere = IPAddress("192.0.2.1")!
        let options = [addresses[0], addresses[5], addresses[0], elsewhere].map { ReleaseOptions(address: $0) }
        let result = try await allocator.release(options)
        #expect(Set(result.released) == [addresses[0], addresses[5]])
        #expect(result.unallocated == [elsewhere])
        #expect(try await allocator.addresses(ofHandle: "a").count == 4)
        #expect(try await fixture.problems(exact: true) == [])
        let again = try await allocator.release(options)
        #expect(again.released == [] && again.unallocated.count == 3)
        _ = free
        try await allocator.release(handle: "a")
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// G5: each is looked at on its own, though those of a block go together.
    @Test(arguments: StoreKind.allCases)
    func leaksAreReleasedTogether(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.0.0.0/23", blockSize: 25)])
        var leaks: [ReleaseOptions] = []
        for number in 0..<140 {
            let assigned = try await allocator.assign(request("leak-\(number)"))[0]
            leaks.append(
                ReleaseOptions(
                    address: assigned.address,
                    handle: "leak-\(number)",
                    sequenceNumber: assigned.sequenceNumber
                )
            )
        }
        // One is free by now, one was assigned anew, and one was never there.
        try await allocator.release(handle: "leak-3")
        _ = try await allocator.release([leaks[60]])
        let again = request("again", ipv4: 0) { $0.requested = [leaks[60].address] }
        _ = try await allocator.assign(again)
        leaks.append(ReleaseOptions(address: IPAddress("192.0.2.1")!, handle: "x", sequenceNumber: 1))
        let count = try await fixture.administration.release(leaks: leaks)
        #expect(count.done == 138 && count.skipped == 3 && count.errors == [])
        #expect(try await allocator.addresses(ofHandle: "again").map(\.address) == [leaks[60].address])
        #expect(try await IPAMUsage.read(from: fixture.store).pools[0].counts.inUse == 1)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// C13: the blocks of a pool that was made anew with another block size are found where they are.
    @Test(arguments: StoreKind.allCases)
    func addressesOfAnotherBlockSizeAreReleased(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let allocator = fixture.allocator()
        let assigned = try await allocator.assign(request("a", ipv4: 3))
        let key = IPPool.recordKey("default")
        let record = try #require(try await fixture.store.get(key))
        _ = try await fixture.store.commit([.delete(key, record.revision)])
        try await fixture.put(fixture.pool("10.0.0.0/28", blockSize: 29))
        let one = try await allocator.release([ReleaseOptions(address: assigned[0].address, handle: "a")])
        #expect(one.released == [assigned[0].address] && one.unallocated == [])
        let leaks = assigned.map {
            ReleaseOptions(address: $0.address, handle: "a", sequenceNumber: $0.sequenceNumber)
        }
        let count = try await fixture.administration.release(leaks: leaks)
        #expect(count.done == 2 && count.skipped == 1 && count.errors == [])
        #expect(try await allocator.addresses(ofHandle: "a") == [])
        let again = try await fixture.administration.release(leaks: leaks)
        #expect(again.done == 0 && again.skipped == 3)
    }

    /// R2, X4, X8: a release that names another handle or number than the address has now does nothing.
    @Test(arguments: StoreKind.allCases)
    func aStaleReleaseIsRefused(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let allocator = fixture.allocator()
        let old = try await allocator.assign(request("a", ipv4: 4))
        try await allocator.release(handle: "a")
        let new = try await allocator.assign(request("b", ipv4: 4))
        #expect(Set(new.map(\.address)) == Set(old.map(\.address)))
        for stale in [
            ReleaseOptions(address: old[0].address, handle: "a"),
            ReleaseOptions(address: old[0].address, handle: "a", sequenceNumber: old[0].sequenceNumber),
            ReleaseOptions(address: old[0].address, sequenceNumber: old[0].sequenceNumber),
        ] {
            let others = ReleaseOptions(address: old[1].address)
            await #expect(throws: IPAMError.self) { try await allocator.release([others, stale]) }
        }
        #expect(try await allocator.addresses(ofHandle: "b").count == 4)
        let right = new.map { ReleaseOptions(address: $0.address, handle: "b", sequenceNumber: $0.sequenceNumber) }
        #expect(try await allocator.release(right).released.count == 4)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test(arguments: StoreKind.allCases)
    func addressesOfGonePoolsAreReleased(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let allocator = fixture.allocator()
        let addresses = try await allocator.assign(request("a", ipv4: 2)).map(\.address)
        let pool = try #require(try await fixture.store.list(.resources(.ipPools)).first)
        _ = try await fixture.store.commit([.delete(pool.key, pool.revision)])
        #expect(try await allocator.release([ReleaseOptions(address: addresses[0])]).released == [addresses[0]])
        #expect(try await allocator.release(handle: "a") == [addresses[1]])
        // The last one empties the block, which no pool selects a node for (R6).
        #expect(try await fixture.blocks().isEmpty)
        #expect(try await fixture.store.keys(.blockAffinities(.host("node-a"), .ipv4)).isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func anAffinityIsGivenUp(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let allocator = fixture.allocator()
        let address = try await allocator.assign(request("a"))[0]
        let owner = BlockOwner.host("node-a")
        #expect(
            try await allocator.releaseAffinity(of: address.block, owner: .host("x"), requireEmpty: false) == .notOwned
        )
        #expect(try await allocator.releaseAffinity(of: address.block, owner: owner, requireEmpty: true) == .notEmpty)
        #expect(try await fixture.problems(exact: true) == [])
        #expect(try await allocator.releaseAffinity(of: address.block, owner: owner, requireEmpty: false) == .released)
        #expect(try await fixture.blocks().map(\.affinity) == [nil])
        #expect(try await fixture.store.keys(.blockAffinities(owner, .ipv4)).isEmpty)
        // R4: the last address of a block that nobody owns takes it along.
        try await allocator.release(handle: "a")
        #expect(try await fixture.blocks().isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func aBlockThatCoolsDownIsNotEmpty(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        try await fixture.configure { $0.ipCooldownSeconds = 60 }
        let allocator = fixture.allocator()
        let block = try await allocator.assign(request("a"))[0].block
        try await allocator.release(handle: "a")
        let owner = BlockOwner.host("node-a")
        #expect(try await allocator.releaseAffinity(of: block, owner: owner, requireEmpty: true) == .notEmpty)
        fixture.clock.advance(.seconds(61))
        let number = try await fixture.blocks()[0].sequenceNumber
        let guarded = try await allocator.releaseAffinity(
            of: block,
            owner: owner,
            requireEmpty: true,
            sequenceNumber: number - 1
        )
        #expect(guarded == .notOwned)
        #expect(
            try await allocator.releaseAffinity(of: block, owner: owner, requireEmpty: true, sequenceNumber: number)
                == .released
        )
        #expect(try await fixture.blocks().isEmpty)
    }

    // MARK: What a crash left behind (A8)

    @Test(arguments: StoreKind.allCases, [BlockAffinity.State.pending, .confirmed, .pendingDeletion])
    func anAffinityWithoutItsBlockIsClaimedAgain(_ kind: StoreKind, _ state: BlockAffinity.State) async throws {
        let fixture = try await fixture(kind)
        let block = CIDR("10.0.0.8/30")!
        try await fixture.put(.blockAffinity(.host("node-a"), block), BlockAffinity(state).json)
        let address = try await fixture.allocator().assign(request("a"))[0]
        #expect(address.block == block)
        try await expectConfirmed(fixture, block)
    }

    @Test(arguments: StoreKind.allCases, [BlockAffinity.State.pending, .pendingDeletion, nil])
    func aBlockIsUsedWhateverBecameOfItsAffinity(_ kind: StoreKind, _ state: BlockAffinity.State?) async throws {
        let fixture = try await fixture(kind)
        let first = try await fixture.allocator().assign(request("a"))[0]
        let key = RecordKey.blockAffinity(.host("node-a"), first.block)
        if let state {
            try await fixture.put(key, BlockAffinity(state).json)
        } else {
            let record = try #require(try await fixture.store.get(key))
            _ = try await fixture.store.commit([.delete(key, record.revision)])
        }
        #expect(try await fixture.allocator().assign(request("b"))[0].block == first.block)
        try await expectConfirmed(fixture, first.block)
    }

    private func expectConfirmed(_ fixture: Fixture, _ block: CIDR) async throws {
        let record = try #require(try await fixture.store.get(.blockAffinity(.host("node-a"), block)))
        #expect(try BlockAffinity(json: record.value).state == .confirmed)
        #expect(try await fixture.blocks().map(\.affinity) == [.host("node-a")])
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test(arguments: StoreKind.allCases)
    func aStaleAffinityIsRemoved(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let block = try await fixture.allocator("node-b").assign(request("b"))[0].block
        try await fixture.put(.blockAffinity(.host("node-a"), block), BlockAffinity(.confirmed).json)
        #expect(try await fixture.allocator().assign(request("a"))[0].block != block)
        #expect(try await fixture.store.get(.blockAffinity(.host("node-a"), block)) == nil)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// X6: a handle that counts what never came to be goes with the next release.
    @Test(arguments: StoreKind.allCases)
    func aHandleThatCountsTooMuchGoes(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let used = try await fixture.allocator().assign(request("other"))[0].block
        try await fixture.put(.handle("a"), Handle(blocks: [used: 1, CIDR("10.0.0.12/30")!: 2]).json)
        #expect(try await fixture.allocator().addresses(ofHandle: "a") == [])
        #expect(try await fixture.allocator().release(handle: "a") == [])
        #expect(try await fixture.store.get(.handle("a")) == nil)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// What it counts is never calculated with unless it can be.
    @Test(arguments: StoreKind.allCases, [Int.min, -1, .max])
    func aHandleCountsWhatItLikes(_ kind: StoreKind, _ count: Int) async throws {
        let fixture = try await fixture(kind)
        let allocator = fixture.allocator()
        let block = try await allocator.assign(request("other"))[0].block
        let json = Data(#"{"block":{"\#(block)":\#(count)}}"#.utf8)
        try await fixture.put(.handle("a"), json)
        let addresses = try await allocator.assign(request("a", ipv4: 2)).map(\.address)
        try await fixture.put(.handle("a"), json)
        let one = ReleaseOptions(address: addresses[0], handle: "a")
        #expect(try await allocator.release([one]).released == [addresses[0]])
        #expect(try await allocator.release(handle: "a", interface: "eth0") == [addresses[1]])
        #expect(try await allocator.release(handle: "a") == [])
        #expect(try await fixture.store.get(.handle("a")) == nil)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test(arguments: StoreKind.allCases)
    func unsoundRecordsAreNotWrittenTo(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let address = try await fixture.allocator().assign(request("a"))[0]
        var block = try await fixture.blocks()[0]
        block.unallocated.append(0)
        try await fixture.put(.block(block.cidr), block.json)
        for attempt in [
            { () async throws -> Void in _ = try await fixture.allocator().assign(request("a", "net1")) },
            { () async throws -> Void in _ = try await fixture.allocator().release(handle: "a") },
            { () async throws -> Void in
                _ = try await fixture.allocator().release([ReleaseOptions(address: address.address)])
            },
        ] {
            let error = await #expect(throws: IPAMError.self) { try await attempt() }
            guard case .inconsistent(let problem) = error else {
                Issue.record("\(error as Any)")
                continue
            }
            #expect(problem.contains("\(block.cidr)") && problem.contains("B3"))
        }
    }

    @Test func recordsThatAreNoneAreNamed() async throws {
        let cases: [(RecordKey, String)] = [
            (.handle("a"), "{"), (.ipamConfiguration, "[]"),
            (.resource(.ipReservations, name: "r"), #"{"metadata":{"name":"r"},"spec":{"reservedCIDRs":["x"]}}"#),
            (.blockAffinity(.host("node-a"), CIDR("10.0.0.0/30")!), "7"),
        ]
        for (key, text) in cases {
            let fixture = try await fixture(.transactional)
            try await fixture.put(key, Data(text.utf8))
            let error = await #expect(throws: IPAMError.self) { try await fixture.allocator().assign(request("a")) }
            guard case .inconsistent(let problem) = error else {
                Issue.record("\(key): \(error as Any)")
                continue
            }
            #expect(problem.contains("\(key)"), "\(problem)")
        }
    }
}
