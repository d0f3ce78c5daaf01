import KubernetesAPI
import Logging
import NIOCore
import Synchronization

/// Reports events to the API server, in the background and as far as that is possible: nothing waits for it, and
/// nothing fails when it does.
public actor EventRecorder {
    private let client: KubernetesClient
    private let logger: Logger
    private let entries: AsyncStream<Entry>
    private nonisolated let queue: AsyncStream<Entry>.Continuation
    private var series: EventSeries
    private var bucket: TokenBucket
    private var isFailing = false

    /// How many events may wait to be written.
    public static let queueLimit = 256
    private static let interval: Duration = .seconds(60)
    /// How often an event is tried to be written while the server is away, and how long after each other; as client-go.
    private static let tries = 12
    private let pause: Duration

    private enum Entry: Sendable {
        case event(Event, Timestamp)
        /// Ends when everything before it is done.
        case mark(AsyncStream<Void>.Continuation)
    }

    /// - Parameters:
    ///   - controller: who reports, as `swiftlet.io/proxy`.
    ///   - instance: which one of them, as the name of the node.
    ///   - rateLimit: of what it writes, beside that of the client.
    ///   - pause: before it tries again to write what the server did not take.
    public init(
        client: KubernetesClient,
        controller: String,
        instance: String,
        rateLimit: RateLimit = RateLimit(qps: 1, burst: 25),
        pause: Duration = .seconds(10),
        logger: Logger
    ) {
        self.client = client
        self.logger = logger
        self.pause = pause
        (entries, queue) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
        series = EventSeries(EventReporter(controller: controller, instance: instance))
        bucket = TokenBucket(rateLimit, now: .now)
    }

    /// Takes an event to be written, at once and without waiting; when too many wait already it is dropped.
    public nonisolated func record(_ event: Event) {
        if case .dropped = queue.yield(.event(event, .now)) {
            logger.debug("too many events wait to be written: one is dropped", metadata: ["reason": "\(event.reason)"])
        }
    }

    /// Waits until what was recorded before is written, or could not be, but no longer than a limit.
    public nonisolated func flush(within limit: Duration) async {
        let (done, mark) = AsyncStream.makeStream(of: Void.self)
        if case .dropped = queue.yield(.mark(mark)) { mark.finish() }
        await withTaskGroup { group in
            group.addTask { for await _ in done {} }
            group.addTask { try? await Task.sleep(for: limit) }  // Ends early when the other is first.
            await group.next()
            group.cancelAll()
        }
    }

    /// Writes the events that were recorded, until its task is cancelled. To be called once.
    public func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await entry in self.entries {
                    switch entry {
                    case .event(let event, let time): await self.take(event, time)
                    case .mark(let mark): mark.finish()
                    }
                }
            }
            group.addTask {
                while (try? await Task.sleep(for: Self.interval)) != nil { await self.writeDue() }
            }
        }
    }

    private func take(_ event: Event, _ time: Timestamp) async {
        if let write = series.record(event, now: time) { await perform(write) }
    }

    private func writeDue() async {
        for write in series.due(now: .now) { await perform(write) }
    }

    private func perform(_ write: EventSeries.Write) async {
        let now = ContinuousClock.now
        if let wait = bucket.take(now: now, deadline: now + .seconds(3600)), wait > .zero {
            guard (try? await Task.sleep(for: wait)) != nil else { return }
        }
        do throws(KubernetesError) {
            var triesLeft = Self.tries
            while true {
                do throws(KubernetesError) {
                    switch write {
                    case .create(let stored): try await create(stored)
                    case .patch(let stored): try await patch(stored)
                    }
                    break
                } catch {
                    triesLeft -= 1
                    guard triesLeft > 0, error.mayPass, (try? await Task.sleep(for: pause)) != nil else { throw error }
                }
            }
            isFailing = false
        } catch {
            // An event that cannot be written is no reason for anything; but somebody may look for it in vain.
            logger.log(
                level: isFailing ? .debug : .warning,
                "an event cannot be written; more of the same are not reported",
                metadata: ["error": "\(error)"]
            )
            isFailing = true
        }
    }

    private func create(_ stored: StoredEvent) async throws(KubernetesError) {
        let object = ByteBuffer(string: stored.object.text())
        _ = try await client.create(.events, namespace: stored.namespace, object)
    }

    private func patch(_ stored: StoredEvent) async throws(KubernetesError) {
        let patch = ByteBuffer(string: stored.patch.text())
        do throws(KubernetesError) {
            _ = try await client.patch(.events, namespace: stored.namespace, name: stored.name, .merge, patch)
        } catch {
            // The server forgets events after an hour.
            guard error.reason == .notFound else { throw error }
            try await create(stored)
        }
    }
}

extension KubernetesError {
    /// Whether the server may take tomorrow what it did not take today.
    fileprivate var mayPass: Bool {
        switch reason {
        case .tooManyRequests, .unavailable: true
        case .transport(let reason): reason != .cancelled && reason != .configuration
        default: false
        }
    }
}
