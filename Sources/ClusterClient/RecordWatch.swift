/// What became of watched records.
public enum RecordEvent: Hashable, Sendable {
    /// All records that the query answers, ordered by key, in the place of everything that was told before.
    ///
    /// The first event is one. Another one means that changes were missed which the store no longer tells one by one
    /// (compaction in etcd, 410 Gone from Kubernetes): records that are not in it are gone.
    case snapshot([Record])
    /// A record was created or updated.
    case put(Record)
    /// A record was deleted.
    case removed(RecordKey)
}

/// A sequence of changes in a store.
///
/// Whoever applies the events in order holds, after each, a state that the store has had, and in the end the state that
/// it has. There is no gap: what happens between two events that are told is told too, also when the connection is cut or
/// the store is restarted. Of one record the events come in the order of the writes and an older state never follows a
/// newer one, but writes in quick succession may be told as one, with the last state. Records that one transaction changed
/// are told one after the other.
///
/// While the store is unavailable the sequence waits and tries again, without end. It throws what no waiting cures: a key
/// that cannot be stored, a damaged record, a store that refuses access. It ends when the task that iterates is cancelled,
/// and can be iterated once. Of a consumer that is slow only a few events are kept in memory; the rest waits in the store.
public struct RecordWatch: AsyncSequence, Sendable {
    private let events: AsyncStream<Result<RecordEvent, DatastoreError>>

    /// A watch that `produce` feeds, in a task of its own until the watch is dropped or `produce` throws.
    public init(_ produce: @escaping @Sendable (Sink) async throws(DatastoreError) -> Void) {
        let (events, continuation) = AsyncStream.makeStream(
            of: Result<RecordEvent, DatastoreError>.self,
            bufferingPolicy: .bufferingOldest(Self.capacity)
        )
        self.events = events
        let task = Task {
            let sink = Sink(continuation: continuation)
            do throws(DatastoreError) {
                try await produce(sink)
            } catch {
                await sink.deliver(.failure(error))
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
    }

    private static let capacity = 64

    /// Where the events of a watch go in.
    public struct Sink: Sendable {
        fileprivate let continuation: AsyncStream<Result<RecordEvent, DatastoreError>>.Continuation

        /// Hands an event over, after waiting for room; returns whether anybody still listens.
        @discardableResult
        public func send(_ event: RecordEvent) async -> Bool { await deliver(.success(event)) }

        @discardableResult
        fileprivate func deliver(_ result: Result<RecordEvent, DatastoreError>) async -> Bool {
            var pause = Duration.milliseconds(1)
            while true {
                switch continuation.yield(result) {
                case .enqueued: return true
                case .dropped: break
                case .terminated: return false
                @unknown default: return false
                }
                do { try await Task.sleep(for: pause) } catch { return false }
                pause = Swift.min(pause * 2, .milliseconds(50))
            }
        }
    }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate var base: AsyncStream<Result<RecordEvent, DatastoreError>>.Iterator

        public mutating func next() async throws(DatastoreError) -> RecordEvent? {
            try await next(isolation: nil)
        }

        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(DatastoreError) -> RecordEvent? {
            try await base.next(isolation: actor)?.get()
        }
    }

    public func makeAsyncIterator() -> Iterator { Iterator(base: events.makeAsyncIterator()) }
}

extension RecordWatch {
    /// A watch for stores that tell only that something changed: it reads again then, and tells the difference.
    ///
    /// - Parameter changes: has an element after each change, or after several; elements that come while a read is under
    ///   way must not be lost. It ends only when the watch does.
    public init(
        _ query: RecordQuery,
        rereading read: @escaping @Sendable (RecordQuery) async throws(DatastoreError) -> [Record],
        after changes: some AsyncSequence<Void, Never> & Sendable
    ) {
        self.init { (sink) async throws(DatastoreError) in
            var known: [RecordKey: Revision]?
            var changes = changes.makeAsyncIterator()
            repeat {
                let records = try await Self.untilAvailable { () async throws(DatastoreError) in try await read(query) }
                guard let records else { return }
                if let old = known {
                    for event in Self.difference(from: old, to: records) {
                        guard await sink.send(event) else { return }
                    }
                } else {
                    guard await sink.send(.snapshot(records)) else { return }
                }
                known = Dictionary(records.map { ($0.key, $0.revision) }) { $1 }
            } while await changes.next(isolation: nil) != nil
        }
    }

    /// Tries until the store is available; `nil` when the task was cancelled.
    private static func untilAvailable<Answer>(
        _ body: () async throws(DatastoreError) -> Answer
    ) async throws(DatastoreError) -> Answer? {
        var pause = Duration.milliseconds(50)
        while true {
            do throws(DatastoreError) {
                return try await body()
            } catch {
                guard error.reason == .unavailable else { throw error }
            }
            do { try await Task.sleep(for: pause * Double.random(in: 0.5...1)) } catch { return nil }
            pause = Swift.min(pause * 2, .seconds(5))
        }
    }

    private static func difference(from old: [RecordKey: Revision], to records: [Record]) -> [RecordEvent] {
        var gone = old
        var puts: [RecordEvent] = []
        for record in records where gone.removeValue(forKey: record.key) != record.revision {
            puts.append(.put(record))
        }
        return gone.keys.sorted().map { .removed($0) } + puts
    }
}
