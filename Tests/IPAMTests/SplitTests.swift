import ClusterClient
import Foundation
import NetworkTypes
import Synchronization
import TestSupport
import Testing

@testable import IPAM

@Suite struct SplitTests {
    private func fixture(_ isAtomic: Bool) async throws -> Fixture {
        let fixture = Fixture(MemoryDatastore(commitsAtomically: isAtomic))
        let pool = fixture.pool("10.80.0.0/24", blockSize: 28) { $0.spec.natOutgoing = true }
        try await fixture.administration.put(.pool(pool), existing: .refuse)
        return fixture
    }

    private func lock(_ fixture: Fixture, _ isLocked: Bool = true) async throws {
        let key = ClusterInformation.recordKey("default")
        var information = try ClusterInformation(try #require(try await fixture.store.get(key)))
        information.spec.datastoreReady = !isLocked
        try await fixture.put(key, information.json())
    }

    private func pools(_ store: any Datastore) async throws -> [String] {
        try await store.list(.resources(.ipPools)).map { record in
            let pool = try IPPool(record)
            return "\(pool.name) \(pool.cidr)\(pool.isEnabled ? "" : " disabled")"
        }.sorted()
    }

    private static let parts = [
        "split-default-0 10.80.0.0/26", "split-default-1 10.80.0.64/26", "split-default-2 10.80.0.128/26",
        "split-default-3 10.80.0.192/26",
    ]

    @Test(arguments: [true, false]) func partsTakeThePlace(_ isAtomic: Bool) async throws {
        let fixture = try await fixture(isAtomic)
        let address = try await fixture.allocator().assign(request("a"))[0]
        await #expect(throws: IPAMError.self) { try await fixture.administration.split(into: 4) { _ in true } }
        try await lock(fixture)
        await #expect(throws: IPAMError.self) { try await fixture.administration.split(into: 4) { $0.name == "b" } }
        await #expect(throws: IPAMError.self) { try await fixture.administration.split(into: 3) { _ in true } }
        await #expect(throws: IPAMError.self) { try await fixture.administration.split(into: 32) { _ in true } }
        #expect(try await pools(fixture.store) == ["default 10.80.0.0/24"])
        let split = try await fixture.administration.split(into: 4) { $0.name == "default" }
        #expect(split.parts.map { "\($0.name) \($0.cidr)" } == Self.parts)
        #expect(try await pools(fixture.store) == Self.parts)
        for record in try await fixture.store.list(.resources(.ipPools)) {
            let pool = try IPPool(record)
            #expect(pool.spec.natOutgoing && pool.spec.blockSize == 28 && pool.metadata.annotations == nil)
        }
        try await lock(fixture, false)
        // Addresses stay, and are found by what they were.
        #expect(try await fixture.allocator().addresses(ofHandle: "a").map(\.address) == [address.address])
        let again = try await fixture.allocator().assign(request("b"))[0]
        #expect(again.block == address.block)
        try await fixture.allocator().release(handle: "a")
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// The store refuses one write after the other, for good: everything is as before.
    @Test(arguments: [true, false], 0..<7) func aFailureIsUndone(_ isAtomic: Bool, _ number: Int) async throws {
        let fixture = try await fixture(isAtomic)
        try await lock(fixture)
        let commits = CommitCounter()
        let store = FaultyDatastore(fixture.store) { operation, _ in
            // From this commit on, for as long as the operation tries.
            operation.isCommit && commits.next(failing: number, for: 40) ? .conflict : nil
        }
        let administration = IPAMAdministration(
            datastore: store,
            timeLimit: .milliseconds(20),
            clock: fixture.clock.allocatorClock
        )
        let split = try? await administration.split(into: 4) { $0.name == "default" }
        let left = try await pools(fixture.store)
        if split == nil {
            // Undone, or, where even that failed, taken up again.
            if left != ["default 10.80.0.0/24"] {
                _ = try await fixture.administration.split(into: 4) { $0.name == "default" }
                #expect(try await pools(fixture.store) == Self.parts)
            }
        } else {
            #expect(left == Self.parts)
        }
    }

    /// Killed after any of its writes: the next call goes on.
    @Test(arguments: 0..<6) func whatWasKilledGoesOn(_ number: Int) async throws {
        let fixture = try await fixture(false)
        try await lock(fixture)
        let commits = CommitCounter()
        // Nothing is written any more, not even to undo.
        let store = FaultyDatastore(fixture.store) { operation, _ in
            operation.isCommit && commits.next(failing: number, for: .max) ? .unavailable : nil
        }
        let administration = IPAMAdministration(
            datastore: store,
            timeLimit: .milliseconds(20),
            clock: fixture.clock.allocatorClock
        )
        await #expect(throws: IPAMError.self) { try await administration.split(into: 4) { $0.name == "default" } }
        _ = try await fixture.administration.split(into: 4) { $0.name == "default" }
        #expect(try await pools(fixture.store) == Self.parts)
    }

    /// The old pool is deleted though nobody heard of it, and then nothing more can be deleted: the pool is back first, so
    /// that the next call goes on.
    @Test func thePoolIsBackBeforeItsPartsGo() async throws {
        let fixture = try await fixture(false)
        try await lock(fixture)
        let pool = IPPool.recordKey("default")
        let uptime = fixture.clock.allocatorClock.uptime
        let timeLimit = Duration.milliseconds(20)
        let deleted = Mutex<ContinuousClock.Instant?>(nil)
        let store = FaultyDatastore(fixture.store) { operation, _ in
            switch operation {
            case .commit(let changes):
                guard case .delete(let key, _)? = changes.first else { return nil }
                guard key == pool else { return .unavailable }
                deleted.withLock { $0 = uptime() }
                return .lostReply
            // For as long as the deletion is attempted.
            case .read: return deleted.withLock { $0.map { uptime() <= $0 + timeLimit } ?? false } ? .unavailable : nil
            case .keys: return nil
            }
        }
        let administration = IPAMAdministration(
            datastore: store,
            timeLimit: timeLimit,
            clock: fixture.clock.allocatorClock
        )
        await #expect(throws: IPAMError.self) { try await administration.split(into: 4) { $0.name == "default" } }
        #expect(try await pools(fixture.store) == ["default 10.80.0.0/24 disabled"] + Self.parts)
        _ = try await fixture.administration.split(into: 4) { $0.name == "default" }
        #expect(try await pools(fixture.store) == Self.parts)
    }

    /// etcd does no more than 128 changes in one transaction, and the old pool is one of them.
    @Test(arguments: [(64, 1), (128, 130)]) func manyPartsAreMadeOneByOne(_ count: Int, _ commits: Int) async throws {
        let fixture = Fixture(MemoryDatastore())
        let pool = fixture.pool("10.80.0.0/16", blockSize: 28)
        try await fixture.administration.put(.pool(pool), existing: .refuse)
        try await lock(fixture)
        let store = FaultyDatastore(fixture.store)
        let administration = IPAMAdministration(datastore: store, clock: fixture.clock.allocatorClock)
        let split = try await administration.split(into: count) { $0.name == "default" }
        #expect(try await pools(fixture.store) == split.parts.map { "\($0.name) \($0.cidr)" }.sorted())
        let changes = store.operations.compactMap { operation -> Int? in
            if case .commit(let changes) = operation { changes.count } else { nil }
        }
        #expect(changes.count == commits && changes.allSatisfy { $0 <= 128 })
    }

    /// calicoctl cuts the name so that all parts have the same one.
    @Test func longNamesStayDifferent() throws {
        let name = String(repeating: "n", count: 253)
        let pool = IPPool(name: name, spec: .init(cidr: CIDR("10.0.0.0/16")!))
        let split = try PoolSplit(pool, into: 128)
        #expect(Set(split.parts.map(\.name)).count == 128)
        #expect(split.parts.allSatisfy { $0.name.utf8.count <= 253 && $0.problem == nil })
        #expect(split.parts.map(\.cidr) == split.parts.map(\.cidr).sorted())
    }
}

/// Counts commits, to let some of them fail.
private final class CommitCounter: Sendable {
    private let count = Mutex(0)

    func next(failing first: Int, for length: Int) -> Bool {
        let number = count.withLock { count in
            defer { count += 1 }
            return count
        }
        return number >= first && number - first < length
    }
}
