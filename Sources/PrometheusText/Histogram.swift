/// Counts observations by size.
public struct Histogram: Hashable, Sendable {
    /// The upper bounds of the buckets, ascending, without the infinite one.
    public let bounds: [Double]
    /// Per bucket, not summed up; the last one is that above all bounds.
    private var counts: [Int]
    public private(set) var sum = 0.0

    public init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    /// `count` bounds, each `factor` times the one before.
    public static func exponentialBounds(start: Double, factor: Double, count: Int) -> [Double] {
        var bounds: [Double] = []
        var bound = start
        for _ in 0..<count {
            bounds.append(bound)
            bound *= factor
        }
        return bounds
    }

    /// `count` bounds, each `width` more than the one before.
    public static func linearBounds(start: Double, width: Double, count: Int) -> [Double] {
        (0..<count).map { start + Double($0) * width }
    }

    public var count: Int { counts.reduce(0, +) }

    public mutating func observe(_ value: Double) {
        sum += value
        var (low, high) = (0, bounds.count)
        while low < high {
            let middle = (low + high) / 2
            if value <= bounds[middle] { high = middle } else { low = middle + 1 }
        }
        counts[low] += 1
    }

    /// Observes seconds.
    public mutating func observe(_ duration: Duration) {
        observe(duration / .seconds(1))
    }

    /// The samples of this histogram in a family of kind ``MetricFamily/Kind/histogram``.
    public func samples(_ labels: KeyValuePairs<String, String> = [:]) -> [MetricSample] {
        let labels = labels.map { MetricSample.Label($0.key, $0.value) }
        var samples: [MetricSample] = []
        samples.reserveCapacity(counts.count + 2)
        var total = 0
        for (bound, count) in zip(bounds + [.infinity], counts) {
            total += count
            let bucket = labels + [MetricSample.Label("le", MetricFamily.text(bound))]
            samples.append(MetricSample(suffix: "_bucket", Double(total), bucket))
        }
        samples.append(MetricSample(suffix: "_sum", sum, labels))
        samples.append(MetricSample(suffix: "_count", Double(total), labels))
        return samples
    }
}
