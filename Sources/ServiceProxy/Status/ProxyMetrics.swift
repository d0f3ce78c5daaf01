import KubernetesAPI
import NetworkTypes
import PrometheusText

/// The metrics of 2.11 that tell of the proxy's own work, and a few that kube-proxy has no like of.
struct ProxyMetrics: Sendable {
    /// What is counted for each family. Both are programmed by one commit, so that they mostly agree.
    private struct Family: Sendable {
        var syncs = Histogram(bounds: ProxyMetrics.syncBounds)
        var wholeSyncs = Histogram(bounds: ProxyMetrics.syncBounds)
        var partialSyncs = Histogram(bounds: ProxyMetrics.syncBounds)
        var programming = Histogram(bounds: ProxyMetrics.programmingBounds)
        var lastSynced: Timestamp?
        var failures = 0
        var cleanupFailures = 0
        var refused = 0
        var withoutLocalEndpoints = WithoutLocalEndpoints()
        var cleanUps = Histogram(bounds: ProxyMetrics.syncBounds)
        var deletedFlows = 0
        var restoreFailures = 0
        var partialRestoreFailures = 0
        /// By table: rules that there are, and that the last run wrote.
        var rules: [String: (total: Int, last: Int)] = [:]
    }

    /// 1 ms × 2^n.
    static let syncBounds = Histogram.exponentialBounds(start: 0.001, factor: 2, count: 15)
    static let programmingBounds =
        [0.25, 0.5] + Histogram.linearBounds(start: 1, width: 1, count: 59)
        + Histogram.linearBounds(start: 60, width: 5, count: 12)
        + Histogram.linearBounds(start: 120, width: 30, count: 7)

    var healthz: [Int: Int] = [:]
    var livez: [Int: Int] = [:]
    var lastQueued: Timestamp?
    var drifts = 0
    private let families: [IPFamily]
    private let mode: ProxyMode
    private var perFamily: [IPFamily: Family]
    private var services = (pending: 0, total: 0)
    private var endpoints = (pending: 0, total: 0)
    private var frontends = FrontendCounts()
    /// Of the Services that lack local endpoints, how many ports do.
    private var lacking: [Catalog.ServiceID: WithoutLocalEndpoints] = [:]

    init(families: [IPFamily], mode: ProxyMode = .nftables) {
        self.mode = mode
        self.families = families
        perFamily = Dictionary(uniqueKeysWithValues: families.map { ($0, Family()) })
    }

    mutating func received(services: Int, endpoints: Int) {
        self.services.pending += services
        self.services.total += services
        self.endpoints.pending += endpoints
        self.endpoints.total += endpoints
    }

    mutating func cleanupFailed(_ family: IPFamily, _ count: Int) {
        perFamily[family]?.cleanupFailures += count
    }

    mutating func restored(_ restore: IPTablesRestore) {
        let family = restore.family
        if restore.succeeded {
            perFamily[family]?.rules[restore.table] = (restore.total, restore.ruleCount)
        } else if restore.isWhole {
            perFamily[family]?.restoreFailures += 1
        } else {
            perFamily[family]?.partialRestoreFailures += 1
        }
    }

    mutating func cleanedConntrack(_ family: IPFamily, _ duration: Duration, deleted: Int) {
        perFamily[family]?.cleanUps.observe(duration)
        perFamily[family]?.deletedFlows += deleted
    }

    mutating func committed(_ commit: CommitReport, at now: Timestamp) {
        for family in families {
            perFamily[family]?.syncs.observe(commit.duration)
            if commit.isWhole {
                perFamily[family]?.wholeSyncs.observe(commit.duration)
            } else {
                perFamily[family]?.partialSyncs.observe(commit.duration)
            }
            if !commit.succeeded, commit.failedFamilies.contains(family) {
                perFamily[family]?.failures += 1
            } else {
                perFamily[family]?.lastSynced = now
            }
        }
        guard commit.succeeded else { return }
        for (family, triggers) in commit.triggers {
            for trigger in triggers { perFamily[family]?.programming.observe(now - trigger) }
        }
        frontends = commit.frontends
        for family in families { perFamily[family]?.refused = commit.refusedFrontends[family] ?? 0 }
        for (id, plan) in commit.plans { note(plan.withoutLocalEndpoints, of: id) }
        guard !commit.hasMore else { return }
        services.pending = 0
        endpoints.pending = 0
    }

    private mutating func note(_ new: WithoutLocalEndpoints, of id: Catalog.ServiceID) {
        let none = WithoutLocalEndpoints()
        guard !lacking.isEmpty || new != none else { return }
        let old = new == none ? lacking.removeValue(forKey: id) : lacking.updateValue(new, forKey: id)
        perFamily[id.family]?.withoutLocalEndpoints.add(new, instead: old ?? none)
    }

    var all: [MetricFamily] {
        func own(_ name: String, _ kind: MetricFamily.Kind, _ help: String, _ samples: [MetricSample]) -> MetricFamily {
            MetricFamily("kubeproxy_\(name)", kind, help, stability: .alpha, samples)
        }
        func perFamily(
            _ name: String,
            _ kind: MetricFamily.Kind,
            _ help: String,
            _ value: (Family) -> Double
        ) -> MetricFamily {
            own(name, kind, help, each { family, label in [MetricSample(value(family), ["ip_family": label])] })
        }
        func histogram(_ name: String, _ help: String, _ histogram: (Family) -> Histogram) -> MetricFamily {
            own(name, .histogram, help, each { family, label in histogram(family).samples(["ip_family": label]) })
        }
        func probes(_ name: String, _ help: String, _ counts: [Int: Int]) -> MetricFamily {
            let counts = counts.sorted { $0.key < $1.key }
            return own(name, .counter, help, counts.map { MetricSample($0.value, ["code": "\($0.key)"]) })
        }
        func one(_ name: String, _ kind: MetricFamily.Kind, _ help: String, _ value: Int) -> MetricFamily {
            own(name, kind, help, [MetricSample(value)])
        }
        let queued = lastQueued?.secondsWithFraction ?? 0
        return [
            probes("proxy_healthz_total", "Answers of /healthz by code", healthz),
            probes("proxy_livez_total", "Answers of /livez by code", livez),
            histogram("sync_proxy_rules_duration_seconds", "Seconds that programming took", \.syncs),
            histogram("sync_full_proxy_rules_duration_seconds", "Seconds that comparing everything took", \.wholeSyncs),
            histogram(
                "sync_partial_proxy_rules_duration_seconds",
                "Seconds that programming changes took",
                \.partialSyncs
            ),
            histogram(
                "network_programming_duration_seconds",
                "Seconds from the change of an endpoint until it was programmed",
                \.programming
            ),
            perFamily("sync_proxy_rules_last_timestamp_seconds", .gauge, "When everything was last programmed") {
                $0.lastSynced?.secondsWithFraction ?? 0
            },
            perFamily("sync_proxy_rules_last_queued_timestamp_seconds", .gauge, "When a change was last queued") {
                _ in queued
            },
            one("sync_proxy_rules_endpoint_changes_pending", .gauge, "Endpoint changes that wait", endpoints.pending),
            one("sync_proxy_rules_endpoint_changes_total", .counter, "Endpoint changes", endpoints.total),
            one("sync_proxy_rules_service_changes_pending", .gauge, "Service changes that wait", services.pending),
            one("sync_proxy_rules_service_changes_total", .counter, "Service changes", services.total),
            own(
                "sync_proxy_rules_no_local_endpoints_total",
                .gauge,
                "Service ports with a Local traffic policy that have endpoints, but none on this node",
                each { family, label in
                    let ports = family.withoutLocalEndpoints
                    return [("internal", ports.internal), ("external", ports.external)].map {
                        MetricSample($0.1, ["ip_family": label, "traffic_policy": $0.0])
                    }
                }
            ),
            histogram(
                "conntrack_reconciler_sync_duration_seconds",
                "Seconds that looking for stale UDP flows took",
                \.cleanUps
            ),
            perFamily("conntrack_reconciler_deleted_entries_total", .counter, "Stale UDP flows that were removed") {
                Double($0.deletedFlows)
            },
        ] + ofMode + additions
    }

    /// What kube-proxy has in one mode alone.
    private var ofMode: [MetricFamily] {
        func counter(_ name: String, _ help: String, _ value: (Family) -> Int) -> MetricFamily {
            MetricFamily(
                "kubeproxy_sync_proxy_rules_\(name)",
                .counter,
                help,
                stability: .alpha,
                each { family, label in [MetricSample(value(family), ["ip_family": label])] }
            )
        }
        func rules(_ name: String, _ help: String, _ value: ((total: Int, last: Int)) -> Int) -> MetricFamily {
            MetricFamily(
                "kubeproxy_sync_proxy_rules_\(name)",
                .gauge,
                help,
                stability: .alpha,
                each { family, label in
                    RuleTable.allCases.map(\.rawValue).map { table in
                        MetricSample(value(family.rules[table] ?? (0, 0)), ["ip_family": label, "table": table])
                    }
                }
            )
        }
        switch mode {
        case .nftables:
            return [
                counter("nftables_sync_failures_total", "Commits that failed", \.failures),
                counter(
                    "nftables_cleanup_failures_total",
                    "How often chains that nothing uses could not be removed at once",
                    \.cleanupFailures
                ),
            ]
        case .iptables:
            return [
                counter("iptables_restore_failures_total", "Comparisons of everything that failed", \.restoreFailures),
                counter(
                    "iptables_partial_restore_failures_total",
                    "Changes that failed, upon which everything was compared",
                    \.partialRestoreFailures
                ),
                rules("iptables_total", "Rules that the proxy has", \.total),
                rules("iptables_last", "Rules that were written by the last change", \.last),
            ]
        case .userspace: return []
        }
    }

    /// What kube-proxy has nothing like.
    private var additions: [MetricFamily] {
        [
            MetricFamily(
                "swiftlet_proxy_drift_repairs_total",
                .counter,
                "How often someone else changed the rules, and they were put back",
                drifts
            ),
            MetricFamily(
                "swiftlet_proxy_frontends",
                .gauge,
                "Addresses and node ports of Services that the proxy is to serve",
                each { _, label in
                    let family: IPFamily = label == "\(IPFamily.ipv4)" ? .ipv4 : .ipv6
                    return Frontend.Kind.allCases.map {
                        MetricSample(frontends[$0, family], ["ip_family": label, "kind": $0.name])
                    }
                }
            ),
            MetricFamily(
                "swiftlet_proxy_refused_frontends",
                .gauge,
                "Those of them that the kernel refused; they are tried again",
                each { family, label in [MetricSample(family.refused, ["ip_family": label])] }
            ),
        ]
    }

    private func each(_ samples: (Family, String) -> [MetricSample]) -> [MetricSample] {
        families.flatMap { family in perFamily[family].map { samples($0, "\(family)") } ?? [] }
    }
}

extension Timestamp {
    fileprivate var secondsWithFraction: Double { Double(nanoseconds) / 1e9 }
}
