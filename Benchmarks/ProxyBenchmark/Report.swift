import Foundation
import Measuring

/// All that was measured, in milliseconds and MiB.
struct Report: Codable {
    var kernel: KernelCost?
    var programs: [EndToEnd] = []

    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }

    /// Tables for a person.
    var text: String {
        ((kernel.map { [Self.text(of: $0)] } ?? []) + programs.map(Self.text(of:))).joined(separator: "\n\n")
    }

    private static func number(_ value: Double) -> String { String(format: "%9.2f", value) }

    private static func text(of kernel: KernelCost) -> String {
        var lines = [
            "the nftables backend alone, lists of 10 endpoints",
            "services  first sync      address change        length change         new length  restart      RSS",
            "          wall    cpu     p50    p95    cpu     p50    p95    cpu     p50         wall    cpu  MiB",
        ]
        for size in kernel.sizes {
            let columns = [
                size.firstSync.wall, size.firstSync.cpu, size.addressChange.wall.p50, size.addressChange.wall.p95,
                size.addressChange.cpuMean, size.lengthChange.wall.p50, size.lengthChange.wall.p95,
                size.lengthChange.cpuMean, size.newLength.wall.p50, size.restart.wall, size.restart.cpu,
                size.residentMiB,
            ]
            lines.append(String(format: "%8d", size.services) + columns.map(number).joined())
        }
        if let peer = kernel.peer {
            lines.append(
                "nft -f, \(peer.services) services: load\(number(peer.load.wall)) wall\(number(peer.load.cpu)) cpu;"
                    + " one address\(number(peer.addressChange.wall.p50)) p50\(number(peer.addressChange.cpuMean)) cpu"
            )
        }
        return lines.joined(separator: "\n")
    }

    private static func text(of program: EndToEnd) -> String {
        var lines = ["\(program.name), \(program.plan.services) Services of \(program.plan.endpoints) endpoints"]
        func line(_ name: String, _ value: String) {
            lines.append("  " + name.padding(toLength: 62, withPad: " ", startingAt: 0) + value)
        }
        func pair(_ latency: Percentiles) -> String {
            "\(number(latency.p50)) /\(number(latency.p95)) (max\(number(latency.maximum)), n = \(latency.count))"
        }
        line("process start to the last Service reachable", number(program.firstSync))
        line("  processor time until then", number(program.firstSyncCPU))
        for (name, change) in [("an address", program.addressChange), ("a list's length", program.lengthChange)] {
            guard let change else { continue }
            line("\(name) changed: API event to first packet, p50 / p95", pair(change.latency))
            line(
                "  processor time of the process / of kernel threads",
                "\(number(change.cpu)) /\(number(change.kernelThreads))"
            )
        }
        if let churn = program.churn {
            let rate = String(format: "%.0f changes a second for %d s", churn.rate, program.plan.seconds)
            line("\(rate): latency p50 / p95", pair(churn.latency))
            line(
                "  never seen / until all were in place / share of a processor",
                "\(churn.missing) /\(number(churn.end)) /\(number(churn.cpuShare))"
            )
            line("  resident MiB early / at the end", "\(number(churn.earlyMiB)) /\(number(churn.lateMiB))")
        }
        if let restart = program.restart {
            line("kill -9 and restart: start to first packet of a change", number(restart.time))
            line(
                "  connections meanwhile / lost / refused",
                "\(restart.connections) / \(restart.lost) / \(restart.refused)"
                    + restart.errors.map { " (\($0.key): \($0.value))" }.sorted().joined()
            )
        }
        line("peak resident memory, MiB", number(program.peakMiB))
        return lines.joined(separator: "\n")
    }
}
