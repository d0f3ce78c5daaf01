import ClusterClient
import FoundationEssentials
import JSON
import Logging
import NIOCore
import ServerTransport

/// The store that Calico keeps in etcd v3, shared by all nodes.
///
/// Records, keys and revisions are those of `reference/calico.md` 2.9. A commit is one transaction (E1 to E3), a read is a
/// snapshot of one revision whatever its size, and a revision is etcd's `mod_revision` in decimal (E5).
///
/// A transaction whose answer was lost is sent again until there is time no more, which its guards allow: the second can
/// only succeed when the first did not. When it fails, and the store holds just what it was to write, all of it written at
/// one revision, the commit is taken as done. Two writers that put the same bytes in the place of the same revision cannot
/// be told apart; should one of them lose its answer, both hear that they succeeded. That does no harm to records, whose
/// content says whom they are for, but a writer that only counts has to make its values differ.
public struct EtcdDatastore: Datastore {
    public let commitsAtomically = true

    let client: EtcdClient
    let root: EtcdRoot
    /// How many records a page has at first.
    private let pageSize: Int
    /// The most bytes that one answer may have.
    private let answerLimit: Int
    let silenceLimit: Duration

    /// How long a call tries, unless ``RequestDeadline`` comes first.
    public static let timeLimit: Duration = .seconds(8)

    /// - Throws: ``DatastoreError/Reason/failed`` when certificates or keys cannot be used. Nothing is sent yet.
    public init(
        _ configuration: EtcdConfiguration,
        timeLimit: Duration = Self.timeLimit,
        logger: Logger
    ) throws(DatastoreError) {
        try self.init(
            configuration,
            timeLimit: timeLimit,
            prefix: EtcdRoot.calico.prefix,
            logger: logger
        )
    }

    /// For tests: several stores in one etcd by a prefix of their own, and other limits. `silenceLimit` is how long a watch
    /// may say nothing before it is opened anew.
    package init(
        _ configuration: EtcdConfiguration,
        timeLimit: Duration = Self.timeLimit,
        prefix: String,
        pageSize: Int = 500,
        answerLimit: Int = 64 << 20,
        silenceLimit: Duration = .seconds(60),
        logger: Logger
    ) throws(DatastoreError) {
        do throws(TransportError) {
            client = try EtcdClient(configuration, timeLimit: timeLimit, logger: logger)
        } catch {
            throw EtcdFailure(error).datastoreError
        }
        root = EtcdRoot(prefix: prefix)
        self.pageSize = pageSize
        self.answerLimit = answerLimit
        self.silenceLimit = silenceLimit
    }

    /// Lets go of all connections; calls fail from now on.
    public func shutdown() async { await client.shutdown() }

    /// Whether the store can be used: a member answers with a majority behind it, and we may read.
    public func health() async throws(DatastoreError) {
        _ = try await answers([EtcdRange(.record(.ipamConfiguration), under: root)], keysOnly: true)
    }

    // MARK: Reading

    public func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        try await snapshot(queries).answers
    }

    /// The answers, and the revision of the store that they are of.
    func snapshot(_ queries: [RecordQuery]) async throws(DatastoreError) -> (answers: [[Record]], revision: Int64) {
        guard !queries.isEmpty else { return ([], 0) }
        var ranges: [EtcdRange] = []
        for query in queries { ranges.append(try EtcdRange(query, under: root)) }
        let (found, revision) = try await answers(ranges, keysOnly: false)
        var answers: [[Record]] = []
        for (range, keyValues) in zip(ranges, found) {
            answers.append(keyValues.compactMap { range.record($0) }.sorted { $0.key < $1.key })
        }
        return (answers, revision)
    }

    public func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey] {
        let range = try EtcdRange(.collection(collection), under: root)
        return try await answers([range], keysOnly: true).found[0].compactMap { range.recordKey($0.key) }.sorted()
    }

    public func looseAffinities() async throws(DatastoreError) -> [Record] {
        let range = EtcdRange(hostAffinitiesUnder: root)
        return try await answers([range], keysOnly: false).found[0].compactMap { range.record($0) }
            .sorted { $0.key < $1.key }
    }

    /// What the ranges hold, in pages, all of one revision.
    private func answers(
        _ ranges: [EtcdRange],
        keysOnly: Bool
    ) async throws(DatastoreError) -> (found: [[KeyValue]], revision: Int64) {
        for attempt in 1... {
            do throws(EtcdFailure) {
                return try await pages(ranges, keysOnly: keysOnly)
            } catch {
                // The history was compacted between two pages.
                guard error.kind == .compacted, attempt < 5 else { throw error.datastoreError }
            }
        }
        throw DatastoreError(.unavailable, "etcd compacts faster than it can be read")
    }

    private func pages(
        _ ranges: [EtcdRange],
        keysOnly: Bool
    ) async throws(EtcdFailure) -> (found: [[KeyValue]], revision: Int64) {
        var found = [[KeyValue]](repeating: [], count: ranges.count)
        var revision: Int64 = 0
        var limit = pageSize
        var batchSize = Self.operationLimit
        var rest = Array(ranges.indices)
        while !rest.isEmpty {
            // A transaction has no more than 128 operations.
            let batch = rest.prefix(batchSize)
            let requests = batch.map { index in
                let range = ranges[index]
                // The least key behind the last one.
                let start = found[index].last.map { $0.key + "\0" } ?? range.start
                let pageLimit = range.end == nil ? 0 : limit
                return RangeRequest(
                    key: start,
                    end: range.end,
                    limit: pageLimit,
                    revision: revision,
                    keysOnly: keysOnly
                )
            }
            let answer: TransactionAnswer
            let source: EtcdClient.Answer
            do throws(EtcdFailure) {
                (answer, source) = try await ask(requests)
            } catch {
                guard error.kind == .answerTooLarge, limit > 1 || batch.count > 1 else { throw error }
                limit = max(1, limit / 4)
                batchSize = max(1, batchSize / 4)
                continue
            }
            if revision == 0 { revision = answer.revision }
            rest.removeFirst(batch.count)
            for (index, page) in zip(batch, answer.answers) {
                try source.check(page, ranges[index], after: found[index].last?.key)
                found[index] += page.keyValues
                if page.hasMore { rest.append(index) }
            }
        }
        return (found, revision)
    }

    private func ask(
        _ requests: [RangeRequest]
    ) async throws(EtcdFailure) -> (TransactionAnswer, EtcdClient.Answer) {
        if let request = requests.first, requests.count == 1 {
            let answer = try await client.send("/v3/kv/range", request.body, bodyLimit: answerLimit)
            let range = try answer.decode { (reader) throws(JSONReader.Failure) in try RangeAnswer(from: &reader) }
            guard range.revision > 0 else { throw answer.unintelligible("it has no revision") }
            return (TransactionAnswer(revision: range.revision, succeeded: true, answers: [range]), answer)
        }
        let answer = try await client.send("/v3/kv/txn", RangeRequest.transaction(requests), bodyLimit: answerLimit)
        return (try answer.decodeTransaction(of: requests.count), answer)
    }

    static let operationLimit = 128
}

extension EtcdRange {
    /// `nil` when the key is no record of ours.
    func record(_ keyValue: KeyValue) -> Record? {
        guard let key = recordKey(keyValue.key) else { return nil }
        // Calico's first releases wrote affinities without content (2.9).
        var value = keyValue.value
        if value.isEmpty, case .blockAffinity = key { value = Data("{}".utf8) }
        return Record(key: key, value: value, revision: Revision(String(keyValue.modRevision)))
    }
}

extension EtcdClient.Answer {
    func decode<Value>(
        _ value: (inout JSONReader) throws(JSONReader.Failure) -> Value
    ) throws(EtcdFailure) -> Value {
        do throws(JSONReader.Failure) {
            return try body.readJSON(value)
        } catch {
            throw unintelligible("\(error)")
        }
    }

    func decodeTransaction(of count: Int) throws(EtcdFailure) -> TransactionAnswer {
        let answer = try decode { (reader) throws(JSONReader.Failure) in try TransactionAnswer(from: &reader) }
        guard answer.revision > 0, answer.answers.count == count else {
            throw unintelligible("it has \(answer.answers.count) parts in the place of \(count), or no revision")
        }
        return answer
    }

    /// Refuses keys that were not asked for, or that would be asked for over and over.
    fileprivate func check(_ page: RangeAnswer, _ range: EtcdRange, after last: String?) throws(EtcdFailure) {
        var last = last
        for keyValue in page.keyValues {
            let isInOrder = last.map { $0.utf8.lexicographicallyPrecedes(keyValue.key.utf8) } ?? true
            guard range.contains(keyValue.key), isInOrder, keyValue.modRevision > 0 else {
                throw unintelligible("it has keys that were not asked for")
            }
            last = keyValue.key
        }
        guard !page.hasMore || !page.keyValues.isEmpty && range.end != nil else {
            throw unintelligible("it promises more keys than there are")
        }
    }

    func unintelligible(_ problem: String) -> EtcdFailure {
        EtcdFailure(.unintelligible, "\(server): the answer is not etcd's: \(problem)")
    }
}
