import ClusterClient
import Synchronization

/// A store in which something happens just before a commit: the moment in which rivals meet.
public final class InterleavedDatastore: Datastore {
    private let base: any Datastore
    private let before: @Sendable (Int) async -> Void
    private let commits = Mutex(0)

    /// - Parameter before: is told the number of each commit, from 0, and awaited.
    public init(_ base: any Datastore, before: @escaping @Sendable (Int) async -> Void) {
        self.base = base
        self.before = before
    }

    public var commitsAtomically: Bool { base.commitsAtomically }

    public func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        try await base.read(queries)
    }

    public func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey] {
        try await base.keys(collection)
    }

    public func looseAffinities() async throws(DatastoreError) -> [Record] { try await base.looseAffinities() }

    public func watch(_ query: RecordQuery) -> RecordWatch { base.watch(query) }

    public func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        let number = commits.withLock { count in
            defer { count += 1 }
            return count
        }
        await before(number)
        return try await base.commit(changes)
    }
}
