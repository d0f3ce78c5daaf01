import Foundation
import Glibc

/// Wall time and processor time, kernel included, in milliseconds.
struct Cost: Codable {
    var wall: Double
    var cpu: Double
}

/// Many costs of the same thing.
struct CostSummary: Codable {
    let count: Int
    let wallP50: Double
    let wallP95: Double
    let cpuMean: Double

    init(_ costs: [Cost]) {
        let walls = costs.map(\.wall).sorted()
        count = costs.count
        wallP50 = walls.isEmpty ? 0 : walls[walls.count / 2]
        wallP95 = walls.isEmpty ? 0 : walls[min(walls.count - 1, walls.count * 95 / 100)]
        cpuMean = costs.isEmpty ? 0 : costs.reduce(0) { $0 + $1.cpu } / Double(costs.count)
    }
}

/// - Parameter who: RUSAGE_SELF, or RUSAGE_CHILDREN for programs that `body` runs.
func measureCost(_ who: __rusage_who = RUSAGE_SELF, _ body: () async throws -> Void) async throws -> Cost {
    let cpu = processorTime(who)
    let start = ContinuousClock.now
    try await body()
    let wall = ContinuousClock.now - start
    return Cost(
        wall: Double(wall.components.seconds) * 1e3 + Double(wall.components.attoseconds) / 1e15,
        cpu: processorTime(who) - cpu
    )
}

private func processorTime(_ who: __rusage_who) -> Double {
    var usage = rusage()
    getrusage(who.rawValue, &usage)
    func milliseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1e3 + Double(time.tv_usec) / 1e3 }
    return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime)
}

/// A line of /proc/self/status in MiB, as `VmRSS` or `VmHWM`.
func memory(_ name: String) -> Double {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
    let number = line?.split(separator: " ").dropFirst().first ?? line?.split(separator: "\t").last
    return (number.flatMap { Double($0) } ?? 0) / 1024
}
