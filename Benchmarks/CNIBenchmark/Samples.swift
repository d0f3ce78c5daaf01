import Glibc

/// Measurements of one thing, in milliseconds.
struct Samples {
    private(set) var values: [Double] = []

    mutating func add(_ value: Double) {
        values.append(value)
    }

    /// The value that `share` of all measurements do not exceed (nearest rank); 0 without measurements.
    func percentile(_ share: Double) -> Double {
        guard !values.isEmpty else { return 0 }
        let rank = Int((share * Double(values.count)).rounded(.up))
        return values.sorted()[min(max(rank, 1), values.count) - 1]
    }

    /// The median and the 95th percentile, as `7.12 / 9.80`.
    var summary: String { "\(Self.text(percentile(0.5))) / \(Self.text(percentile(0.95)))" }

    /// Two digits behind the point.
    static func text(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
    }
}
