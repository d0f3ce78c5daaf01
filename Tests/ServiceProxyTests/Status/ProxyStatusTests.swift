import KubernetesAPI
import NetworkTypes
import PrometheusText
import Synchronization
import Testing

@testable import ServiceProxy

/// Rules HZ-2 to HZ-5, with a clock that stands still.
@Suite struct ProxyStatusTests {
    private final class Clock: Sendable {
        let seconds = Mutex<Int64>(1_000)
        func advance(_ by: Int64) { seconds.withLock { $0 += by } }
        var now: Timestamp { Timestamp(seconds: seconds.withLock(\.self)) }
    }

    private func make(awaitsNode: Bool = false) -> (ProxyStatus, Clock) {
        let clock = Clock()
        let status = ProxyStatus(
            families: [.ipv4, .ipv6],
            syncPeriod: .seconds(30),
            awaitsNode: awaitsNode,
            now: { clock.now }
        )
        return (status, clock)
    }

    private func commit(_ succeeded: Bool, failing families: Set<IPFamily> = [.ipv4, .ipv6]) -> CommitReport {
        var report = CommitReport(
            isWhole: false,
            duration: .milliseconds(3),
            succeeded: succeeded,
            hasMore: false
        )
        if !succeeded { report.failedFamilies = families }
        return report
    }

    @Test func aFamilyIsUnhealthyForItself() {
        let (status, clock) = make()
        status.received(services: 1, endpoints: 0, isQueued: true)
        clock.advance(10)
        status.committed(commit(false, failing: [.ipv6]))
        clock.advance(60)
        let answer = status.livez()
        #expect(answer.code == 503)
        #expect(!status.isHealthy)
        #expect(answer.body.contains(#""lastUpdated":"1970-01-01T00:16:50Z","currentTime":"1970-01-01T00:17:50Z""#))
        #expect(answer.body.contains(#""IPv4":{"lastUpdated":"1970-01-01T00:17:50Z","healthy":true}"#))
        #expect(answer.body.contains(#""IPv6":{"lastUpdated":"1970-01-01T00:16:40Z","healthy":false}"#))
        status.setSyncPeriod(.seconds(60))
        #expect(status.isHealthy)
        status.setSyncPeriod(.seconds(30))
        status.committed(commit(true))
        #expect(status.isHealthy)
    }

    @Test func aChangeThatWaitsTooLongIsUnhealthy() {
        let (status, clock) = make()
        #expect(status.healthz().code == 200)
        status.received(services: 1, endpoints: 2, isQueued: true)
        clock.advance(60)
        #expect(status.healthz().code == 200)
        status.received(services: 1, endpoints: 0, isQueued: true)
        clock.advance(1)
        #expect(status.healthz().code == 503)
        #expect(status.livez().code == 503)
        #expect(status.livez().body.contains("\"healthy\":false"))
        status.committed(commit(false))
        #expect(status.livez().code == 503)
        status.committed(commit(true))
        #expect(status.livez().code == 200)
        #expect(status.healthz().code == 200)
    }

    @Test func withoutItsNodeOnlyHealthzRefuses() {
        let (status, _) = make(awaitsNode: true)
        #expect(status.healthz().code == 503)
        #expect(status.healthz().body.contains("\"nodeEligible\":false,\"healthy\":true"))
        #expect(status.livez().code == 200)
        #expect(!status.livez().body.contains("nodeEligible"))
        status.sawNode(Node(metadata: ObjectMeta(name: "here")))
        #expect(status.healthz().code == 200)
    }

    /// HZ-5; the other answer knows nothing of it.
    @Test(arguments: [true, false]) func aNodeThatGoesRefuses(awaitsNode: Bool) {
        let (status, _) = make(awaitsNode: awaitsNode)
        var node = Node(metadata: ObjectMeta(name: "here"))
        var leaving = [node, node]
        leaving[0].taintKeys = [Node.deletionTaintKey]
        leaving[1].metadata.deletionTimestamp = Timestamp(seconds: 1)
        for gone in leaving {
            status.sawNode(gone)
            #expect(status.healthz().code == 503)
            #expect(status.healthz().body.contains("\"nodeEligible\":false,\"healthy\":true"))
            #expect(status.livez().code == 200)
            node.taintKeys = ["node.kubernetes.io/not-ready"]
            status.sawNode(node)
            #expect(status.healthz().code == 200)
        }
        status.sawNode(nil)
        // Where no Node need be, none is missed.
        #expect(status.healthz().code == (awaitsNode ? 503 : 200))
    }

    @Test func metricsCount() {
        let (status, _) = make()
        status.received(services: 1, endpoints: 2, isQueued: true)
        func text() -> String { MetricFamily.text(status.metrics()) }
        #expect(text().contains("kubeproxy_sync_proxy_rules_endpoint_changes_pending 2\n"))
        status.committed(commit(true))
        status.committed(commit(false))
        _ = status.livez()
        #expect(text().contains("\nswiftlet_proxy_drift_repairs_total 0\n"))
        for _ in 0..<2 { status.foundDrift() }
        for deleted in [0, 3] { status.cleanedConntrack(.ipv4, .milliseconds(3), deleted: deleted) }
        for line in [
            "kubeproxy_sync_proxy_rules_endpoint_changes_pending 0", "kubeproxy_proxy_livez_total{code=\"200\"} 1",
            "kubeproxy_sync_proxy_rules_service_changes_total 1",
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.002\"} 0",
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv6\",le=\"0.004\"} 2",
            "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 2",
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 1000",
            "kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family=\"IPv6\"} 1",
            "kubeproxy_conntrack_reconciler_sync_duration_seconds_count{ip_family=\"IPv4\"} 2",
            "kubeproxy_conntrack_reconciler_sync_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.004\"} 2",
            "kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family=\"IPv4\"} 3",
            "kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family=\"IPv6\"} 0",
            "# TYPE swiftlet_proxy_drift_repairs_total counter", "swiftlet_proxy_drift_repairs_total 2",
        ] { #expect(text().contains(line + "\n"), "\(line)") }
    }
}
