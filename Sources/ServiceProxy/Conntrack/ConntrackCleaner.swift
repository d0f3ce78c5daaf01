import Dispatch
import Logging
import Netlink
import NetworkTypes
import Synchronization

/// Has the kernel forget UDP flows that lead to where nothing answers any more: to an endpoint that is gone, or past
/// rules that were not there yet (2.7). The next datagram of such a flow is translated anew.
///
/// It never holds up a commit: what it hears is noted, and looked for in the table on a thread of its own. What comes
/// meanwhile waits for the next look at the table and goes into that together.
public final class ConntrackCleaner: ControllerObserver {
    /// What is done after each clean-up of a family.
    public typealias Report = @Sendable (_ family: IPFamily, _ duration: Duration, _ deleted: Int) -> Void

    private let table: any ConntrackTable
    private let localAddresses: @Sendable () -> Set<IPAddress>?
    private let retry: ServiceController.RetryPolicy
    private let report: Report
    private let logger: Logger
    private let services = Mutex(UDPServices())
    private let queue = DispatchQueue(label: "conntrack", qos: .utility)
    private let wakeUps: AsyncStream<Void>
    private let wakeUp: AsyncStream<Void>.Continuation

    /// Looks at a table again only after this many times what the last look took, so that a node with a big table and
    /// endpoints that change all the time has its processors for other things.
    private static let pauseFactor = 4
    private static let longestPause = Duration.seconds(10)

    /// Cleans the table of the network namespace of this process.
    ///
    /// - Parameter report: is called on any thread.
    public convenience init(
        retry: ServiceController.RetryPolicy = .init(),
        logger: Logger,
        report: @escaping Report = { _, _, _ in }
    ) {
        self.init(table: KernelConntrackTable(), retry: retry, logger: logger, report: report)
    }

    /// - Parameter localAddresses: the addresses of this node, or `nil` when they cannot be told.
    init(
        table: any ConntrackTable,
        localAddresses: @escaping @Sendable () -> Set<IPAddress>? = { LocalNode.addresses() },
        retry: ServiceController.RetryPolicy = .init(),
        logger: Logger,
        report: @escaping Report = { _, _, _ in }
    ) {
        self.table = table
        self.localAddresses = localAddresses
        self.retry = retry
        self.logger = logger
        self.report = report
        (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    public func committing(_ plans: [Catalog.ServiceID: ServicePlan]) {
        services.withLock { $0.willProgram(plans) }
    }

    public func committed(_ commit: CommitReport) {
        guard commit.succeeded else { return }
        let isDue = services.withLock {
            $0.programmed(commit.plans, removed: commit.removed, isWhole: commit.isWhole)
        }
        if isDue { wakeUp.yield() }
    }

    /// Cleans up what there is to clean up, until the task is cancelled.
    public func run() async {
        var failures = 0
        for await _ in wakeUps {
            while !Task.isCancelled {
                let due = services.withLock { $0.takeDue() }
                guard !due.isEmpty else { break }
                let start = ContinuousClock.now
                if await cleanUp(due) {
                    failures = 0
                    let pause = min(Self.longestPause, (ContinuousClock.now - start) * Self.pauseFactor)
                    try? await Task.sleep(for: pause)
                } else {
                    failures += 1
                    try? await Task.sleep(for: retry.delay(afterFailures: failures))
                }
            }
        }
    }

    /// Whether all went well.
    private func cleanUp(_ due: [IPFamily: UDPServices.CleanUp]) async -> Bool {
        await withCheckedContinuation { continuation in
            queue.async {
                var isDone = true
                for (family, cleanUp) in due where !self.cleanUp(family, cleanUp) {
                    self.services.withLock { $0.putBack(cleanUp, family) }
                    isDone = false
                }
                continuation.resume(returning: isDone)
            }
        }
    }

    private func cleanUp(_ family: IPFamily, _ cleanUp: UDPServices.CleanUp) -> Bool {
        let start = ContinuousClock.now
        let local = localAddresses()?.filter { !$0.isLoopback }
        do {
            let count = try table.removeFlows(family) { flow in
                // What is programmed meanwhile counts, too.
                self.services.withLock { $0.isStale(flow, in: cleanUp) { local?.contains($0) ?? true } }
            }
            let duration = ContinuousClock.now - start
            report(family, duration, count)
            logger.log(
                level: count > 0 ? .info : .debug,
                "stale UDP flows are removed",
                metadata: ["family": "\(family)", "flows": "\(count)", "duration": "\(duration)"]
            )
            return true
        } catch {
            logger.warning(
                "stale UDP flows could not be removed; trying again",
                metadata: ["family": "\(family)", "error": "\(error)"]
            )
            return false
        }
    }
}
