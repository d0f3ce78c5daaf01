import KubernetesAPI
import NetworkTypes
import PrometheusText
import Synchronization

/// What is known about the work of the proxy, for those who ask over HTTP.
public final class ProxyStatus: ControllerObserver {
    private struct State {
        var health: ProxyHealth
        var metrics: ProxyMetrics
    }

    public let started: Timestamp
    private let state: Mutex<State>
    private let awaitsNode: Bool
    private let now: @Sendable () -> Timestamp

    /// - Parameters:
    ///   - syncPeriod: half of how long a change may wait before the proxy counts as unhealthy.
    ///   - awaitsNode: whether the Node has to be seen before the node may get traffic.
    ///   - mode: what the metrics are of.
    public init(
        families: Set<IPFamily>,
        syncPeriod: Duration,
        awaitsNode: Bool,
        mode: ProxyMode = .nftables,
        now: @escaping @Sendable () -> Timestamp = { .now }
    ) {
        let families = families.sorted { $0.rawValue < $1.rawValue }
        self.awaitsNode = awaitsNode
        self.now = now
        started = now()
        state = Mutex(
            State(
                health: ProxyHealth(
                    families: families,
                    patience: syncPeriod * 2,
                    isNodeEligible: !awaitsNode,
                    started: started
                ),
                metrics: ProxyMetrics(families: families, mode: mode)
            )
        )
    }

    public func received(services: Int, endpoints: Int, isQueued: Bool) {
        let now = now()
        state.withLock { state in
            state.metrics.received(services: services, endpoints: endpoints)
            guard isQueued else { return }
            state.metrics.lastQueued = now
            state.health.changeQueued(at: now)
        }
    }

    public func committed(_ commit: CommitReport) {
        let now = now()
        state.withLock { state in
            state.metrics.committed(commit, at: now)
            state.health.committed(commit, at: now)
        }
    }

    public func sawNode(_ node: Node?) {
        let isEligible = node.map { !$0.isLeaving } ?? !awaitsNode
        state.withLock { $0.health.isNodeEligible = isEligible }
    }

    public func foundDrift() {
        state.withLock { $0.metrics.drifts += 1 }
    }

    /// The answer to `/healthz` of the health server.
    public func healthz() -> (code: Int, body: String) {
        let now = now()
        return state.withLock { state in
            let answer = state.health.answer(now, countsNode: true)
            state.metrics.healthz[answer.code, default: 0] += 1
            return answer
        }
    }

    /// The answer to `/livez` of the health server.
    public func livez() -> (code: Int, body: String) {
        let now = now()
        return state.withLock { state in
            let answer = state.health.answer(now, countsNode: false)
            state.metrics.livez[answer.code, default: 0] += 1
            return answer
        }
    }

    /// Whether changes are programmed in time, whatever is the matter with the node (HC-4).
    public var isHealthy: Bool {
        let now = now()
        return state.withLock { $0.health.isHealthy(now) }
    }

    /// Goes on with another `syncPeriod`.
    public func setSyncPeriod(_ period: Duration) {
        state.withLock { $0.health.patience = period * 2 }
    }

    /// Something that nothing uses could not be removed from the node.
    public func cleanupFailed(_ family: IPFamily, _ count: Int) {
        state.withLock { $0.metrics.cleanupFailed(family, count) }
    }

    /// `iptables-restore` was run.
    public func restored(_ restore: IPTablesRestore) {
        state.withLock { $0.metrics.restored(restore) }
    }

    /// Stale UDP flows were looked for.
    public func cleanedConntrack(_ family: IPFamily, _ duration: Duration, deleted: Int) {
        state.withLock { $0.metrics.cleanedConntrack(family, duration, deleted: deleted) }
    }

    public func metrics() -> [MetricFamily] { state.withLock { $0.metrics.all } }
}
