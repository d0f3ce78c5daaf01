/// Measurements of one thing, in short. A percentile is the value that so many of a hundred do not exceed (nearest rank).
public struct Percentiles: Codable, Sendable {
    public let count: Int
    public let p50: Double
    public let p95: Double
    public let maximum: Double

    /// All zero without values.
    public init(_ values: [Double]) {
        let sorted = values.sorted()
        func percentile(_ share: Double) -> Double {
            guard !sorted.isEmpty else { return 0 }
            let rank = Int((share * Double(sorted.count)).rounded(.up))
            return sorted[min(max(rank, 1), sorted.count) - 1]
        }
        count = sorted.count
        p50 = percentile(0.5)
        p95 = percentile(0.95)
        maximum = sorted.last ?? 0
    }
}
