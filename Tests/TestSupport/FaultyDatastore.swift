import ClusterClient
import Synchronization

/// A store that can be told to misbehave in every step, over any other, for tests of what is built on a ``Datastore``.
public final class FaultyDatastore: Datastore {
    /// What happens to one call instead of success.
    public enum Fault: Hashable, Sendable {
        /// A commit fails as if someone else had written first.
        case conflict
        /// A commit is done, but the caller hears ``DatastoreError/Reason/unavailable``.
        case lostReply
        /// Nothing is done and the caller hears ``DatastoreError/Reason/unavailable``, as after a time-out.
        case unavailable
        /// A commit that is no transaction stops before the change with this index; of a transaction nothing is done.
        case stopBefore(Int)
    }

    public enum Operation: Hashable, Sendable {
        case read([RecordQuery])
        case keys(RecordCollection)
        case commit([RecordChange])

        public var isCommit: Bool { if case .commit = self { true } else { false } }
    }

    private let base: any Datastore
    private let log = Mutex<[Operation]>([])
    private let fault: @Sendable (Operation, Int) -> Fault?

    /// - Parameter fault: is told each operation and its number, from 0, before it is done.
    public init(_ base: any Datastore, fault: @escaping @Sendable (Operation, Int) -> Fault? = { _, _ in nil }) {
        self.base = base
        self.fault = fault
    }

    /// A store whose caller dies: from one operation on, nothing reaches it any more.
    ///
    /// - Parameters:
    ///   - step: the number of that operation, from 0.
    ///   - isDone: whether that operation, if it is a commit, is still done.
    public convenience init(_ base: any Datastore, dyingAt step: Int, isDone: Bool) {
        self.init(base) { operation, number in
            if number < step { return nil }
            return number == step && isDone && operation.isCommit ? .lostReply : .unavailable
        }
    }

    public var commitsAtomically: Bool { base.commitsAtomically }

    /// Everything that was asked of the store so far.
    public var operations: [Operation] { log.withLock { $0 } }

    public func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        try begin(.read(queries))
        return try await base.read(queries)
    }

    public func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey] {
        try begin(.keys(collection))
        return try await base.keys(collection)
    }

    public func looseAffinities() async throws(DatastoreError) -> [Record] { try await base.looseAffinities() }

    public func watch(_ query: RecordQuery) -> RecordWatch { base.watch(query) }

    public func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        switch try begin(.commit(changes)) {
        case .conflict: throw DatastoreError(.conflict, changes.first?.key, "injected")
        case .lostReply:
            _ = try await base.commit(changes)
            throw DatastoreError(.unavailable, "injected after the commit")
        case .stopBefore(let index):
            if !commitsAtomically, index > 0 { _ = try await base.commit(Array(changes.prefix(index))) }
            throw DatastoreError(.unavailable, "injected before change \(index)")
        case .unavailable, nil:
            return try await base.commit(changes)
        }
    }

    @discardableResult
    private func begin(_ operation: Operation) throws(DatastoreError) -> Fault? {
        let number = log.withLock { log in
            log.append(operation)
            return log.count - 1
        }
        let fault = fault(operation, number)
        if fault == .unavailable { throw DatastoreError(.unavailable, "injected") }
        return fault
    }
}
