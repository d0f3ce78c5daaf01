import Synchronization

/// A store for one short operation, such as a call of the CNI plugin, that reads in one request what its steps will ask
/// for one after the other, and nothing twice.
///
/// From ``readAhead(_:)`` on, answers are remembered for ``lifetime``. What is remembered may be older than what the store
/// holds; that is no different from reading early, since every write is guarded by the revision that it was decided on. A
/// commit makes the records forgotten that it wrote; one that fails makes everything forgotten, so that whoever tries
/// again sees what got in between.
public final class ReadAheadDatastore: Datastore {
    /// How long an answer is good for: an operation whose steps take longer waits for something, and asks again.
    public static let lifetime: Duration = .seconds(2)

    private struct Memory {
        /// Few, and each looked up a few times: a table of hashes would cost more than it saves.
        private(set) var answers: [(query: RecordQuery, records: [Record])] = []
        /// The records that were asked for since and exist, each once.
        var found: [RecordKey] = []
        var end: ContinuousClock.Instant?

        var isOpen: Bool { end.map { ContinuousClock.now < $0 } ?? false }

        init(end: ContinuousClock.Instant? = nil) {
            self.end = end
        }

        func answer(to query: RecordQuery) -> [Record]? { answers.first { $0.query == query }?.records }

        mutating func remember(_ query: RecordQuery, _ records: [Record]) {
            answers.removeAll { $0.query == query }
            answers.append((query, records))
        }

        mutating func forget(where isForgotten: (RecordQuery) -> Bool) {
            answers.removeAll { isForgotten($0.query) }
        }
    }

    private let base: any Datastore
    private let memory = Mutex(Memory())

    public init(_ base: any Datastore) {
        self.base = base
    }

    public var commitsAtomically: Bool { base.commitsAtomically }

    /// Reads what the steps of an operation are going to read, and begins to remember.
    public func readAhead(_ queries: [RecordQuery]) async throws(DatastoreError) {
        memory.withLock { $0 = Memory(end: .now + Self.lifetime) }
        _ = try await answers(queries)
    }

    /// The records that were asked for by their keys since ``readAhead(_:)`` and that there are, whether it had read them or
    /// not, in order.
    public var found: [RecordKey] { memory.withLock { $0.found } }

    /// Takes it that a record does not exist, unless it was read, which saves a request for what is nearly always so. A
    /// wrong guess makes the record's creation fail, upon which everything is read anew.
    public func assumeAbsent(_ key: RecordKey) {
        memory.withLock { memory in
            if memory.isOpen, memory.answer(to: .record(key)) == nil { memory.remember(.record(key), []) }
        }
    }

    /// Reads blocks anew, which all calls of a host write to; the rest is hardly ever another's.
    public func forgetBlocks() { memory.withLock { $0.forget { $0.isBlock } } }

    public func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        let answers = try await answers(queries)
        memory.withLock { memory in
            guard memory.isOpen else { return }
            for (query, records) in zip(queries, answers) {
                guard case .record(let key) = query, !records.isEmpty, !memory.found.contains(key) else { continue }
                memory.found.append(key)
            }
        }
        return answers
    }

    private func answers(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        var found = memory.withLock { memory in
            queries.map { memory.isOpen ? memory.answer(to: $0) : nil }
        }
        let missing = queries.indices.filter { found[$0] == nil }
        guard !missing.isEmpty else { return found.map { $0 ?? [] } }
        let answers = try await base.read(missing.map { queries[$0] })
        for (index, answer) in zip(missing, answers) { found[index] = answer }
        memory.withLock { memory in
            guard memory.isOpen else { return }
            // All blocks of a large cluster are looked through once and not worth their room.
            for (index, answer) in zip(missing, answers) where !queries[index].isAllBlocks {
                memory.remember(queries[index], answer)
            }
        }
        return found.map { $0 ?? [] }
    }

    public func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey] {
        try await base.keys(collection)
    }

    public func looseAffinities() async throws(DatastoreError) -> [Record] { try await base.looseAffinities() }

    public func watch(_ query: RecordQuery) -> RecordWatch { base.watch(query) }

    public func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        let keys = changes.map(\.key)
        do throws(DatastoreError) {
            let revisions = try await base.commit(changes)
            memory.withLock { $0.forget { $0.mayAnswer(keys) } }
            return revisions
        } catch {
            memory.withLock { $0.forget { _ in true } }
            throw error
        }
    }
}

extension RecordQuery {
    fileprivate var isBlock: Bool { if case .record(.block) = self { true } else { isAllBlocks } }

    fileprivate var isAllBlocks: Bool { if case .collection(.blocks) = self { true } else { false } }

    /// Whether one of the keys is in the answer, or might be.
    fileprivate func mayAnswer(_ keys: [RecordKey]) -> Bool {
        switch self {
        case .record(let key): keys.contains(key)
        case .collection(let collection): keys.contains { $0.calicoPath.starts(with: collection.calicoPath) }
        }
    }
}
