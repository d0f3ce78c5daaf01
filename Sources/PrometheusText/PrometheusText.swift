// PrometheusText: metrics as values, and the text that scrapers read (Prometheus' text format, version 0.0.4). What is
// counted, and where, is its users' business; there is no registry and no global state.

/// One metric with all its samples.
public struct MetricFamily: Hashable, Sendable {
    public enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// What Kubernetes promises of the name and labels of a metric; stands in front of the help.
    public enum Stability: String, Sendable, CaseIterable {
        case alpha = "ALPHA"
        case beta = "BETA"
        case stable = "STABLE"
    }

    public let name: String
    public let kind: Kind
    public let help: String
    /// `nil` for metrics that Kubernetes knows nothing of.
    public let stability: Stability?
    public let samples: [MetricSample]

    public init(
        _ name: String,
        _ kind: Kind,
        _ help: String,
        stability: Stability? = nil,
        _ samples: [MetricSample]
    ) {
        self.name = name
        self.kind = kind
        self.help = help
        self.stability = stability
        self.samples = samples
    }

    /// A metric without labels.
    public init(_ name: String, _ kind: Kind, _ help: String, stability: Stability? = nil, _ value: Double) {
        self.init(name, kind, help, stability: stability, [MetricSample(value)])
    }

    /// A metric without labels that counts.
    public init(_ name: String, _ kind: Kind, _ help: String, stability: Stability? = nil, _ value: Int) {
        self.init(name, kind, help, stability: stability, Double(value))
    }
}

/// One number of a metric.
public struct MetricSample: Hashable, Sendable {
    public struct Label: Hashable, Sendable {
        public let name: String
        public let value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// What follows the name of the metric: `_bucket`, `_sum` and `_count` of a histogram.
    public let suffix: String
    public let labels: [Label]
    public let value: Double

    public init(suffix: String = "", _ value: Double, _ labels: [Label]) {
        self.suffix = suffix
        self.labels = labels
        self.value = value
    }

    public init(_ value: Double, _ labels: KeyValuePairs<String, String> = [:]) {
        self.init(value, labels.map { Label($0.key, $0.value) })
    }

    public init(_ value: Int, _ labels: KeyValuePairs<String, String> = [:]) {
        self.init(Double(value), labels)
    }
}

extension MetricFamily {
    /// The text of metrics in the order of their names. One without samples is left out.
    public static func text(_ families: some Sequence<MetricFamily>) -> String {
        var text = ""
        for family in families.sorted(by: { $0.name < $1.name }) where !family.samples.isEmpty {
            family.write(to: &text)
        }
        return text
    }

    /// The content type of ``text(_:)``.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

    private func write(to text: inout String) {
        text += "# HELP \(name) "
        if let stability { text += "[\(stability.rawValue)] " }
        Self.escape(help, quotes: false, to: &text)
        text += "\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples {
            text += name
            text += sample.suffix
            for (index, label) in sample.labels.enumerated() {
                text += index == 0 ? "{" : ","
                text += label.name
                text += "=\""
                Self.escape(label.value, quotes: true, to: &text)
                text += "\""
            }
            if !sample.labels.isEmpty { text += "}" }
            text += " \(Self.text(sample.value))\n"
        }
    }

    private static func escape(_ value: String, quotes: Bool, to text: inout String) {
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\"" where quotes: text += "\\\""
            default: text.unicodeScalars.append(scalar)
            }
        }
    }

    /// A number as the format has it: whole numbers without a point.
    static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }
}
