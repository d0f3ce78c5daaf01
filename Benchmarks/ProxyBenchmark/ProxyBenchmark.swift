// What the nftables backend costs: the first sync, one changed endpoint, one changed list; beside `nft -f` with the
// same elements. In a network namespace of its own; needs root.
//
//     swift run -c release ProxyBenchmark [--json] [--services 100,1000,10000]

import Foundation
import Glibc
import Logging
import NFTables
import Netlink
import NetworkTypes
import ServiceProxy

struct Report: Codable {
    struct Size: Codable {
        let services: Int
        let endpointsPerService: Int
        /// From frontends in memory to the kernel.
        let firstSync: Cost
        /// One endpoint gets another address.
        let addressChange: CostSummary
        /// A list loses an endpoint, or gets it back.
        let lengthChange: CostSummary
        /// A new process finds the table as it should be.
        let restart: Cost
        let residentMiB: Double
    }

    /// The `nft` command with the same table as text.
    struct Peer: Codable {
        let services: Int
        let load: Cost
        let addressChange: CostSummary
    }

    var sizes: [Size] = []
    var peer: Peer?
    var peakMiB = 0.0
}

@main
struct ProxyBenchmark {
    static func main() async throws {
        let arguments = CommandLine.arguments
        var counts = [100, 1000, 10_000]
        if let index = arguments.firstIndex(of: "--services"), index + 1 < arguments.count {
            counts = arguments[index + 1].split(separator: ",").compactMap { Int($0) }
        }
        guard geteuid() == 0 else {
            print("ProxyBenchmark makes a network namespace and needs root.")
            exit(1)
        }
        let namespace = try NetworkNamespace.create()
        var report = Report()
        for count in counts {
            report.sizes.append(try await measure(services: count, in: namespace))
        }
        report.peakMiB = memory("VmHWM")
        if let largest = counts.max() { report.peer = try await measurePeer(services: largest, in: namespace) }
        if arguments.contains("--json") {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            printTable(report)
        }
    }

    private static func makeBackend(in namespace: NetworkNamespace) throws -> NFTablesBackend {
        NFTablesBackend(
            kernel: try NetfilterSocket(in: namespace),
            families: [.ipv4],
            options: NFTablesOptions(localSources: [CIDR("10.16.0.0/12")].compactMap { $0 }),
            logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    private static func measure(services: Int, in namespace: NetworkNamespace) async throws -> Report.Size {
        let workload = Workload(services: services, endpoints: 10)
        let backend = try makeBackend(in: namespace)
        let frontends = workload.frontends
        let firstSync = try await measureCost { try await check(backend.start(with: frontends).refused) }

        var random = SystemRandomNumberGenerator()
        func replace(_ service: Int, _ old: [UInt32], _ new: [UInt32]) async throws -> Cost {
            let change = FrontendChange.replace(
                old: workload.frontend(service, old),
                new: workload.frontend(service, new)
            )
            return try await measureCost { try await check(backend.apply([change])) }
        }
        var addressChanges: [Cost] = []
        var lengthChanges: [Cost] = []
        for round in 0..<200 {
            let service = Int.random(in: 0..<services, using: &random)
            let old = workload.addresses(of: service)
            var new = old
            new[Int.random(in: 0..<new.count, using: &random)] = 10 << 24 | 2 << 20 | UInt32(round)
            addressChanges.append(try await replace(service, old, new))
            _ = try await replace(service, new, old)
            if round % 4 == 0 {
                lengthChanges.append(try await replace(service, old, Array(old.dropFirst())))
                lengthChanges.append(try await replace(service, Array(old.dropFirst()), old))
            }
        }
        let resident = memory("VmRSS")
        let successor = try makeBackend(in: namespace)
        let restart = try await measureCost { try await check(successor.start(with: frontends).refused) }
        try await successor.cleanup()
        return Report.Size(
            services: services,
            endpointsPerService: workload.endpoints,
            firstSync: firstSync,
            addressChange: CostSummary(addressChanges),
            lengthChange: CostSummary(lengthChanges),
            restart: restart,
            residentMiB: resident
        )
    }

    private static func check(_ refused: [RefusedFrontend]) throws {
        if let first = refused.first { throw BenchmarkFailure(reason: first.reason) }
    }

    // MARK: The peer

    private static func measurePeer(services: Int, in namespace: NetworkNamespace) async throws -> Report.Peer? {
        guard
            let nft = ["/usr/sbin/nft", "/usr/bin/nft"].first(where: {
                FileManager.default.isExecutableFile(atPath: $0)
            })
        else { return nil }
        let workload = Workload(services: services, endpoints: 10)
        let backend = try makeBackend(in: namespace)
        try await check(backend.start(with: workload.frontends).refused)
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: directory) }
        let table = directory.appendingPathComponent("table.nft").path
        try run(in: namespace, nft, ["list", "table", "ip", "swiftlet"], output: table)
        try await backend.cleanup()

        let load = try await measureCost(RUSAGE_CHILDREN) { try run(in: namespace, nft, ["-f", table]) }
        var changes: [Cost] = []
        for round in 0..<20 {
            let key = "172.30.0.\(round) . tcp . 80 . 0"
            let change = directory.appendingPathComponent("change.nft").path
            try """
            delete element ip swiftlet backends { \(key) }
            add element ip swiftlet backends { \(key) : 10.2.2.2 . 8080 }
            """.write(toFile: change, atomically: false, encoding: .utf8)
            changes.append(
                try await measureCost(RUSAGE_CHILDREN) { try run(in: namespace, nft, ["-f", change]) }
            )
        }
        try await backend.cleanup()
        return Report.Peer(services: services, load: load, addressChange: CostSummary(changes))
    }

    private static func run(
        in namespace: NetworkNamespace,
        _ command: String,
        _ arguments: [String],
        output: String? = nil
    ) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        process.arguments = ["--net=/proc/\(getpid())/fd/\(namespace.descriptor)", command] + arguments
        if let output {
            _ = FileManager.default.createFile(atPath: output, contents: nil)
            process.standardOutput = FileHandle(forWritingAtPath: output)
        } else {
            process.standardOutput = FileHandle.nullDevice
        }
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw BenchmarkFailure(reason: "\(command) \(arguments) exited with \(process.terminationStatus)")
        }
    }

    // MARK: Output

    private static func printTable(_ report: Report) {
        func number(_ value: Double) -> String { String(format: "%9.2f", value) }
        print("services  first sync      address change        length change         restart      RSS")
        print("          wall    cpu     p50    p95    cpu     p50    p95    cpu     wall    cpu  MiB")
        for size in report.sizes {
            print(
                String(format: "%8d", size.services),
                number(size.firstSync.wall),
                number(size.firstSync.cpu),
                number(size.addressChange.wallP50),
                number(size.addressChange.wallP95),
                number(size.addressChange.cpuMean),
                number(size.lengthChange.wallP50),
                number(size.lengthChange.wallP95),
                number(size.lengthChange.cpuMean),
                number(size.restart.wall),
                number(size.restart.cpu),
                number(size.residentMiB)
            )
        }
        if let peer = report.peer {
            print(
                "nft -f, \(peer.services) services: load \(number(peer.load.wall)) wall \(number(peer.load.cpu)) cpu;",
                "one address \(number(peer.addressChange.wallP50)) p50 \(number(peer.addressChange.cpuMean)) cpu"
            )
        }
        print("peak \(number(report.peakMiB)) MiB; times in milliseconds")
    }
}

struct BenchmarkFailure: Error, CustomStringConvertible {
    let reason: String
    var description: String { reason }
}
