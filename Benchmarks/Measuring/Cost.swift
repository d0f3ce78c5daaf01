import Glibc

/// Wall time and processor time, kernel included, in milliseconds.
public struct Cost: Codable, Sendable {
    public var wall: Double
    public var cpu: Double

    public init(wall: Double, cpu: Double) {
        self.wall = wall
        self.cpu = cpu
    }
}

/// Many costs of the same thing.
public struct CostSummary: Codable, Sendable {
    public let wall: Percentiles
    public let cpuMean: Double

    public init(_ costs: [Cost]) {
        wall = Percentiles(costs.map(\.wall))
        cpuMean = costs.isEmpty ? 0 : costs.reduce(0) { $0 + $1.cpu } / Double(costs.count)
    }
}

/// What `body` costs.
///
/// - Parameter who: RUSAGE_SELF, or RUSAGE_CHILDREN for programs that `body` runs.
public func measureCost(_ who: __rusage_who = RUSAGE_SELF, _ body: () async throws -> Void) async throws -> Cost {
    let cpu = processorTime(who)
    let start = monotonicMilliseconds()
    try await body()
    return Cost(wall: monotonicMilliseconds() - start, cpu: processorTime(who) - cpu)
}

private func processorTime(_ who: __rusage_who) -> Double {
    var usage = rusage()
    getrusage(who.rawValue, &usage)
    return usage.processorTime
}

extension rusage {
    /// In milliseconds, kernel included.
    var processorTime: Double {
        func milliseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1e3 + Double(time.tv_usec) / 1e3 }
        return milliseconds(ru_utime) + milliseconds(ru_stime)
    }
}
