import PrometheusText

/// The metrics that every component of Kubernetes has of itself (2.11).
public enum ComponentMetrics {
    /// - Parameter version: of the program, as `0.1.0`.
    static func build(_ version: String) -> MetricFamily {
        let parts = version.split(separator: ".")
        #if arch(arm64)
        let architecture = "arm64"
        #else
        let architecture = "amd64"
        #endif
        return MetricFamily(
            "kubernetes_build_info",
            .gauge,
            "Which program this is",
            stability: .alpha,
            [
                // What is empty is known of programs in Go alone, or not kept by the build.
                MetricSample(
                    1,
                    [
                        "build_date": "", "compiler": "swiftc", "git_commit": "", "git_tree_state": "",
                        "git_version": "v\(version)", "go_version": "", "major": String(parts.first ?? ""),
                        "minor": String(parts.dropFirst().first ?? ""), "platform": "linux/\(architecture)",
                    ]
                )
            ]
        )
    }

    static func features(_ gates: FeatureGates) -> MetricFamily {
        MetricFamily(
            "kubernetes_feature_enabled",
            .gauge,
            "Whether a feature gate is on",
            stability: .beta,
            FeatureGate.allCases.map { gate in
                MetricSample(gates.isEnabled(gate) ? 1 : 0, ["name": gate.rawValue, "stage": gate.stage.rawValue])
            }
        )
    }

    /// How many metrics there are: all of `families`, and those of this function.
    static func census(_ families: [MetricFamily]) -> [MetricFamily] {
        let own = [
            MetricFamily("hidden_metrics_total", .counter, "Metrics that are hidden", stability: .beta, 0),
            MetricFamily("disabled_metrics_total", .counter, "Metrics that are switched off", stability: .beta, 0),
        ]
        var counts = Dictionary((families + own).compactMap(\.stability).map { ($0, 1) }, uniquingKeysWith: +)
        counts[.beta, default: 0] += 1  // The one that is made here.
        let samples = MetricFamily.Stability.allCases.compactMap { stability in
            counts[stability].map {
                MetricSample($0, ["deprecated_version": "", "stability_level": stability.rawValue])
            }
        }
        let help = "Metrics that there are, by what Kubernetes promises of them"
        return own + [MetricFamily("registered_metrics_total", .counter, help, stability: .beta, samples)]
    }

    /// `families`, and what is to be told beside them.
    public static func completing(_ families: [MetricFamily], version: String, gates: FeatureGates) -> [MetricFamily] {
        let all = families + [build(version), features(gates)] + (ProcessMetrics.current()?.families ?? [])
        return all + census(all)
    }
}
