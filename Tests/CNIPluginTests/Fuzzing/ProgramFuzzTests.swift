import CNI
import ClusterClient
import Foundation
import JSON
import NetworkTypes
import TestSupport
import Testing

@testable import CNIPlugin

enum CIDRs {
    static let block = CIDR("10.80.0.0/29")
}

/// The program itself with hostile inputs and records: it ends by itself, with 0 or with 1 and a coded error.
/// `SWIFTLET_FUZZ_CALLS` sets how many calls.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"), .serialized)
struct ProgramFuzzTests {
    private static let count = HostileGenerator.number("SWIFTLET_FUZZ_CALLS", 60)
    let bench: Bench

    init() throws { bench = try Bench() }

    private func expectAnswer(_ outcome: Bench.Outcome, _ input: String) {
        if outcome.status == 0 { return }
        #expect(outcome.status == 1, "\(input): \(outcome.log)")
        #expect(outcome.json["msg"] is String, "\(input): \(outcome.output) \(outcome.log)")
        #expect(outcome.json["cniVersion"] is String, "\(input)")
        #expect(outcome.code != nil && outcome.code != 999, "\(input): \(outcome.output)")
    }

    private var configuration: JSONValue {
        HostileGenerator.parse(
            bench.configuration(
                ipv6: true,
                extra: #"""
                    , "mtu": 1400, "log_level": "error", "del_mode": "journal", "add_timeout_seconds": 20,
                    "runtimeConfig": {"mac": "0a:58:00:00:00:01", "ips": ["10.80.0.9"], "dns": {"servers": ["a"]}},
                    "prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "x"}],
                     "ips": [{"address": "192.0.2.1/32", "interface": 0}]},
                    "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]
                    """#
            )
        )
    }

    /// The configuration of a call: hostile, but with no path or server other than the bench's own.
    private func contained(_ value: JSONValue) -> String {
        guard case .object(var object) = value else { return value.text() }
        for key in [
            "log_file_path", "ipam_lock_file", "nodename_file", "etcd_endpoints", "etcd_discovery_srv", "kubernetes",
        ] { object[key] = nil }
        object["data_dir"] = .string(bench.dataDirectory)
        if object["datastore_type"] != nil { object["datastore_type"] = "nonsense" }
        return JSONValue.object(object).text()
    }

    @Test func inputs() async throws {
        var generator = HostileGenerator(seed: HostileGenerator.seed &+ 3)
        let pod = try bench.pod()
        let commands = Command.allCases.map(\.rawValue)
        var successes = 0
        for number in 0..<Self.count {
            let command = commands[Int(number) % commands.count]
            var environment = bench.environment(command, "c1", namespace: pod, arguments: "IgnoreUnknown=1")
            for name in environment.keys.sorted() where name != "CNI_COMMAND" && generator.chance(12) {
                // An environment's text ends at a NUL.
                environment[name] = generator.word().filter { $0 != "\0" }
            }
            var stdin = contained(generator.changed(configuration, one: 60))
            if generator.chance(6) {
                stdin = String(stdin.prefix(Int.random(in: 0..<stdin.count, using: &generator.random)))
            }
            let outcome = try await bench.run(
                plugin: generator.chance(4) ? "swiftlet-ipam" : "swiftlet",
                environment,
                stdin: stdin
            )
            expectAnswer(outcome, "\(environment) \(stdin)")
            if outcome.status == 0 { successes += 1 }
            #expect(try bench.hostLinks().count <= 1, "\(environment) \(stdin)")
        }
        #expect(successes > 0)
        for interface in ["eth0"] {
            for plugin in ["swiftlet", "swiftlet-ipam"] {
                let deleted = try await bench.call("DEL", "c1", namespace: pod, interface: interface, plugin: plugin)
                #expect(deleted.status == 0)
            }
        }
        #expect(try bench.ip("link", in: pod).count <= 2)
    }

    /// Records that say anything, under a checksum that is right.
    @Test func records() async throws {
        var generator = HostileGenerator(seed: HostileGenerator.seed &+ 4)
        let configuration = bench.configuration(ipv6: true)
        let pods = try (0..<2).map { _ in try bench.pod() }
        for (index, pod) in pods.enumerated() {
            let added = try await bench.call("ADD", "c\(index)", namespace: pod, configuration)
            #expect(added.status == 0)
        }
        let store = bench.store
        let collections: [RecordCollection] = [
            .blocks(.ipv4), .blocks(.ipv6), .handles, .resources(.ipPools), .resources(.workloadEndpoints),
            .blockAffinities(.host("node-1"), .ipv4),
        ]
        var whole: [Record] = []
        for collection in collections { whole += try await store.list(collection) }
        let commands = ["ADD", "CHECK", "DEL", "GC", "STATUS"]
        let target = try bench.pod()
        for number in 0..<Self.count {
            // One record is spoiled, a call made, and everything put back.
            let spoiled = try #require(whole.randomElement(using: &generator.random))
            let value = try JSONValue(parsing: Array(spoiled.value).span)
            let hostile = generator.changed(value, one: 10).text()
            try await set(spoiled.key, Data(hostile.utf8))
            let command = commands[Int(number) % commands.count]
            let previous = #", "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.80.0.0/32"}]}"#
            let outcome = try await bench.run(
                bench.environment(command, number.isMultiple(of: 2) ? "c0" : "x", namespace: target),
                stdin: bench.configuration(ipv6: true, extra: command == "CHECK" ? previous : "")
            )
            expectAnswer(outcome, "\(command) with \(spoiled.key): \(hostile)")
            for record in whole { try await set(record.key, record.value) }
            for collection in collections {
                for record in try await store.list(collection) where !whole.contains(where: { $0.key == record.key }) {
                    _ = try await store.commit([.delete(record.key, record.revision)])
                }
            }
            _ = try await bench.call("DEL", "x", namespace: target, configuration)
        }
    }

    private func set(_ key: RecordKey, _ value: Data) async throws {
        if let record = try await bench.store.get(key) {
            if record.value != value { _ = try await bench.store.commit([.update(key, value, record.revision)]) }
        } else {
            _ = try await bench.store.commit([.create(key, value)])
        }
    }

    /// Files that are cut, changed and swapped.
    @Test func storeFiles() async throws {
        var generator = HostileGenerator(seed: HostileGenerator.seed &+ 5)
        let pod = try bench.pod()
        #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0)
        let copy = bench.directory + "/copy"
        try FileManager.default.copyItem(atPath: bench.dataDirectory, toPath: copy)
        let files = try #require(FileManager.default.enumerator(atPath: copy)?.allObjects as? [String]).filter {
            var isDirectory: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: copy + "/" + $0, isDirectory: &isDirectory)
            return !isDirectory.boolValue
        }.sorted()
        let commands = ["ADD", "STATUS", "DEL", "GC"]
        for number in 0..<Self.count / 2 {
            let name = try #require(files.randomElement(using: &generator.random))
            let path = bench.dataDirectory + "/" + name
            let content = [UInt8](FileManager.default.contents(atPath: path) ?? Data())
            try Data(generator.changed(content)).write(to: URL(fileURLWithPath: path))
            let command = commands[Int(number) % commands.count]
            let outcome = try await bench.run(
                bench.environment(command, generator.chance(2) ? "c1" : "x", namespace: pod),
                stdin: bench.configuration()
            )
            expectAnswer(outcome, "\(command) with \(name)")
            try FileManager.default.removeItem(atPath: bench.dataDirectory)
            try FileManager.default.copyItem(atPath: copy, toPath: bench.dataDirectory)
        }
    }
}
