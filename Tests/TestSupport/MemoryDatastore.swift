import ClusterClient
import Foundation
import NetworkTypes
import Synchronization

/// A store in memory, for tests of what is built on a ``Datastore``; see ``FaultyDatastore`` for one that misbehaves.
public final class MemoryDatastore: Datastore {
    private struct State {
        var records: [RecordKey: Record] = [:]
        var sequence = 0
        var watchers: [Int: AsyncStream<Void>.Continuation] = [:]
        var watchersEver = 0
    }

    public let commitsAtomically: Bool
    private let state = Mutex(State())

    public init(commitsAtomically: Bool = true) {
        self.commitsAtomically = commitsAtomically
    }

    public func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        if commitsAtomically {
            return state.withLock { state in queries.map { Self.answer($0, state) } }
        }
        var answers: [[Record]] = []
        for query in queries {
            await Task.yield()
            answers.append(state.withLock { Self.answer(query, $0) })
        }
        return answers
    }

    public func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey] {
        state.withLock { state in state.records.keys.filter(collection.contains).sorted() }
    }

    public func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        guard Set(changes.map(\.key)).count == changes.count else {
            throw DatastoreError(.failed, "one commit names a record twice")
        }
        defer { for watcher in state.withLock({ Array($0.watchers.values) }) { watcher.yield() } }
        var revisions: [Revision?] = []
        if commitsAtomically {
            let result = state.withLock { state -> Result<[Revision?], DatastoreError> in
                var copy = state
                var revisions: [Revision?] = []
                for change in changes {
                    switch Self.apply(change, &copy) {
                    case .success(let revision): revisions.append(revision)
                    case .failure(let error): return .failure(error)
                    }
                }
                state = copy
                return .success(revisions)
            }
            revisions = try result.get()
        } else {
            for change in changes {
                await Task.yield()
                revisions.append(try state.withLock { Self.apply(change, &$0) }.get())
            }
        }
        return revisions
    }

    public func watch(_ query: RecordQuery) -> RecordWatch {
        let (changes, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state in
            state.watchersEver += 1
            state.watchers[state.watchersEver] = continuation
            return state.watchersEver
        }
        continuation.onTermination = { [self] _ in _ = state.withLock { $0.watchers.removeValue(forKey: number) } }
        return RecordWatch(
            query,
            rereading: { [self] (query) async throws(DatastoreError) in state.withLock { Self.answer(query, $0) } },
            after: changes
        )
    }

    private static func answer(_ query: RecordQuery, _ state: State) -> [Record] {
        switch query {
        case .record(let key):
            state.records[key].map { [$0] } ?? []
        case .collection(let collection):
            state.records.values.filter { collection.contains($0.key) }.sorted { $0.key < $1.key }
        }
    }

    private static func apply(_ change: RecordChange, _ state: inout State) -> Result<Revision?, DatastoreError> {
        let current = state.records[change.key]
        switch change {
        case .create:
            guard current == nil else { return .failure(DatastoreError(.alreadyExists, change.key, "exists")) }
        case .update(_, _, let revision), .delete(_, let revision):
            guard let current else { return .failure(DatastoreError(.notFound, change.key, "no such record")) }
            guard current.revision == revision else {
                return .failure(DatastoreError(.conflict, change.key, "written since"))
            }
        }
        state.sequence += 1
        switch change {
        case .create(let key, let value), .update(let key, let value, _):
            let revision = Revision("\(state.sequence)")
            state.records[key] = Record(key: key, value: value, revision: revision)
            return .success(revision)
        case .delete(let key, _):
            state.records[key] = nil
            return .success(nil)
        }
    }
}

extension RecordCollection {
    /// Whether a key belongs to the collection.
    public func contains(_ key: RecordKey) -> Bool {
        switch (self, key) {
        case (.blocks(let family), .block(let cidr)): cidr.family == family
        case (.blockAffinities(let owner, let family), .blockAffinity(let other, let cidr)):
            owner == other && cidr.family == family
        case (.handles, .handle): true
        case (.resources(let kind), .resource(let other, _, _)): kind == other
        default: false
        }
    }
}
