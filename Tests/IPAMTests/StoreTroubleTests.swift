import ClusterClient
import NetworkTypes
import Synchronization
import TestSupport
import Testing

@testable import IPAM

/// How long the allocator puts up with a store in trouble, and how much it asks of a sound one.
@Suite struct StoreTroubleTests {
    @Test func aStoreThatStaysAwayIsReportedInTime() async throws {
        let store = FaultyDatastore(MemoryDatastore()) { _, _ in .unavailable }
        let clock = ManualClock().allocatorClock
        let start = clock.uptime()
        let allocator = Allocator(datastore: store, host: "node-a", timeLimit: .seconds(5), clock: clock)
        let error = await #expect(throws: IPAMError.self) { try await allocator.assign(request("a")) }
        guard case .datastore(let cause) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(cause.reason == .unavailable)
        #expect(start.duration(to: clock.uptime()) == .seconds(5))
        #expect((20...1000).contains(store.operations.count))
    }

    @Test func endlessConflictsEndInTime() async throws {
        let isOn = Mutex(false)
        let store = FaultyDatastore(MemoryDatastore()) { operation, _ in
            guard operation.isCommit, isOn.withLock({ $0 }) else { return nil }
            return .conflict
        }
        let clock = ManualClock().allocatorClock
        let allocator = Allocator(datastore: store, host: "node-a", timeLimit: .seconds(60), clock: clock)
        try await allocator.ensurePools([IPPool(name: "p", spec: .init(cidr: CIDR("10.0.0.0/24")!))])
        isOn.withLock { $0 = true }
        let start = clock.uptime()
        // The deadline of the whole request comes before the limit of one operation.
        await RequestDeadline.$current.withValue(start + .seconds(2)) {
            let error = await #expect(throws: IPAMError.self) { try await allocator.assign(request("a")) }
            guard case .deadlineExceeded = error else {
                Issue.record("\(error as Any)")
                return
            }
        }
        #expect(start.duration(to: clock.uptime()) == .seconds(2))
    }

    /// How many round trips a warm assignment and a release cost on a store with transactions.
    @Test func aWarmAssignmentTakesThreeRoundTrips() async throws {
        let store = FaultyDatastore(MemoryDatastore())
        let fixture = Fixture(store)
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/16"), fixture.pool("fd00::/64", name: "six")])
        func operations(_ body: () async throws -> Void) async throws -> [FaultyDatastore.Operation] {
            let before = store.operations.count
            try await body()
            return Array(store.operations.dropFirst(before))
        }
        let cold = try await operations { _ = try await fixture.allocator().assign(request("a", ipv4: 1)) }
        #expect(cold.count == 3)
        let warm = try await operations { _ = try await fixture.allocator().assign(request("b", ipv4: 1)) }
        #expect(warm.count == 3)
        let release = try await operations { try await fixture.allocator().release(handle: "b") }
        #expect(release.count == 3)
        for case .read(let queries) in cold + warm + release {
            #expect(!queries.contains(.collection(.blocks(.ipv4))))
        }
    }

    /// 262,144 blocks, and the first assignment of a node looks at a handful of them.
    @Test func aLargePoolIsNotWalkedOver() async throws {
        let store = FaultyDatastore(MemoryDatastore())
        let fixture = Fixture(store)
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/8")])
        var blocks: Set<CIDR> = []
        for node in 0..<100 {
            let before = store.operations.count
            blocks.insert(try await fixture.allocator("node-\(node)").assign(request("\(node)"))[0].block)
            let operations = store.operations.dropFirst(before)
            #expect(operations.count <= 4)
            for operation in operations {
                switch operation {
                case .keys: Issue.record("node-\(node) asked for names")
                case .read(let queries): #expect(!queries.contains(.collection(.blocks(.ipv4))))
                case .commit: break
                }
            }
        }
        #expect(blocks.count == 100)
    }
}
