import ClusterClient
import Synchronization

/// A store that is asked in one go, at the start of a verb, for what the verb is going to read step by step.
///
/// A verb's steps each read what they need, some of it the same; over a network every read is a round trip. What was
/// read ahead is given as the answer until it is written; when a write fails, everything is read anew. An answer is so as old
/// as the verb at most, and what is written on its ground is guarded by its revision.
final class ReadAhead: Datastore {
    let base: any Datastore
    private let answers = Mutex<[RecordQuery: [Record]]>([:])

    init(_ base: any Datastore) {
        self.base = base
    }

    var commitsAtomically: Bool { base.commitsAtomically }

    /// Reads what will be asked for.
    func prepare(_ queries: [RecordQuery]) async throws(DatastoreError) {
        let results = try await base.read(queries)
        answers.withLock { answers in
            for (query, result) in zip(queries, results) { answers[query] = result }
        }
    }

    /// Takes it that a record does not exist, unless it was read. A wrong guess makes its creation fail, upon which
    /// everything is read anew.
    func assumeAbsent(_ key: RecordKey) {
        answers.withLock { answers in
            if answers[.record(key)] == nil { answers[.record(key)] = [] }
        }
    }

    func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        let known = answers.withLock { answers in queries.map { answers[$0] } }
        let missing = queries.indices.filter { known[$0] == nil }
        let read = missing.isEmpty ? [] : try await base.read(missing.map { queries[$0] })
        var result = known.map { $0 ?? [] }
        for (index, records) in zip(missing, read) { result[index] = records }
        return result
    }

    func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey] {
        try await base.keys(collection)
    }

    func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        do throws(DatastoreError) {
            let revisions = try await base.commit(changes)
            let keys = Set(changes.map(\.key))
            answers.withLock { answers in
                answers = answers.filter { query, records in
                    switch query {
                    case .record(let key): !keys.contains(key)
                    // What was created may belong to it.
                    case .collection(let collection): !keys.contains { collection.isOfSameKind(as: $0) }
                    }
                }
            }
            return revisions
        } catch {
            answers.withLock { $0 = [:] }
            throw error
        }
    }

    func watch(_ query: RecordQuery) -> RecordWatch { base.watch(query) }
}

extension RecordCollection {
    fileprivate func isOfSameKind(as key: RecordKey) -> Bool {
        switch (self, key) {
        case (.blocks, .block), (.blockAffinities, .blockAffinity), (.handles, .handle): true
        case (.resources(let kind), .resource(let other, _, _)): kind == other
        default: false
        }
    }
}
