import ClusterClient
import Foundation
import IPAM
import NetworkTypes
import Synchronization
import TestSupport
import Testing

/// What becomes of an assignment or a release that ends at any step of it: X6 and X7 of the race table, and what goes
/// wrong with a store at each operation.
@Suite struct DeathTests {
    private func fixture(_ instance: StoreInstance) async throws -> Fixture {
        let fixture = Fixture(instance.store, keeping: instance)
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/28", blockSize: 30)])
        return fixture
    }

    private func addresses(_ fixture: Fixture, _ handle: String) async throws -> [IPAddress] {
        try await fixture.allocator().addresses(ofHandle: handle).map(\.address)
    }

    /// B1 to B5, handles that count no less than there is, and no address with two owners or with none that is known.
    private func check(_ fixture: Fixture, _ handles: [String]) async throws {
        #expect(try await fixture.problems(exact: false) == [])
        var known: [IPAddress] = []
        for handle in handles { known += try await addresses(fixture, handle) }
        #expect(Set(known).count == known.count)
        #expect(try await fixture.blocks().reduce(0) { $0 + $1.inUseCount } == known.count)
    }

    /// The process is gone before or after any of its operations: the repeated ADD gets one address, and the DEL leaves
    /// nothing (X6, X7).
    @Test(arguments: StoreUnderTest.allCases, [false, true])
    func x6AnAssignmentDiesAtEveryStep(_ kind: StoreUnderTest, _ isDone: Bool) async throws {
        var wasComplete = false
        for step in 0..<20 where !wasComplete {
            let instance = try await kind.make()
            let fixture = try await fixture(instance)
            let bystander = try await fixture.allocator("node-b").assign(request("bystander"))[0].address
            let dying = fixture.allocator(dyingAt: step, isDone: isDone)
            let address = try? await dying.assign(request("a"))[0].address
            wasComplete = address != nil
            #expect(step < 19)
            try await check(fixture, ["a", "bystander"])
            let repeated = try await fixture.allocator().assign(request("a"))
            #expect(repeated.count == 1)
            if let address { #expect(repeated[0].address == address) }
            try await check(fixture, ["a", "bystander"])
            try await fixture.allocator().release(handle: "a")
            #expect(try await addresses(fixture, "bystander") == [bystander])
            #expect(try await fixture.store.keys(.handles) == [.handle("bystander")])
            #expect(try await fixture.problems(exact: instance.store.commitsAtomically) == [])
        }
    }

    /// Without a second ADD: the DEL alone cleans up, and every address can be had again.
    @Test(arguments: StoreUnderTest.allCases, [false, true])
    func x7ADeletionAloneCleansUp(_ kind: StoreUnderTest, _ isDone: Bool) async throws {
        for step in 0..<8 {
            let instance = try await kind.make()
            let fixture = try await fixture(instance)
            let dying = fixture.allocator(dyingAt: step, isDone: isDone)
            _ = try? await dying.assign(request("a"))
            try await fixture.allocator().release(handle: "a")
            try await check(fixture, ["a"])
            #expect(try await fixture.store.keys(.handles).isEmpty)
            let all = try await fixture.allocator("node-a").assign(request("b", ipv4: 16))
            #expect(Set(all.map(\.address)).count == 16)
        }
    }

    @Test(arguments: StoreUnderTest.allCases, [false, true])
    func aReleaseDiesAtEveryStep(_ kind: StoreUnderTest, _ isDone: Bool) async throws {
        var wasComplete = false
        for step in 0..<20 where !wasComplete {
            let instance = try await kind.make()
            let fixture = try await fixture(instance)
            _ = try await fixture.allocator().assign(request("bystander"))
            _ = try await fixture.allocator().assign(request("a", ipv4: 5))
            let dying = fixture.allocator(dyingAt: step, isDone: isDone)
            wasComplete = (try? await dying.release(handle: "a")) != nil
            #expect(step < 19)
            try await check(fixture, ["a", "bystander"])
            try await fixture.allocator().release(handle: "a")
            #expect(try await fixture.store.keys(.handles) == [.handle("bystander")])
            try await check(fixture, ["a", "bystander"])
        }
    }

    /// One fault at each operation in turn; the operation gets through all the same, once.
    @Test(
        arguments: StoreUnderTest.allCases,
        [FaultyDatastore.Fault.conflict, .lostReply, .unavailable, .stopBefore(1)]
    )
    func aFaultAtAnyStepIsOvercome(_ kind: StoreUnderTest, _ fault: FaultyDatastore.Fault) async throws {
        for step in 0..<10 {
            let instance = try await kind.make()
            let fixture = try await fixture(instance)
            let store = FaultyDatastore(instance.store) { _, number in number == step ? fault : nil }
            let faulty = Fixture(store)
            let assigned = try await faulty.allocator().assign(request("a", ipv4: 2)).map(\.address)
            #expect(Set(assigned).count == 2)
            #expect(try await Set(addresses(fixture, "a")) == Set(assigned))
            try await check(fixture, ["a"])
            #expect(try await Set(faulty.allocator().release(handle: "a")) == Set(assigned))
            try await check(fixture, ["a"])
            #expect(try await fixture.store.keys(.handles).isEmpty)
        }
    }

    /// The same with a real process and SIGKILL, before each of its operations and right behind it.
    @Test(arguments: StoreUnderTest.shared, ["before", "after"])
    func x6AProcessIsKilledAtEveryStep(_ kind: StoreUnderTest, _ moment: String) async throws {
        let program = try ChildProcess.sibling("store-worker")
        for step in 0..<20 {
            let instance = try await kind.make()
            let fixture = try await fixture(instance)
            let argument = try #require(instance.workerArgument)
            let process = try ChildProcess(program, ["assign-once", argument, "node-a", "a", moment, "\(step)"])
            let (lines, status) = await process.wait()
            try await check(fixture, ["a"])
            let address = try await fixture.allocator().assign(request("a"))[0].address
            if let line = lines.first { #expect(line == address.description) }
            try await fixture.allocator().release(handle: "a")
            #expect(try await fixture.store.keys(.handles).isEmpty)
            try await check(fixture, ["a"])
            if status == .exited(0) {
                #expect(lines.count == 1 && step > 2)
                return
            }
            #expect(status == .killed(SIGKILL))
        }
        Issue.record("the worker never came to an end")
    }
}
