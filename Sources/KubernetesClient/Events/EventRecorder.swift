import KubernetesAPI
import Logging
import NIOCore
import Synchronization

/// Reports events to the API server, in the background and as far as that is possible: nothing waits for it, and
/// nothing fails when it does.
public actor EventRecorder {
    private let client: KubernetesClient
    private let logger: Logger
    private let events: AsyncStream<(Event, Timestamp)>
    private nonisolated let queue: AsyncStream<(Event, Timestamp)>.Continuation
    private var series: EventSeries
    private var bucket: TokenBucket
    private var isFailing = false

    /// How many events may wait to be written.
    public static let queueLimit = 256
    private static let interval: Duration = .seconds(60)

    /// - Parameters:
    ///   - controller: who reports, as `swiftlet.io/proxy`.
    ///   - instance: which one of them, as the name of the node.
    ///   - rateLimit: of what it writes, beside that of the client.
    public init(
        client: KubernetesClient,
        controller: String,
        instance: String,
        rateLimit: RateLimit = RateLimit(qps: 1, burst: 25),
        logger: Logger
    ) {
        self.client = client
        self.logger = logger
        (events, queue) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
        series = EventSeries(EventReporter(controller: controller, instance: instance))
        bucket = TokenBucket(rateLimit, now: .now)
    }

    /// Takes an event to be written, at once and without waiting; when too many wait already it is dropped.
    public nonisolated func record(_ event: Event) {
        if case .dropped = queue.yield((event, .now)) {
            logger.debug("too many events wait to be written: one is dropped", metadata: ["reason": "\(event.reason)"])
        }
    }

    /// Writes the events that were recorded, until its task is cancelled. To be called once.
    public func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await (event, time) in self.events { await self.take(event, time) }
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
            switch write {
            case .create(let stored): try await create(stored)
            case .patch(let stored): try await patch(stored)
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
