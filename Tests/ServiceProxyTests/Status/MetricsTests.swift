import ClusterClient
import KubernetesAPI
import NetworkTypes
import PrometheusText
import TestSupport
import Testing

@testable import ServiceProxy

/// The table of 2.11: names, types, labels and buckets are those of kube-proxy in nftables mode.
@Suite struct MetricsTests {
    private static let syncBounds = [
        "0.001", "0.002", "0.004", "0.008", "0.016", "0.032", "0.064", "0.128", "0.256", "0.512", "1.024", "2.048",
        "4.096", "8.192", "16.384", "+Inf",
    ]
    private static let programmingBounds =
        ["0.25", "0.5"] + (1...59).map { "\($0)" } + stride(from: 60, through: 115, by: 5).map { "\($0)" }
        + stride(from: 120, through: 300, by: 30).map { "\($0)" } + ["+Inf"]
    private static let requestBounds = [
        "0.005", "0.025", "0.1", "0.25", "0.5", "1", "2", "4", "8", "15", "30", "60", "+Inf",
    ]

    struct Row: CustomTestStringConvertible, Sendable {
        let name: String
        let type: String
        var labels: Set<String> = []
        var bounds: [String] = []
        var help = "[ALPHA] "
        var testDescription: String { name }
    }

    private static let family: Set<String> = ["ip_family"]

    static let table =
        [
            Row(
                name: "kubeproxy_sync_proxy_rules_duration_seconds",
                type: "histogram",
                labels: family,
                bounds: syncBounds
            ),
            Row(
                name: "kubeproxy_sync_full_proxy_rules_duration_seconds",
                type: "histogram",
                labels: family,
                bounds: syncBounds
            ),
            Row(
                name: "kubeproxy_sync_partial_proxy_rules_duration_seconds",
                type: "histogram",
                labels: family,
                bounds: syncBounds
            ),
            Row(name: "kubeproxy_sync_proxy_rules_last_timestamp_seconds", type: "gauge", labels: family),
            Row(name: "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", type: "gauge", labels: family),
            Row(
                name: "kubeproxy_network_programming_duration_seconds",
                type: "histogram",
                labels: family,
                bounds: programmingBounds
            ),
            Row(name: "kubeproxy_sync_proxy_rules_endpoint_changes_pending", type: "gauge"),
            Row(name: "kubeproxy_sync_proxy_rules_endpoint_changes_total", type: "counter"),
            Row(name: "kubeproxy_sync_proxy_rules_service_changes_pending", type: "gauge"),
            Row(name: "kubeproxy_sync_proxy_rules_service_changes_total", type: "counter"),
            Row(
                name: "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
                type: "gauge",
                labels: ["ip_family", "traffic_policy"]
            ),
            Row(name: "kubeproxy_sync_proxy_rules_nftables_sync_failures_total", type: "counter", labels: family),
            Row(name: "kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total", type: "counter", labels: family),
            Row(
                name: "kubeproxy_conntrack_reconciler_sync_duration_seconds",
                type: "histogram",
                labels: family,
                bounds: syncBounds
            ),
            Row(name: "kubeproxy_conntrack_reconciler_deleted_entries_total", type: "counter", labels: family),
            Row(name: "kubeproxy_proxy_healthz_total", type: "counter", labels: ["code"]),
            Row(name: "kubeproxy_proxy_livez_total", type: "counter", labels: ["code"]),
            Row(name: "rest_client_requests_total", type: "counter", labels: ["code", "method", "host"]),
            Row(
                name: "rest_client_request_duration_seconds",
                type: "histogram",
                labels: ["verb", "host"],
                bounds: requestBounds
            ),
            Row(
                name: "kubernetes_build_info",
                type: "gauge",
                labels: [
                    "major", "minor", "git_version", "git_commit", "git_tree_state", "build_date", "go_version",
                    "compiler", "platform",
                ]
            ),
            Row(name: "kubernetes_feature_enabled", type: "gauge", labels: ["name", "stage"], help: "[BETA] "),
            Row(
                name: "registered_metrics_total",
                type: "counter",
                labels: ["stability_level", "deprecated_version"],
                help: "[BETA] "
            ),
            Row(name: "hidden_metrics_total", type: "counter", help: "[BETA] "),
            Row(name: "disabled_metrics_total", type: "counter", help: "[BETA] "),
        ]
        + [
            ("process_cpu_seconds_total", "counter"), ("process_open_fds", "gauge"), ("process_max_fds", "gauge"),
            ("process_virtual_memory_bytes", "gauge"), ("process_virtual_memory_max_bytes", "gauge"),
            ("process_resident_memory_bytes", "gauge"), ("process_start_time_seconds", "gauge"),
        ].map { Row(name: $0.0, type: $0.1, help: "") }
        + [
            Row(name: "swiftlet_proxy_drift_repairs_total", type: "counter", help: ""),
            Row(name: "swiftlet_proxy_frontends", type: "gauge", labels: ["ip_family", "kind"], help: ""),
            Row(name: "swiftlet_proxy_refused_frontends", type: "gauge", labels: family, help: ""),
        ]

    private func page() throws -> PrometheusReader {
        let status = ProxyStatus(families: [.ipv4, .ipv6], syncPeriod: .seconds(30), awaitsNode: false)
        _ = status.healthz()
        _ = status.livez()
        let requests = RequestMetrics()
        requests.observe(method: "GET", host: "10.0.0.1:6443", code: 200, .milliseconds(30))
        requests.observe(method: "GET", host: "10.0.0.1:6443", code: nil, .seconds(70))
        let families = ComponentMetrics.completing(
            status.metrics() + requests.families,
            version: "0.1.0",
            gates: FeatureGates(["ComponentFlagz": false])
        )
        return try PrometheusReader(MetricFamily.text(families))
    }

    @Test func everyMetricOfTheTableIsThere() throws {
        let page = try page()
        for row in Self.table {
            let family = try #require(page.families[row.name], "\(row.name)")
            #expect(family.type == row.type, "\(row.name)")
            #expect(page.labels(row.name) == row.labels, "\(row.name)")
            #expect(page.bounds(row.name) == row.bounds, "\(row.name)")
            #expect(row.help.isEmpty ? !family.help.hasPrefix("[") : family.help.hasPrefix(row.help), "\(row.name)")
        }
        #expect(Set(page.families.keys) == Set(Self.table.map(\.name)))
        #expect(page.value("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", ["ip_family": "IPv6"]) == 0)
    }

    /// In iptables mode: those of that mode in the place of those of nftables.
    @Test func metricsOfIPTablesMode() throws {
        let status = ProxyStatus(
            families: [.ipv4, .ipv6],
            syncPeriod: .seconds(30),
            awaitsNode: false,
            mode: .iptables
        )
        var restore = IPTablesRestore(family: .ipv4, table: "nat", isWhole: true, ruleCount: 12, total: 12)
        status.restored(restore)
        restore = IPTablesRestore(family: .ipv4, table: "nat", isWhole: false, ruleCount: 2, total: 13)
        status.restored(restore)
        restore.succeeded = false
        status.restored(restore)
        let page = try PrometheusReader(MetricFamily.text(status.metrics()))
        let prefix = "kubeproxy_sync_proxy_rules_iptables_"
        let table: [(name: String, type: String, labels: Set<String>)] = [
            ("restore_failures_total", "counter", ["ip_family"]),
            ("partial_restore_failures_total", "counter", ["ip_family"]), ("total", "gauge", ["ip_family", "table"]),
            ("last", "gauge", ["ip_family", "table"]),
        ]
        for row in table {
            #expect(try #require(page.families[prefix + row.name]).type == row.type)
            #expect(page.labels(prefix + row.name) == row.labels)
        }
        #expect(page.value("\(prefix)partial_restore_failures_total", ["ip_family": "IPv4"]) == 1)
        #expect(page.value("\(prefix)restore_failures_total", ["ip_family": "IPv4"]) == 0)
        #expect(page.value("\(prefix)total", ["ip_family": "IPv4", "table": "nat"]) == 13)
        #expect(page.value("\(prefix)last", ["ip_family": "IPv4", "table": "nat"]) == 2)
        #expect(page.value("\(prefix)last", ["ip_family": "IPv6", "table": "filter"]) == 0)
        #expect(!page.families.keys.contains { $0.contains("nftables") })
    }

    @Test func commonMetricsTellOfTheProgram() throws {
        let page = try page()
        #expect(page.value("rest_client_requests_total", ["code": "<error>", "method": "GET"]) == 1)
        #expect(page.value("rest_client_request_duration_seconds_bucket", ["verb": "GET", "le": "0.1"]) == 1)
        #expect(page.value("rest_client_request_duration_seconds_count", ["host": "10.0.0.1:6443"]) == 2)
        #expect(page.value("kubernetes_build_info", ["git_version": "v0.1.0", "major": "0", "minor": "1"]) == 1)
        #expect(page.value("kubernetes_feature_enabled", ["name": "ComponentFlagz", "stage": "BETA"]) == 0)
        #expect(page.value("kubernetes_feature_enabled", ["name": "AllowServiceExternalIPs", "stage": ""]) == 1)
        // What the census says is what there is.
        for stability in ["ALPHA", "BETA"] {
            let count = page.families.values.count { $0.help.hasPrefix("[\(stability)]") }
            #expect(page.value("registered_metrics_total", ["stability_level": stability]) == Double(count))
        }
        #expect(page.value("process_open_fds").map { $0 > 2 } == true)
        #expect(page.value("process_resident_memory_bytes").map { $0 > 1_000_000 } == true)
        #expect(page.value("process_cpu_seconds_total").map { $0 > 0 } == true)
        let started = try #require(page.value("process_start_time_seconds"))
        #expect(abs(Double(Timestamp.now.seconds) - started) < 24 * 3600)
    }

    @Test func processesAreReadFromProc() {
        let stat =
            "4321 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 17 18 1000 1048576 25 19 20 21 22 23"
        let metrics = ProcessMetrics(
            stat: stat,
            bootSeconds: 1_000_000,
            ticksPerSecond: 100,
            pageSize: 4096,
            openFiles: 7,
            maxFiles: 1024,
            maxVirtualBytes: .infinity
        )
        #expect(metrics?.cpuSeconds == 3)
        #expect(metrics?.startSeconds == 1_000_010)
        #expect(metrics?.virtualBytes == 1_048_576)
        #expect(metrics?.residentBytes == 102_400)
        #expect(
            ProcessMetrics(
                stat: "",
                bootSeconds: 0,
                ticksPerSecond: 1,
                pageSize: 1,
                openFiles: nil,
                maxFiles: 0,
                maxVirtualBytes: 0
            ) == nil
        )
    }

    private func read(_ status: ProxyStatus) throws -> PrometheusReader {
        try PrometheusReader(MetricFamily.text(status.metrics()))
    }

    @Test func familiesFailForThemselves() throws {
        let status = ProxyStatus(families: [.ipv4, .ipv6], syncPeriod: .seconds(30), awaitsNode: false)
        status.received(services: 1, endpoints: 0, isQueued: true)
        var commit = CommitReport(isWhole: false, duration: .milliseconds(3), succeeded: false, hasMore: false)
        commit.failedFamilies = [.ipv6]
        status.committed(commit)
        status.cleanupFailed(.ipv4, 2)
        let page = try read(status)
        #expect(page.value("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", ["ip_family": "IPv4"]) == 0)
        #expect(page.value("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", ["ip_family": "IPv6"]) == 1)
        #expect(page.value("kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total", ["ip_family": "IPv4"]) == 2)
        #expect(page.value("kubeproxy_sync_proxy_rules_last_timestamp_seconds", ["ip_family": "IPv6"]) == 0)
        #expect(
            page.value("kubeproxy_sync_proxy_rules_last_timestamp_seconds", ["ip_family": "IPv4"]).map { $0 > 0 }
                == true
        )
    }

    @Test func frontendsAndRefusalsAreGauges() throws {
        let status = ProxyStatus(families: [.ipv4, .ipv6], syncPeriod: .seconds(30), awaitsNode: false)
        var commit = CommitReport(isWhole: false, duration: .milliseconds(3), succeeded: true, hasMore: false)
        commit.frontends[.clusterIP, .ipv4] = 5
        commit.frontends[.nodePort, .ipv6] = 2
        commit.refusedFrontends = [.ipv6: 1]
        status.committed(commit)
        let page = try read(status)
        #expect(page.value("swiftlet_proxy_frontends", ["ip_family": "IPv4", "kind": "ClusterIP"]) == 5)
        #expect(page.value("swiftlet_proxy_frontends", ["ip_family": "IPv6", "kind": "NodePort"]) == 2)
        #expect(page.value("swiftlet_proxy_frontends", ["ip_family": "IPv6", "kind": "ClusterIP"]) == 0)
        #expect(page.value("swiftlet_proxy_refused_frontends", ["ip_family": "IPv6"]) == 1)
        status.committed(CommitReport(isWhole: false, duration: .zero, succeeded: true, hasMore: false))
        #expect(try read(status).value("swiftlet_proxy_refused_frontends", ["ip_family": "IPv6"]) == 0)
    }

    @Test func portsWithoutLocalEndpointsAreCounted() throws {
        let local = service(type: .loadBalancer, ports: [Service.Port(name: "a", port: 80, nodePort: 30080)]) {
            $0.externalTrafficPolicy = .local
            $0.internalTrafficPolicy = .local
            $0.externalIPs = [address("203.0.113.1")]
            $0.ports.append(Service.Port(name: "b", port: 81, nodePort: 30081))
        }
        func plan(_ endpoints: [String], _ service: Service) -> ServicePlan {
            let slice = slice(
                "s",
                ports: [EndpointPort(name: "a", port: 1), EndpointPort(name: "b", port: 2)],
                endpoints
            )
            return ServicePlanner().plan(service, with: [slice], in: .ipv4, on: thisNode)
        }
        #expect(
            plan(["10.9.0.1 there"], local).withoutLocalEndpoints == WithoutLocalEndpoints(internal: 2, external: 2)
        )
        #expect(plan(["10.9.0.1 here"], local).withoutLocalEndpoints == WithoutLocalEndpoints())
        #expect(plan([], local).withoutLocalEndpoints == WithoutLocalEndpoints())
        var anywhere = local
        anywhere.internalTrafficPolicy = .cluster
        #expect(
            plan(["10.9.0.1 there"], anywhere).withoutLocalEndpoints == WithoutLocalEndpoints(internal: 0, external: 2)
        )

        let status = ProxyStatus(families: [.ipv4, .ipv6], syncPeriod: .seconds(30), awaitsNode: false)
        func commit(_ name: String, _ plan: ServicePlan) throws -> [Double?] {
            let id = Catalog.ServiceID(ObjectName(namespace: "default", name: name), .ipv4)
            status.committed(
                CommitReport(isWhole: false, duration: .zero, succeeded: true, hasMore: false, plans: [id: plan])
            )
            let page = try read(status)
            return ["internal", "external"].map {
                page.value(
                    "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
                    ["ip_family": "IPv4", "traffic_policy": $0]
                )
            }
        }
        #expect(try commit("x", plan(["10.9.0.1 there"], local)) == [2, 2])
        #expect(try commit("y", plan(["10.9.0.1 there"], anywhere)) == [2, 4])
        #expect(try commit("x", plan(["10.9.0.1 here"], local)) == [0, 2])
        #expect(try commit("y", .empty) == [0, 0])
    }

    @Test func programmingIsMeasuredFromItsTrigger() throws {
        var triggers = ChangeTriggers(after: Timestamp(seconds: 100))
        func change(_ seconds: Int64?, _ family: EndpointSlice.AddressType = .ipv4) {
            var slice = slice("s", family: family, [])
            slice.lastChangeTriggerTime = seconds.map { Timestamp(seconds: $0) }
            triggers.take(.set(.endpointSlice(slice)))
        }
        for time in [nil, 99, 100, 101] as [Int64?] { change(time) }
        triggers.take(.delete(ObjectKey(.endpointSlice, ObjectName(namespace: "default", name: "s"))))
        change(102, .ipv6)
        triggers.beginCommit()
        change(103)
        let done = triggers.commitSucceeded()
        #expect(done == [.ipv4: [Timestamp(seconds: 101)], .ipv6: [Timestamp(seconds: 102)]])
        // What came while a commit ran belongs to the next; what failed is measured when it succeeds.
        triggers.beginCommit()
        change(104)
        triggers.beginCommit()
        #expect(triggers.commitSucceeded() == [.ipv4: [Timestamp(seconds: 103), Timestamp(seconds: 104)]])
        #expect(triggers.commitSucceeded() == [:])

        let status = ProxyStatus(
            families: [.ipv4, .ipv6],
            syncPeriod: .seconds(30),
            awaitsNode: false,
            now: { Timestamp(seconds: 103) }
        )
        var commit = CommitReport(isWhole: false, duration: .zero, succeeded: true, hasMore: false)
        commit.triggers = done
        status.committed(commit)
        let page = try read(status)
        let name = "kubeproxy_network_programming_duration_seconds"
        #expect(page.value("\(name)_bucket", ["ip_family": "IPv4", "le": "1"]) == 0)
        #expect(page.value("\(name)_bucket", ["ip_family": "IPv4", "le": "2"]) == 1)
        #expect(page.value("\(name)_sum", ["ip_family": "IPv6"]) == 1)
    }
}
