import KubernetesAPI
import Logging
import NetworkTypes
import Synchronization

/// What answers on one socket.
public protocol HealthCheckListener: Sendable {
    /// Frees the address.
    func stop() async
}

/// Keeps the health-check node ports open that Services want (2.8), and answers on them. It hears of commits from the
/// controller, and does its work in a task of its own.
public final class HealthCheckPorts: ControllerObserver {
    /// Opens a socket on which every request is answered so.
    ///
    /// - Throws: when the address cannot be had.
    public typealias Listen =
        @Sendable (HealthCheckSocket, @escaping @Sendable () -> HealthCheckAnswer) async throws
        -> any HealthCheckListener

    /// When something that failed is tried again.
    public struct RetryPolicy: Hashable, Sendable {
        /// Every commit tries again, but not before this time is over.
        public var pause: Duration
        /// Without commits it is tried this often.
        public var interval: Duration

        public init(pause: Duration = .seconds(1), interval: Duration = .seconds(30)) {
            self.pause = pause
            self.interval = interval
        }
    }

    private struct State {
        var sockets = HealthCheckSockets()
        /// Whether some socket could not be opened.
        var hasFailures = false
    }

    private let state = Mutex(State())
    private let isHealthy: @Sendable () -> Bool
    private let listen: Listen
    private let report: @Sendable (ProxyEvent) -> Void
    private let retry: RetryPolicy
    private let logger: Logger
    private let wakeUps: AsyncStream<Void>
    private let wakeUp: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - isHealthy: whether the proxy programs changes in time (HC-4).
    ///   - report: is told when a port cannot be had (HC-6).
    public init(
        isHealthy: @escaping @Sendable () -> Bool,
        report: @escaping @Sendable (ProxyEvent) -> Void,
        retry: RetryPolicy = RetryPolicy(),
        logger: Logger,
        listen: @escaping Listen
    ) {
        self.isHealthy = isHealthy
        self.listen = listen
        self.report = report
        self.retry = retry
        self.logger = logger
        (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    public func committed(_ commit: CommitReport) {
        let hasWork = state.withLock { state in
            state.sockets.take(commit) || (state.hasFailures && commit.succeeded)
        }
        if hasWork { wakeUp.yield() }
    }

    /// Opens and closes sockets until the task is cancelled, and closes them all.
    public func run() async {
        await withTaskGroup { group in
            group.addTask {
                while (try? await Task.sleep(for: self.retry.interval)) != nil {
                    if self.state.withLock({ $0.hasFailures }) { self.wakeUp.yield() }
                }
            }
            await followWakeUps()
            group.cancelAll()
        }
    }

    private func followWakeUps() async {
        var open: [HealthCheckSocket: any HealthCheckListener] = [:]
        var failures: [HealthCheckSocket: Failure] = [:]
        var withoutPort: Set<Catalog.ServiceID> = []
        for await _ in wakeUps {
            let (wanted, lacking) = state.withLock { ($0.sockets.wanted, $0.sockets.withoutPort) }
            for id in lacking.subtracting(withoutPort) {
                logger.error("a Service has no healthCheckNodePort", metadata: ["service": "\(id.name)"])
            }
            withoutPort = lacking
            for (socket, listener) in open where !wanted.contains(socket) {  // HC-7
                open[socket] = nil
                await listener.stop()
                logger.info("a health check is closed", metadata: metadata(socket))
            }
            failures = failures.filter { wanted.contains($0.key) }
            for socket in wanted.subtracting(open.keys).sorted() where failures[socket]?.isOver(retry.pause) ?? true {
                do {
                    open[socket] = try await listen(socket) { [self] in answer(for: socket.service) }
                    failures[socket] = nil
                    logger.info("a health check is open", metadata: metadata(socket))
                } catch {
                    let failure = Failure(reason: "\(error)")
                    report(failure, of: socket, isNew: failures[socket]?.reason != failure.reason)
                    failures[socket] = failure
                }
            }
            let hasFailures = !failures.isEmpty
            state.withLock { $0.hasFailures = hasFailures }
        }
        for listener in open.values { await listener.stop() }
    }

    private struct Failure {
        let reason: String
        let time = ContinuousClock.now

        func isOver(_ pause: Duration) -> Bool { ContinuousClock.now - time >= pause }
    }

    private func answer(for service: Catalog.ServiceID) -> HealthCheckAnswer {
        let count = state.withLock { $0.sockets.checks[service]?.localEndpoints ?? 0 }
        return HealthCheckAnswer(service.name, localEndpoints: count, isProxyHealthy: isHealthy())
    }

    private func report(_ failure: Failure, of socket: HealthCheckSocket, isNew: Bool) {
        if isNew {
            var metadata = metadata(socket)
            metadata["error"] = "\(failure.reason)"
            logger.error("a health check cannot be opened; it will be tried again", metadata: metadata)
        }
        let uid = state.withLock { $0.sockets.checks[socket.service]?.uid ?? "" }
        report(
            ProxyEvent(
                about: .service(socket.service.name, uid: uid),
                reason: "FailedToStartServiceHealthcheck",
                action: "Listen",
                note: "The health check on \(socket) cannot be opened: \(failure.reason)"
            )
        )
    }

    private func metadata(_ socket: HealthCheckSocket) -> Logger.Metadata {
        ["service": "\(socket.service.name)", "address": "\(socket)"]
    }
}
