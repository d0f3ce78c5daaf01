import Foundation
import Glibc
import Logging
import Measuring
import NFTables
import Netlink
import NetworkTypes
import ServiceProxy

/// What the nftables backend alone costs, in this process: the first sync, one changed endpoint, one changed list, a
/// restart, by the number of Services; beside `nft -f` with the same elements.
struct KernelCost: Codable {
    struct Size: Codable {
        let services: Int
        let endpointsPerService: Int
        /// From frontends in memory to the kernel.
        let firstSync: Cost
        /// One endpoint gets another address.
        let addressChange: CostSummary
        /// A list loses an endpoint, or gets it back.
        let lengthChange: CostSummary
        /// A list gets a length that no list had before.
        let newLength: CostSummary
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

    let sizes: [Size]
    let peer: Peer?

    /// - Parameter peerSize: with how many Services `nft` is measured; `nil` for not at all.
    static func measure(_ counts: [Int], peerSize: Int?) async throws -> KernelCost {
        let namespace = try NetworkNamespace.create()
        var sizes: [Size] = []
        for count in counts { sizes.append(try await measure(services: count, in: namespace)) }
        var peer: Peer?
        if let peerSize { peer = try await measurePeer(services: peerSize, in: namespace) }
        return KernelCost(sizes: sizes, peer: peer)
    }

    private static func makeBackend(in namespace: NetworkNamespace) throws -> NFTablesBackend {
        NFTablesBackend(
            kernel: try NetfilterSocket(in: namespace),
            families: [.ipv4],
            options: NFTablesOptions(localSources: [CIDR("10.16.0.0/12")].compactMap { $0 }),
            logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    private static func measure(services: Int, in namespace: NetworkNamespace) async throws -> Size {
        let workload = KernelWorkload(services: services, endpoints: 10)
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
        var newLengths: [Cost] = []
        let (service, plain) = (0, workload.addresses(of: 0))
        var list = plain
        for round in 0..<10 {
            let longer = list + [10 << 24 | 3 << 20 | UInt32(round)]
            newLengths.append(try await replace(service, list, longer))
            list = longer
        }
        let resident = memory("VmRSS")
        let successor = try makeBackend(in: namespace)
        let final = frontends.dropFirst() + [workload.frontend(service, list)]
        let restart = try await measureCost { try await check(successor.start(with: Array(final)).refused) }
        try await successor.cleanup()
        return Size(
            services: services,
            endpointsPerService: workload.endpoints,
            firstSync: firstSync,
            addressChange: CostSummary(addressChanges),
            lengthChange: CostSummary(lengthChanges),
            newLength: CostSummary(newLengths),
            restart: restart,
            residentMiB: resident
        )
    }

    private static func check(_ refused: [RefusedFrontend]) throws {
        if let first = refused.first { throw BenchmarkFailure(first.reason) }
    }

    // MARK: The peer

    private static func measurePeer(services: Int, in namespace: NetworkNamespace) async throws -> Peer? {
        guard
            let nft = ["/usr/sbin/nft", "/usr/bin/nft"].first(where: {
                FileManager.default.isExecutableFile(atPath: $0)
            })
        else { return nil }
        let workload = KernelWorkload(services: services, endpoints: 10)
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
        return Peer(services: services, load: load, addressChange: CostSummary(changes))
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
            throw BenchmarkFailure("\(command) \(arguments) exited with \(process.terminationStatus)")
        }
    }
}
