import ClusterClient
import JSON
import NIOCore
import ServerTransport
import Synchronization

extension EtcdDatastore {
    /// Watches by `/v3/watch`, from the revision of a first read on, and again from where it was when the stream ends.
    ///
    /// TCP notices a peer that is gone (see ServerTransport). A server that hangs while its kernel still answers is noticed
    /// by its silence: after a minute without a word the stream is opened anew, which loses nothing and costs one request.
    public func watch(_ query: RecordQuery) -> RecordWatch {
        RecordWatch { (sink) async throws(DatastoreError) in
            try await EtcdWatch(store: self, query: query, range: EtcdRange(query, under: root), sink: sink).run()
        }
    }
}

private struct EtcdWatch: Sendable {
    let store: EtcdDatastore
    let query: RecordQuery
    let range: EtcdRange
    let sink: RecordWatch.Sink

    func run() async throws(DatastoreError) {
        var pause = Self.firstPause
        while !Task.isCancelled {
            let snapshot: (answers: [[Record]], revision: Int64)
            do throws(DatastoreError) {
                snapshot = try await store.snapshot([query])
            } catch {
                guard error.reason == .unavailable, await Self.wait(&pause) else { throw error }
                continue
            }
            guard await sink.send(.snapshot(snapshot.answers.first ?? [])) else { return }
            try await follow(from: snapshot.revision + 1)
        }
    }

    /// Tells the changes from a revision on, until the history of it is gone.
    private func follow(from revision: Int64) async throws(DatastoreError) {
        let position = WatchPosition(revision)
        var pause = Self.firstPause
        while !Task.isCancelled {
            let before = position.revision
            do throws(EtcdFailure) {
                try await stream(position)
                pause = Self.firstPause
            } catch {
                switch error.kind {
                case .compacted: return
                case .cancelled where Task.isCancelled: return
                case .unauthenticated: store.client.forgetLogin()
                case .refused, .authenticationIsOff, .answerTooLarge: throw error.datastoreError
                case .unreachable, .unavailable, .unintelligible, .cancelled: break
                }
                if position.revision != before { pause = Self.firstPause }
                guard await Self.wait(&pause) else { return }
            }
        }
    }

    private static let firstPause = Duration.milliseconds(20)

    /// `false` when the task was cancelled.
    private static func wait(_ pause: inout Duration) async -> Bool {
        do { try await Task.sleep(for: pause * Double.random(in: 0.5...1)) } catch { return false }
        pause = min(pause * 2, .seconds(5))
        return true
    }

    /// One stream, to its end. Returns when it was only silent for too long.
    private func stream(_ position: WatchPosition) async throws(EtcdFailure) {
        let request = WatchRequest(key: range.start, end: range.end, startRevision: position.revision)
        let (response, server) = try await store.client.open("/v3/watch", request.body)
        let silence = Silence(limit: store.silenceLimit)
        let result = await withTaskGroup(of: Result<Void, EtcdFailure>?.self) { group in
            group.addTask {
                do throws(EtcdFailure) {
                    return .success(try await receive(response, server, position, silence))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                await silence.waitUntilTooLong()
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        guard let result else {
            store.client.skip(server)
            return
        }
        do throws(EtcdFailure) {
            try result.get()
        } catch {
            if error.kind != .compacted { store.client.skip(server) }
            throw error
        }
    }

    private func receive(
        _ response: StreamedResponse,
        _ server: ServerAddress,
        _ position: WatchPosition,
        _ silence: Silence
    ) async throws(EtcdFailure) {
        var lines = LineBuffer(limit: 16 << 20)
        do {
            for try await piece in response.body {
                silence.pause()
                lines.append(piece)
                while let line = try lines.next() {
                    guard try await take(line, server, position) else { return }
                }
                silence.begin()
            }
        } catch let error as EtcdFailure {
            throw error
        } catch is LineBuffer.TooLong {
            throw EtcdFailure(.unintelligible, "\(server): a message of a watch is longer than 16 MiB")
        } catch {
            throw EtcdFailure(TransportError(error, server: server.description))
        }
        throw EtcdFailure(.unavailable, "\(server): the watch ended")
    }

    /// Tells what a message says; `false` when nobody listens any more.
    private func take(
        _ line: ByteBuffer,
        _ server: ServerAddress,
        _ position: WatchPosition
    ) async throws(EtcdFailure) -> Bool {
        let message: WatchMessage
        do throws(JSONReader.Failure) {
            message = try WatchMessage(line: line)
        } catch {
            throw EtcdFailure(.unintelligible, "\(server): a message of a watch is not etcd's: \(error)")
        }
        if let error = message.error { throw store.client.failure(error, server) }
        if message.compactRevision > 0 { throw EtcdFailure(.compacted, "\(server): the revision was compacted") }
        if message.isCanceled { throw canceled(message.cancelReason, server) }
        for event in message.events {
            let keyValue = event.keyValue
            guard range.contains(keyValue.key) else {
                throw EtcdFailure(.unintelligible, "\(server): a watch tells of a key that is not watched")
            }
            guard position.isNew(keyValue), let key = range.recordKey(keyValue.key) else { continue }
            let told: RecordEvent? = event.isDeletion ? .removed(key) : range.record(keyValue).map { .put($0) }
            if let told {
                guard await sink.send(told) else { return false }
            }
            position.note(keyValue)
        }
        if !message.isFragment {
            // A message without events is a sign of life, which covers all changes before it.
            let last = message.events.last?.keyValue.modRevision ?? (message.isCreated ? 0 : message.revision)
            position.complete(last)
        }
        return true
    }

    /// Reasons are texts of gRPC errors: `rpc error: code = PermissionDenied desc = …`.
    private func canceled(_ reason: String, _ server: ServerAddress) -> EtcdFailure {
        let codes = [("PermissionDenied", 7), ("permission denied", 7), ("Unauthenticated", 16), ("auth token", 16)]
        let code = codes.first { !reason.ranges(of: $0.0).isEmpty }?.1
        return store.client.failure(GatewayError(code: code ?? 14, message: "watch canceled: \(reason)"), server)
    }
}

/// How far a watch has come. One event is told apart from another by revision and key.
private final class WatchPosition: Sendable {
    private struct State {
        /// Everything before it was told.
        var revision: Int64
        /// What was told of this revision, whose events may come in several messages.
        var keys: Set<String> = []
    }

    private let state: Mutex<State>

    init(_ revision: Int64) {
        state = Mutex(State(revision: revision))
    }

    /// Where to go on.
    var revision: Int64 { state.withLock(\.revision) }

    func isNew(_ keyValue: KeyValue) -> Bool {
        state.withLock { state in
            keyValue.modRevision > state.revision
                || keyValue.modRevision == state.revision && !state.keys.contains(keyValue.key)
        }
    }

    func note(_ keyValue: KeyValue) {
        state.withLock { state in
            if keyValue.modRevision > state.revision { state = State(revision: keyValue.modRevision) }
            state.keys.insert(keyValue.key)
        }
    }

    /// All changes up to this revision were told.
    func complete(_ revision: Int64) {
        state.withLock { state in
            if revision >= state.revision { state = State(revision: revision + 1) }
        }
    }
}

/// How long a stream has said nothing while we listened.
private final class Silence: Sendable {
    private let limit: Duration
    private let start: Mutex<ContinuousClock.Instant?>

    init(limit: Duration) {
        self.limit = limit
        start = Mutex(.now)
    }

    func begin() { start.withLock { $0 = .now } }
    func pause() { start.withLock { $0 = nil } }

    /// Returns when it took too long, or the task is cancelled.
    func waitUntilTooLong() async {
        while true {
            let now = ContinuousClock.now
            let end = (start.withLock { $0 } ?? now) + limit
            guard now < end else { return }
            do { try await Task.sleep(until: end, clock: .continuous) } catch { return }
        }
    }
}
