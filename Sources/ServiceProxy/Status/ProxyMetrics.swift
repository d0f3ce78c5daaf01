import KubernetesAPI
import NetworkTypes

/// The metrics of 2.11, as far as there is something to count. The set is small and fixed, so that the text is written
/// straight from the values; a metrics library and an exporter would add two packages and a global registry.
struct ProxyMetrics: Sendable {
    struct Histogram: Sendable {
        /// 1 ms × 2^n.
        static let bounds = (0..<15).map { 0.001 * Double(1 << $0) }
        private(set) var counts = [Int](repeating: 0, count: Self.bounds.count)
        private(set) var count = 0
        private(set) var sum = 0.0

        mutating func observe(_ duration: Duration) {
            let value = duration / .seconds(1)
            count += 1
            sum += value
            for index in Self.bounds.indices where value <= Self.bounds[index] { counts[index] += 1 }
        }
    }

    let families: [IPFamily]
    var healthz: [Int: Int] = [:]
    var livez: [Int: Int] = [:]
    var lastQueued: Timestamp?
    var drifts = 0
    private var lastSynced: Timestamp?
    private var services = (pending: 0, total: 0)
    private var endpoints = (pending: 0, total: 0)
    private var failures = 0
    private var syncs = Histogram()
    private var wholeSyncs = Histogram()
    private var partialSyncs = Histogram()

    init(families: [IPFamily]) {
        self.families = families
    }

    mutating func received(services: Int, endpoints: Int) {
        self.services.pending += services
        self.services.total += services
        self.endpoints.pending += endpoints
        self.endpoints.total += endpoints
    }

    mutating func committed(_ commit: CommitReport, at now: Timestamp) {
        syncs.observe(commit.duration)
        if commit.isWhole { wholeSyncs.observe(commit.duration) } else { partialSyncs.observe(commit.duration) }
        guard commit.succeeded else { return failures += 1 }
        lastSynced = now
        guard !commit.hasMore else { return }
        services.pending = 0
        endpoints.pending = 0
    }

    var text: String {
        var lines: [String] = []
        func head(_ name: String, _ type: String, _ help: String) {
            lines.append("# HELP kubeproxy_\(name) [ALPHA] \(help)")
            lines.append("# TYPE kubeproxy_\(name) \(type)")
        }
        func single(_ name: String, _ type: String, _ help: String, _ value: Int) {
            head(name, type, help)
            lines.append("kubeproxy_\(name) \(value)")
        }
        func perFamily(_ name: String, _ type: String, _ help: String, _ value: String) {
            head(name, type, help)
            for family in families { lines.append("kubeproxy_\(name){ip_family=\"\(family)\"} \(value)") }
        }
        func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
            head(name, "histogram", help)
            for family in families {
                let label = "ip_family=\"\(family)\""
                for (bound, count) in zip(Histogram.bounds, histogram.counts) {
                    lines.append("kubeproxy_\(name)_bucket{\(label),le=\"\(bound)\"} \(count)")
                }
                lines.append("kubeproxy_\(name)_bucket{\(label),le=\"+Inf\"} \(histogram.count)")
                lines.append("kubeproxy_\(name)_sum{\(label)} \(histogram.sum)")
                lines.append("kubeproxy_\(name)_count{\(label)} \(histogram.count)")
            }
        }
        func probes(_ name: String, _ help: String, _ counts: [Int: Int]) {
            guard !counts.isEmpty else { return }
            head(name, "counter", help)
            for (code, count) in counts.sorted(by: { $0.key < $1.key }) {
                lines.append("kubeproxy_\(name){code=\"\(code)\"} \(count)")
            }
        }
        func seconds(_ moment: Timestamp?) -> String {
            moment.map { "\($0.seconds).\(String($0.nanoseconds % 1_000_000_000 + 1_000_000_000).dropFirst())" } ?? "0"
        }

        probes("proxy_healthz_total", "Answers of /healthz by code", healthz)
        probes("proxy_livez_total", "Answers of /livez by code", livez)
        histogram("sync_full_proxy_rules_duration_seconds", "Seconds that comparing everything took", wholeSyncs)
        histogram("sync_partial_proxy_rules_duration_seconds", "Seconds that programming changes took", partialSyncs)
        histogram("sync_proxy_rules_duration_seconds", "Seconds that programming took", syncs)
        let pending = "waiting to be programmed"
        single("sync_proxy_rules_endpoint_changes_pending", "gauge", "Endpoint changes \(pending)", endpoints.pending)
        single("sync_proxy_rules_endpoint_changes_total", "counter", "Endpoint changes", endpoints.total)
        perFamily(
            "sync_proxy_rules_last_queued_timestamp_seconds",
            "gauge",
            "When a change was last queued",
            seconds(lastQueued)
        )
        perFamily(
            "sync_proxy_rules_last_timestamp_seconds",
            "gauge",
            "When everything was last programmed",
            seconds(lastSynced)
        )
        perFamily("sync_proxy_rules_nftables_sync_failures_total", "counter", "Commits that failed", "\(failures)")
        single("sync_proxy_rules_service_changes_pending", "gauge", "Service changes \(pending)", services.pending)
        single("sync_proxy_rules_service_changes_total", "counter", "Service changes", services.total)
        // kube-proxy has nothing like it, so that the name is our own.
        let drifted = "swiftlet_proxy_drift_repairs_total"
        lines.append("# HELP \(drifted) How often someone else changed the rules, and they were put back")
        lines.append("# TYPE \(drifted) counter")
        lines.append("\(drifted) \(drifts)")
        return lines.joined(separator: "\n") + "\n"
    }
}
