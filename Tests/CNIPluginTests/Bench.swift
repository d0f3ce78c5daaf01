import CNI
import ClusterClient
import Foundation
import NetworkTypes
import Synchronization
import TestSupport
import Testing

@testable import CNIPlugin

/// A host of its own for the plugin: a network namespace that plays the host, namespaces of pods, a data directory.
///
/// The plugin runs as a runtime would run it: the real program, with environment and stdin.
final class Bench: Sendable {
    struct Outcome: Sendable {
        let status: Int32
        let output: String
        let log: String

        /// The answer on stdout, as Foundation reads it.
        var json: [String: Any] {
            ((try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any]) ?? [:]
        }

        var code: Int? { json["code"] as? Int }

        /// The addresses of the result, without prefix length.
        var addresses: [String] {
            let list = (json["ips"] as? [[String: Any]])?.compactMap { $0["address"] as? String }
            let families = ["ip4", "ip6"].compactMap { (json[$0] as? [String: Any])?["ip"] as? String }
            return (list ?? families).map { String($0.prefix { $0 != "/" }) }
        }
    }

    let name: String
    let directory: String

    init() throws {
        name = "swl" + (0..<8).map { _ in String("0123456789abcdef".randomElement()!) }.joined()
        directory = Self.directory(name)
        Self.removesAllAtExit
        Self.live.withLock { [name] in $0[name] = [] }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: directory + "/swiftlet-ipam",
            withDestinationPath: Self.program
        )
        try Self.run("ip", "netns", "add", name)
        try Self.run("ip", "-n", name, "link", "set", "lo", "up")
    }

    deinit { Self.remove(name) }

    /// The benches that there are, with the namespaces of their pods.
    private static let live = Mutex<[String: [String]]>([:])

    /// The test run ends without waiting for the last objects to go, so that what they would remove is removed then.
    private static let removesAllAtExit: Void = {
        _ = atexit { for name in Bench.live.withLock({ Array($0.keys) }) { Bench.remove(name) } }
    }()

    private static func remove(_ name: String) {
        guard let pods = live.withLock({ $0[name] }) else { return }
        for namespace in pods + [name] { _ = try? run("ip", "netns", "delete", namespace) }
        try? FileManager.default.removeItem(atPath: directory(name))
        try? FileManager.default.removeItem(atPath: dataDirectory(name))
        // Only now: the end of the run may come in the middle, and then goes over all of it again.
        live.withLock { _ = $0.removeValue(forKey: name) }
    }

    private static func directory(_ name: String) -> String { NSTemporaryDirectory() + "/" + name }

    static let program = (try? ChildProcess.sibling("swiftlet")) ?? "swiftlet"

    /// In memory where there is such a place: a disk that is busy with what a build wrote just before can keep the first
    /// of many plugins waiting for longer than the others wait for it.
    var dataDirectory: String { Self.dataDirectory(name) }

    private static func dataDirectory(_ name: String) -> String { dataRoot + "/" + name + "-data" }

    private static let dataRoot =
        FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()

    /// A new pod's namespace; its path.
    func pod() throws -> String {
        let pod = "\(name)-\(UInt32.random(in: 0...UInt32.max))"
        Self.live.withLock { $0[name]?.append(pod) }
        try Self.run("ip", "netns", "add", pod)
        return "/run/netns/\(pod)"
    }

    func removePod(_ path: String) throws {
        try Self.run("ip", "netns", "delete", Self.namespace(path))
    }

    static func namespace(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

    // MARK: Configuration

    static let pool4 = #"{"name": "four", "cidr": "10.80.0.0/24", "blockSize": 26}"#
    static let pool6 = #"{"name": "six", "cidr": "fd80::/120", "blockSize": 122}"#

    /// A network configuration; `extra` are further members, each with a comma before it.
    func configuration(
        version: String = "1.1.0",
        network: String = "pods",
        ipv4: Bool = true,
        ipv6: Bool = false,
        pools: String = "\(Bench.pool4), \(Bench.pool6)",
        ipam: String = "",
        extra: String = ""
    ) -> String {
        #"""
        {"cniVersion": "\#(version)", "name": "\#(network)", "type": "swiftlet", "data_dir": "\#(dataDirectory)",
         "nodename": "node-1", "ipam": {"type": "swiftlet-ipam", "assign_ipv4": "\#(ipv4)", "assign_ipv6": "\#(ipv6)",
         "pools": [\#(pools)]\#(ipam)}\#(extra)}
        """#
    }

    // MARK: Running

    func environment(
        _ command: String,
        _ container: String,
        namespace: String?,
        interface: String = "eth0",
        arguments: String = ""
    ) -> [String: String] {
        var environment = ["CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": interface]
        environment["CNI_PATH"] = "/opt/cni/bin"
        environment["CNI_NETNS"] = namespace
        if !arguments.isEmpty { environment["CNI_ARGS"] = arguments }
        return environment
    }

    /// Calls the plugin as a runtime does.
    func call(
        _ command: String,
        _ container: String,
        namespace: String?,
        interface: String = "eth0",
        arguments: String = "",
        _ configuration: String? = nil,
        plugin: String = "swiftlet"
    ) async throws -> Outcome {
        try await run(
            plugin: plugin,
            environment(command, container, namespace: namespace, interface: interface, arguments: arguments),
            stdin: configuration ?? self.configuration()
        )
    }

    /// Runs the program in the host's namespace.
    ///
    /// - Parameter plugin: one of the bench's own names, or the path of another program.
    func run(
        plugin: String = "swiftlet",
        _ environment: [String: String],
        stdin: String,
        arguments: [String] = [],
        asUser user: Int? = nil,
        killAfter: Duration? = nil,
        closesOutput: Bool = false
    ) async throws -> Outcome {
        let file = plugin == "swiftlet" ? Self.program : plugin.hasPrefix("/") ? plugin : directory + "/" + plugin
        let user = user.map { ["--setuid=\($0)", "--setgid=\($0)"] } ?? []
        return try await Self.inThread {
            try Self.execute(
                "nsenter",
                ["--net=/run/netns/\(self.name)"] + user + [file] + arguments,
                environment: environment,
                stdin: stdin,
                killAfter: killAfter,
                closesOutput: closesOutput
            )
        }
    }

    @discardableResult
    static func run(_ command: String, _ arguments: String...) throws -> String {
        try run(arguments: [command] + arguments)
    }

    @discardableResult
    static func run(arguments: [String]) throws -> String {
        let (command, arguments) = (arguments[0], Array(arguments.dropFirst()))
        let outcome = try execute(command, arguments, environment: ProcessInfo.processInfo.environment, stdin: "")
        guard outcome.status == 0 else {
            throw Failure(description: "\(command) \(arguments.joined(separator: " ")): \(outcome.log)")
        }
        return outcome.output
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private static func execute(
        _ command: String,
        _ arguments: [String],
        environment: [String: String],
        stdin: String,
        killAfter: Duration? = nil,
        closesOutput: Bool = false
    ) throws -> Outcome {
        let process = Process()
        let found = ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"].map { $0 + command }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
        process.executableURL = URL(fileURLWithPath: found ?? command)
        process.arguments = arguments
        process.environment = environment
        let (input, output, log) = (Pipe(), Pipe(), Pipe())
        (process.standardInput, process.standardOutput, process.standardError) = (input, output, log)
        signal(SIGPIPE, SIG_IGN)
        if closesOutput { try output.fileHandleForReading.close() }
        try process.run()
        try? input.fileHandleForWriting.write(contentsOf: Data(stdin.utf8))
        try? input.fileHandleForWriting.close()
        if let killAfter {
            let (seconds, attoseconds) = killAfter.components
            usleep(UInt32(seconds * 1_000_000 + attoseconds / 1_000_000_000_000))
            kill(process.processIdentifier, SIGKILL)
        }
        let outputText =
            closesOutput ? "" : String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let logText = String(decoding: log.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return Outcome(status: process.terminationStatus, output: outputText, log: logText)
    }

    /// Blocking work on a thread of its own, so that many calls run at once.
    private static func inThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value
    {
        try await withCheckedThrowingContinuation { continuation in
            Thread { continuation.resume(with: Result { try body() }) }.start()
        }
    }

    // MARK: Looking

    /// What a namespace has, by `ip -j`; the host's when none is given.
    func ip(_ arguments: String..., in path: String? = nil) throws -> [[String: Any]] {
        let namespace = path.map(Self.namespace) ?? name
        let outcome = try Self.execute("ip", ["-n", namespace, "-j", "-d"] + arguments, environment: [:], stdin: "")
        let json = try? JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
        return (json as? [[String: Any]]) ?? []
    }

    /// The names of the host's links but loopback.
    func hostLinks() throws -> [String] {
        try ip("link").compactMap { $0["ifname"] as? String }.filter { $0 != "lo" }.sorted()
    }

    /// The destinations of the host's routes to pods, both families, without what the kernel adds itself.
    func hostRoutes() throws -> [String] {
        let routes = try ip("route") + ip("-6", "route")
        return routes.compactMap { $0["dst"] as? String }.filter { !$0.hasPrefix("fe80") && !$0.hasPrefix("ff00") }
            .sorted()
    }

    /// The global addresses of a pod's interface.
    func podAddresses(_ path: String, _ interface: String = "eth0") throws -> [String] {
        try ip("addr", "show", "dev", interface, in: path).flatMap { ($0["addr_info"] as? [[String: Any]]) ?? [] }
            .filter { $0["scope"] as? String == "global" }.compactMap { $0["local"] as? String }
    }
}

/// Values gathered from several places.
final class Collected<Value: Sendable>: @unchecked Sendable {
    // The lock guards every access to the array.
    private let lock = NSLock()
    private var values: [Value] = []

    func add(_ value: Value) { lock.withLock { values.append(value) } }
    var all: [Value] { lock.withLock { values } }
}

// MARK: The store

extension Bench {
    var store: LocalDatastore { LocalDatastore(dataDirectory: dataDirectory) }

    /// The addresses of all recorded endpoints, sorted.
    func recordedAddresses(in other: (any Datastore)? = nil) async throws -> [String] {
        try await (other ?? store).list(.resources(.workloadEndpoints))
            .flatMap { try WorkloadEndpoint(record: $0).addresses.map(\.description) }.sorted()
    }

    /// The addresses that blocks have as assigned, sorted.
    func assignedAddresses(in other: (any Datastore)? = nil) async throws -> [String] {
        var addresses: [String] = []
        for family in [IPFamily.ipv4, .ipv6] {
            for record in try await (other ?? store).list(.blocks(family)) {
                let block = try JSONSerialization.jsonObject(with: record.value) as? [String: Any]
                let cidr = try #require((block?["cidr"] as? String).flatMap { CIDR($0) })
                let allocations = try #require(block?["allocations"] as? [Any])
                for (ordinal, index) in allocations.enumerated() where index is Int {
                    addresses.append(try #require(cidr.address.advanced(by: UInt64(ordinal))).description)
                }
            }
        }
        return addresses.sorted()
    }

    /// Flips bytes in every file of the store that has records; how many files there were.
    func damageStore() throws -> Int {
        var count = 0
        let files = FileManager.default.enumerator(atPath: dataDirectory)
        while let name = files?.nextObject() as? String {
            let path = dataDirectory + "/" + name
            guard var data = FileManager.default.contents(atPath: path), data.count > 4 else { continue }
            for index in stride(from: 0, to: data.count, by: 3) { data[index] ^= 0x15 }
            try data.write(to: URL(fileURLWithPath: path))
            count += 1
        }
        return count
    }
}
