import ClusterClient
import Foundation
import NetworkTypes
import Synchronization

/// A store in memory, for tests of what is built on a ``Datastore``; see ``FaultyDatastore`` for one that misbehaves.
public final class MemoryDatastore: Datastore {
    private struct State {
        /// By collection, `nil` for records that are in none, so that no question is about more than it asks for.
        var records: [RecordCollection?: [RecordKey: Record]] = [:]
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
        state.withLock { state in state.records[collection, default: [:]].keys.sorted() }
    }

    public func looseAffinities() async throws(DatastoreError) -> [Record] {
        state.withLock { state in state.records.values.joined().map(\.value) }
            .filter { if case .blockAffinity(.host, _) = $0.key { true } else { false } }
            .sorted { $0.key < $1.key }
    }

    public func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        guard Set(changes.map(\.key)).count == changes.count else {
            throw DatastoreError(.failed, "one commit names a record twice")
        }
        defer { for watcher in state.withLock({ Array($0.watchers.values) }) { watcher.yield() } }
        if commitsAtomically {
            return try state.withLock { state throws(DatastoreError) in
                for change in changes { try Self.check(change, state) }
                return changes.map { Self.apply($0, &state) }
            }
        }
        var revisions: [Revision?] = []
        for change in changes {
            await Task.yield()
            let revision = try state.withLock { state throws(DatastoreError) in
                try Self.check(change, state)
                return Self.apply(change, &state)
            }
            revisions.append(revision)
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
            state.records[key.collection]?[key].map { [$0] } ?? []
        case .collection(let collection):
            state.records[collection, default: [:]].values.sorted { $0.key < $1.key }
        }
    }

    /// Throws when the store is not as the change expects it.
    private static func check(_ change: RecordChange, _ state: State) throws(DatastoreError) {
        let current = state.records[change.key.collection]?[change.key]
        switch change {
        case .create:
            guard current == nil else { throw DatastoreError(.alreadyExists, change.key, "exists") }
        case .update(_, _, let revision), .delete(_, let revision):
            guard let current else { throw DatastoreError(.notFound, change.key, "no such record") }
            guard current.revision == revision else {
                throw DatastoreError(.conflict, change.key, "written since")
            }
        }
    }

    private static func apply(_ change: RecordChange, _ state: inout State) -> Revision? {
        state.sequence += 1
        switch change {
        case .create(let key, let value), .update(let key, let value, _):
            let revision = Revision("\(state.sequence)")
            state.records[key.collection, default: [:]][key] = Record(key: key, value: value, revision: revision)
            return revision
        case .delete(let key, _):
            state.records[key.collection]?[key] = nil
            return nil
        }
    }
}

extension RecordKey {
    /// The only collection that the key belongs to; `nil` for the settings of IPAM, which are alone.
    fileprivate var collection: RecordCollection? {
        switch self {
        case .block(let cidr): .blocks(cidr.family)
        case .blockAffinity(let owner, let cidr): .blockAffinities(owner, cidr.family)
        case .handle: .handles
        case .ipamConfiguration: nil
        case .resource(let kind, _, _): .resources(kind)
        }
    }
}

extension RecordCollection {
    /// Whether a key belongs to the collection.
    public func contains(_ key: RecordKey) -> Bool { key.collection == self }
}
