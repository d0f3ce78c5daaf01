import ClusterClient
import Glibc
import Synchronization

/// A store whose user is killed at one operation on it.
struct DyingDatastore: Datastore {
    let base: any Datastore
    /// Counts operations from 0.
    let step: Int
    /// Whether the operation is done first.
    let isAfter: Bool
    private let count = Counter()

    private final class Counter: Sendable {
        let value = Atomic(0)
    }

    init(base: any Datastore, step: Int, isAfter: Bool) {
        self.base = base
        self.step = step
        self.isAfter = isAfter
    }

    var commitsAtomically: Bool { base.commitsAtomically }

    func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        try await dying { () async throws(DatastoreError) in try await base.read(queries) }
    }

    func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey] {
        try await dying { () async throws(DatastoreError) in try await base.keys(collection) }
    }

    func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        try await dying { () async throws(DatastoreError) in try await base.commit(changes) }
    }

    func watch(_ query: RecordQuery) -> RecordWatch { base.watch(query) }

    private func dying<Answer>(_ body: () async throws(DatastoreError) -> Answer) async throws(DatastoreError) -> Answer
    {
        let isTheOne = count.value.add(1, ordering: .relaxed).oldValue == step
        if isTheOne, !isAfter { kill(getpid(), SIGKILL) }
        let answer = try await body()
        if isTheOne { kill(getpid(), SIGKILL) }
        return answer
    }
}
