import KubernetesAPI
import NetworkTypes
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
    public init(
        families: Set<IPFamily>,
        syncPeriod: Duration,
        awaitsNode: Bool,
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
                    updated: started
                ),
                metrics: ProxyMetrics(families: families)
            )
        )
    }

    public func received(services: Int, endpoints: Int, isQueued: Bool) {
        let now = now()
        state.withLock { state in
            state.metrics.received(services: services, endpoints: endpoints)
            guard isQueued else { return }
            state.metrics.lastQueued = now
            if state.health.queued == nil { state.health.queued = now }
        }
    }

    public func committed(_ commit: CommitReport) {
        let now = now()
        state.withLock { state in
            state.metrics.committed(commit, at: now)
            guard commit.succeeded else { return }
            state.health.updated = now
            state.health.queued = commit.hasMore ? now : nil
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

    /// Prometheus' text format, version 0.0.4.
    public func metrics() -> String { state.withLock { $0.metrics.text } }
}
