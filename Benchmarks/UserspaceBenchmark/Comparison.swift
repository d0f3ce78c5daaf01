import CLinux
import Foundation
import Glibc
import Measuring

/// Everything is measured of both in turns, several times; what counts is the median.
struct Comparison {
    private enum Contestant: String, CaseIterable {
        case swiftlet, haproxy

        var port: UInt16 { self == .swiftlet ? Ports.swiftlet : Ports.haproxy }
    }

    private struct Measure {
        let name: String
        let unit: String
        let digits: Int
        let run: (UInt16) throws -> Double
    }

    private let settings: Settings
    private let own: String

    init(_ settings: Settings) throws {
        self.settings = settings
        own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    }

    func run() throws {
        try enterOwnNetwork()
        try "1024 65000".write(toFile: "/proc/sys/net/ipv4/ip_local_port_range", atomically: false, encoding: .utf8)
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(7), &limit)  // RLIMIT_NOFILE
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(7), &limit)

        let server = try Child([own, "server"])
        defer { server.end() }
        try server.awaitPort(Ports.server)
        let contestants = try Contestant.allCases.map(start)
        defer { for child in contestants { child.end() } }
        let seconds = settings.seconds
        let measures = [
            Measure(name: "one stream", unit: "Gbit/s", digits: 1) {
                try Load.throughput($0, streams: 1, seconds: seconds)
            },
            Measure(name: "100 streams", unit: "Gbit/s", digits: 1) {
                try Load.throughput($0, streams: 100, seconds: seconds)
            },
            Measure(name: "connections", unit: "1/s", digits: 0) {
                try Load.rate($0, clients: 16, seconds: seconds)
            },
        ]
        var results: [String: [Contestant: [Double]]] = [:]
        for round in 0..<settings.rounds {
            let order = round % 2 == 0 ? Contestant.allCases : Contestant.allCases.reversed()
            for measure in measures {
                for contestant in order {
                    results[measure.name, default: [:]][contestant, default: []].append(
                        try measure.run(contestant.port)
                    )
                    usleep(200_000)
                }
            }
        }
        print("medians of \(settings.rounds) rounds of \(settings.seconds) s, in turns; 2 threads each")
        print(Self.row(["", "swiftlet", "haproxy", "ratio", ""]))
        for measure in measures { report(measure.name, measure.unit, measure.digits, results[measure.name] ?? [:]) }
        for child in contestants { child.end() }
        var memory: [Contestant: [Double]] = [:]
        for contestant in Contestant.allCases { memory[contestant] = [try memoryPerConnection(contestant)] }
        report("memory of an idle one", "bytes", 0, memory)
    }

    /// Starts one and waits until it takes connections.
    private func start(_ contestant: Contestant) throws -> Child {
        let child: Child
        switch contestant {
        case .swiftlet: child = try Child([own, "balance"])
        case .haproxy:
            let path = NSTemporaryDirectory() + "/haproxy.\(getpid()).cfg"
            try Self.haproxyConfiguration.write(toFile: path, atomically: false, encoding: .utf8)
            child = try Child([settings.haproxy, "-db", "-f", path])
            try child.awaitPort(contestant.port)
            try FileManager.default.removeItem(atPath: path)
        }
        try child.awaitPort(contestant.port)
        return child
    }

    private static let haproxyConfiguration = """
        global
            nbthread 2
            maxconn 9000
        defaults
            mode tcp
            timeout connect 5s
            timeout client 1h
            timeout server 1h
        frontend bench
            bind 127.0.0.1:\(Ports.haproxy) backlog 4096
            default_backend servers
        backend servers
            server one 127.0.0.1:\(Ports.server)

        """

    /// Of a process that has done nothing before.
    private func memoryPerConnection(_ contestant: Contestant) throws -> Double {
        let child = try start(contestant)
        defer { child.end() }
        let before = child.memory
        let held = try Load.hold(contestant.port, settings.held)
        defer { for socket in held { Sockets.reset(socket) } }
        usleep(2_000_000)  // haproxy gives the buffers of idle connections back.
        return (child.memory - before) / Double(settings.held)
    }

    private func report(_ name: String, _ unit: String, _ digits: Int, _ values: [Contestant: [Double]]) {
        func median(_ contestant: Contestant) -> Double {
            let sorted = (values[contestant] ?? []).sorted()
            return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
        }
        let (ours, theirs) = (median(.swiftlet), median(.haproxy))
        let numbers = [ours, theirs].map { String(format: "%.\(digits)f", $0) }
        print(Self.row([name] + numbers + [String(format: "%.2f", ours / theirs), unit]))
    }

    private static func row(_ cells: [String]) -> String {
        let widths = [24, 12, 12, 8, 8]
        return zip(cells, widths).enumerated().map { index, cell in
            let padding = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
            return index == 0 ? cell.0 + padding : index == 4 ? " " + cell.0 : padding + cell.0
        }.joined()
    }
}
