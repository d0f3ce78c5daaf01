import Glibc

/// Wall time and processor time, kernel included, in milliseconds.
struct Cost: Codable {
    var wall: Double
    var cpu: Double
}

/// Many costs of the same thing.
struct CostSummary: Codable {
    let wall: Percentiles
    let cpuMean: Double

    init(_ costs: [Cost]) {
        wall = Percentiles(costs.map(\.wall))
        cpuMean = costs.isEmpty ? 0 : costs.reduce(0) { $0 + $1.cpu } / Double(costs.count)
    }
}

struct Percentiles: Codable {
    let count: Int
    let p50: Double
    let p95: Double
    let maximum: Double

    init(_ values: [Double]) {
        let sorted = values.sorted()
        count = sorted.count
        p50 = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
        p95 = sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, sorted.count * 95 / 100)]
        maximum = sorted.last ?? 0
    }
}

/// Milliseconds of a clock that only goes forward.
func monotonicMilliseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
}

/// - Parameter who: RUSAGE_SELF, or RUSAGE_CHILDREN for programs that `body` runs.
func measureCost(_ who: __rusage_who = RUSAGE_SELF, _ body: () async throws -> Void) async throws -> Cost {
    let cpu = processorTime(who)
    let start = monotonicMilliseconds()
    try await body()
    return Cost(wall: monotonicMilliseconds() - start, cpu: processorTime(who) - cpu)
}

private func processorTime(_ who: __rusage_who) -> Double {
    var usage = rusage()
    getrusage(who.rawValue, &usage)
    func milliseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1e3 + Double(time.tv_usec) / 1e3 }
    return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime)
}

/// A line of /proc/PID/status in MiB, as `VmRSS` or `VmHWM`; 0 when there is none.
func memory(_ name: String, of process: pid_t = getpid()) -> Double {
    guard let file = fopen("/proc/\(process)/status", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, CInt(line.count), file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard text.hasPrefix("\(name):") else { continue }
        return (text.split(whereSeparator: { !$0.isNumber }).first.flatMap { Double($0) } ?? 0) / 1024
    }
    return 0
}
