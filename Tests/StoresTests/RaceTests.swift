import ClusterClient
import Foundation
import IPAM
import NetworkTypes
import TestSupport
import Testing

/// The race table (`reference/calico.md` 2.14) on every store. A rival acts just before one of our commits, each of them
/// in turn. X6 and X7 are in ``DeathTests``.
@Suite struct RaceTests {
    private func fixture(_ kind: StoreUnderTest, _ cidr: String = "10.0.0.0/30") async throws -> Fixture {
        let fixture = try await Fixture(kind)
        try await fixture.allocator().ensurePools([fixture.pool(cidr, blockSize: 30)])
        return fixture
    }

    /// Our allocator, whose commit with this number is preceded by what the rival does.
    private func rivaled(
        _ fixture: Fixture,
        _ host: String = "node-a",
        at commit: Int,
        _ rival: @escaping @Sendable () async throws -> Void
    ) -> Allocator {
        let store = InterleavedDatastore(fixture.store) { number in
            guard number == commit else { return }
            do { try await rival() } catch { Issue.record("the rival failed: \(error)") }
        }
        return Allocator(datastore: store, host: host, clock: fixture.clock.allocatorClock)
    }

    @Test(arguments: StoreUnderTest.allCases, 0..<4)
    func x1TwoHostsClaimTheSameBlock(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind)
        let ours = rivaled(fixture, at: commit) {
            _ = try await fixture.allocator("node-b").assign(request("b"))
        }
        let address = try await ours.assign(request("a"))[0]
        _ = try await fixture.allocator("node-b").assign(request("b"))
        let block = try #require(try await fixture.blocks().first)
        #expect(block.inUseCount == 2 && address.block == block.cidr)
        let owner = try #require(block.affinity)
        let loser = owner == .host("node-a") ? BlockOwner.host("node-b") : .host("node-a")
        #expect(try await fixture.store.get(.blockAffinity(owner, block.cidr)) != nil)
        #expect(try await fixture.store.get(.blockAffinity(loser, block.cidr)) == nil)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test(arguments: StoreUnderTest.allCases, 0..<4)
    func x2TwoProcessesOfAHostClaimTheSameBlock(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind, "10.0.0.0/24")
        let ours = rivaled(fixture, at: commit) { _ = try await fixture.allocator().assign(request("b")) }
        let address = try await ours.assign(request("a"))[0]
        let other = try await fixture.allocator().assign(request("b"))[0]
        #expect(address.address != other.address && address.block == other.block)
        let affinity = try #require(try await fixture.store.get(.blockAffinity(.host("node-a"), address.block)))
        #expect(try BlockAffinity(json: affinity.value).state == .confirmed)
        #expect(try await fixture.blocks().count == 1)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test(arguments: StoreUnderTest.allCases, 0..<2)
    func x3TwoTakeTheLastAddress(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind)
        _ = try await fixture.allocator().assign(request("x", ipv4: 3))
        let ours = rivaled(fixture, at: commit) { _ = try? await fixture.allocator().assign(request("b")) }
        let address = try? await ours.assign(request("a"))
        let block = try await fixture.blocks()[0]
        #expect(block.inUseCount == 4)
        #expect((address == nil) == block.ordinals(handle: "a", interface: nil).isEmpty)
        #expect(
            block.ordinals(handle: "a", interface: nil).count + block.ordinals(handle: "b", interface: nil).count == 1
        )
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// An address that was released and given to another since is not released a second time.
    @Test(arguments: StoreUnderTest.allCases, 0..<2)
    func x4AReleaseMeetsANewOwnerOfTheAddress(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind)
        let all = try await fixture.allocator().assign(request("x", ipv4: 4))
        let old = all[2]
        let option = ReleaseOptions(address: old.address, sequenceNumber: old.sequenceNumber)
        let ours = rivaled(fixture, at: commit) {
            guard try await fixture.allocator().addresses(ofHandle: "b").isEmpty else { return }
            _ = try await fixture.allocator().release([option])
            let new = try await fixture.allocator().assign(request("b"))[0]
            #expect(new.address == old.address)
        }
        if commit == 0 {
            // No handle is named: the sequence number alone tells the two assignments apart.
            await #expect(throws: IPAMError.self) { try await ours.release([option]) }
            #expect(try await fixture.allocator().addresses(ofHandle: "b").map(\.address) == [old.address])
        } else {
            #expect(try await ours.release([option]).released == [old.address])
        }
        #expect(try await fixture.allocator().addresses(ofHandle: "x").count == 3)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// A block released under the feet of an assignment: no address in a block that is gone.
    @Test(arguments: StoreUnderTest.allCases, 0..<3)
    func x5AnAffinityIsReleasedDuringAnAssignment(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind)
        let block = try await fixture.allocator().assign(request("x"))[0].block
        try await fixture.allocator().release(handle: "x")
        let ours = rivaled(fixture, at: commit) {
            _ = try await fixture.allocator().releaseAffinity(of: block, owner: .host("node-a"), requireEmpty: true)
        }
        let address = try await ours.assign(request("a"))[0]
        let stored = try #require(try await fixture.blocks().first)
        #expect(stored.ordinals(handle: "a", interface: nil).map(stored.address) == [address.address])
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// And the other way round: an address taken while its block is about to be given up keeps the block.
    @Test(arguments: StoreUnderTest.allCases, 0..<3)
    func x5AnAddressIsTakenDuringTheReleaseOfItsAffinity(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind)
        let block = try await fixture.allocator().assign(request("x"))[0].block
        try await fixture.allocator().release(handle: "x")
        let ours = rivaled(fixture, at: commit) { _ = try await fixture.allocator().assign(request("a")) }
        _ = try await ours.releaseAffinity(of: block, owner: .host("node-a"), requireEmpty: true)
        if commit == 0 || !fixture.store.commitsAtomically {
            let addresses = try await fixture.allocator().assign(request("a"))
            let stored = try #require(try await fixture.blocks().first)
            #expect(stored.ordinals(handle: "a", interface: nil).map(stored.address) == addresses.map(\.address))
            #expect(try await fixture.problems(exact: true) == [])
        }
    }

    /// The block was deleted and made anew since the address was looked up.
    @Test(arguments: StoreUnderTest.allCases)
    func x8ABlockMadeAnewIsAnother(_ kind: StoreUnderTest) async throws {
        let fixture = try await fixture(kind)
        let old = try await fixture.allocator().assign(request("a"))[0]
        try await fixture.allocator().release(handle: "a")
        _ = try await fixture.allocator().releaseAffinity(of: old.block, owner: .host("node-a"), requireEmpty: true)
        #expect(try await fixture.blocks().isEmpty)
        fixture.clock.advance(.seconds(1))
        let new = try await fixture.allocator().assign(request("a"))[0]
        #expect(new.address == old.address && new.sequenceNumber != old.sequenceNumber)
        let stale = ReleaseOptions(address: old.address, handle: "a", sequenceNumber: old.sequenceNumber)
        await #expect(throws: IPAMError.self) { try await fixture.allocator().release([stale]) }
        #expect(try await fixture.allocator().addresses(ofHandle: "a") == [new])
    }

    /// Whoever begins after a pool was disabled gets nothing from it; whoever had begun may.
    @Test(arguments: StoreUnderTest.allCases, 0..<4)
    func x9APoolIsDisabledDuringAnAssignment(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind)
        try await fixture.allocator().ensurePools([fixture.pool("10.1.0.0/24", name: "other")])
        let ours = rivaled(fixture, at: commit) {
            try await fixture.put(fixture.pool("10.0.0.0/30", blockSize: 30) { $0.spec.isDisabled = true })
        }
        let early = try await ours.assign(request("a"))[0]
        #expect(["default", "other"].contains(early.pool))
        try await fixture.put(fixture.pool("10.0.0.0/30", blockSize: 30) { $0.spec.isDisabled = true })
        for handle in ["b", "c", "d"] {
            #expect(try await fixture.allocator().assign(request(handle))[0].pool == "other")
        }
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test(arguments: StoreUnderTest.allCases, 0..<2)
    func x10TwoRelease(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind)
        let address = try await fixture.allocator().assign(request("a"))[0]
        _ = try await fixture.allocator().assign(request("b"))
        let option = ReleaseOptions(address: address.address, handle: "a", sequenceNumber: address.sequenceNumber)
        let ours = rivaled(fixture, at: commit) { _ = try await fixture.allocator().release([option]) }
        let result = try await ours.release([option])
        #expect(result.released.count + result.unallocated.count == 1)
        #expect(try await fixture.blocks()[0].inUseCount == 1)
        #expect(try await fixture.problems(exact: true) == [])

        let byHandle = rivaled(fixture, at: commit) { try await fixture.allocator().release(handle: "b") }
        #expect(try await byHandle.release(handle: "b").count <= 1)
        #expect(try await fixture.blocks()[0].isEmpty)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test(arguments: StoreUnderTest.allCases, 0..<5)
    func x11TwoHostsTakeOverTheSameEmptyBlock(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind)
        _ = try await fixture.allocator("node-x").assign(request("x"))
        try await fixture.allocator("node-x").release(handle: "x")
        fixture.clock.advance(.seconds(120))
        let ours = rivaled(fixture, at: commit) { _ = try await fixture.allocator("node-b").assign(request("b")) }
        _ = try await ours.assign(request("a"))
        _ = try await fixture.allocator("node-b").assign(request("b"))
        let block = try #require(try await fixture.blocks().first)
        #expect(block.inUseCount == 2)
        let owner = try #require(block.affinity)
        #expect(owner != .host("node-x"))
        #expect(try await fixture.store.get(.blockAffinity(owner, block.cidr)) != nil)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// The DEL that the runtime sends in the end leaves nothing.
    ///
    /// A store without transactions lets a DEL see half an ADD: there it is the plugin's lock that keeps them apart, so the
    /// rival acts before anything is written.
    @Test(arguments: StoreUnderTest.allCases, 0..<5)
    func x12AContainerIsRemovedWhileItIsAdded(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind)
        guard fixture.store.commitsAtomically || commit == 0 else { return }
        let ours = rivaled(fixture, at: commit) { try await fixture.allocator().release(handle: "a") }
        let address = try await ours.assign(request("a"))[0]
        #expect(try await fixture.allocator().addresses(ofHandle: "a").map(\.address) == [address.address])
        #expect(try await fixture.allocator().release(handle: "a") == [address.address])
        #expect(try await fixture.store.list(.handles).isEmpty)
        #expect(try await fixture.blocks()[0].isEmpty)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// Another interface is added while one is being removed: neither is lost.
    @Test(arguments: StoreUnderTest.allCases, 0..<2)
    func x12AnInterfaceIsAddedDuringTheRemovalOfAnother(_ kind: StoreUnderTest, _ commit: Int) async throws {
        let fixture = try await fixture(kind)
        let first = try await fixture.allocator().assign(request("a", "eth0"))[0].address
        let ours = rivaled(fixture, at: commit) { _ = try await fixture.allocator().assign(request("a", "net1")) }
        #expect(try await ours.release(handle: "a", interface: "eth0") == [first])
        let second = try await fixture.allocator().assign(request("a", "net1"))
        #expect(try await fixture.allocator().addresses(ofHandle: "a") == second)
        #expect(try await fixture.allocator().release(handle: "a") == second.map(\.address))
        #expect(try await fixture.problems(exact: false) == [])
        #expect(try await fixture.blocks()[0].isEmpty)
    }
}

extension Fixture {
    init(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        self.init(instance.store, keeping: instance)
    }
}
