import CNI
import ClusterClient
import Foundation
import IPAM
import Testing

@testable import CNIPlugin

/// What does not need a pod: VERSION, STATUS, the person at the keyboard.
@Suite(.enabled(if: geteuid() == 0, "makes a network namespace"))
struct ProgramTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    static let versions = SpecVersion.allCases.map(\.rawValue)

    @Test(arguments: ["", "{", #"{"cniVersion": "1.1.0"}"#])
    func version(_ stdin: String) async throws {
        for plugin in ["swiftlet", "swiftlet-ipam"] {
            let outcome = try await bench.run(plugin: plugin, ["CNI_COMMAND": "VERSION"], stdin: stdin)
            #expect(outcome.status == 0)
            #expect(outcome.json["cniVersion"] as? String == "1.1.0")
            #expect(outcome.json["supportedVersions"] as? [String] == Self.versions)
        }
    }

    /// V7: whoever has nothing to say may leave stdin open, as a FIFO that is open for writing is.
    @Test func versionDoesNotWaitForTheEndOfStdin() async throws {
        let fifo = bench.directory + "/stdin"
        try #require(mkfifo(fifo, 0o600) == 0)
        let outcome = try await bench.run(
            plugin: "/bin/sh",
            ["CNI_COMMAND": "VERSION"],
            stdin: "",
            arguments: ["-c", #"exec "$0" <> "$1""#, Bench.program, fifo]
        )
        #expect(outcome.status == 0, "\(outcome.output)")
        #expect(outcome.json["supportedVersions"] as? [String] == Self.versions)
    }

    @Test func versionAsArgument() async throws {
        let outcome = try await bench.run([:], stdin: #"{"cniVersion": "0.4.0"}"#, arguments: ["VERSION"])
        #expect(outcome.status == 0)
        #expect(outcome.json["cniVersion"] as? String == "0.4.0")
    }

    @Test func withoutCommandItSaysWhatItIs() async throws {
        let outcome = try await bench.run([:], stdin: "")
        #expect(outcome.status == 0)
        #expect(outcome.output == "")
        #expect(outcome.log.contains("CNI plugin"))
        #expect(outcome.log.contains("0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"))
        let ipam = try await bench.run(plugin: "swiftlet-ipam", [:], stdin: "")
        #expect(ipam.log.contains("for IPAM"))
    }

    @Test func personAtTheKeyboard() async throws {
        for argument in ["--help", "--version"] {
            let outcome = try await bench.run([:], stdin: "", arguments: [argument])
            #expect(outcome.status == 0)
            #expect(outcome.output.contains("swiftlet"))
        }
        let outcome = try await bench.run([:], stdin: "", arguments: ["--nonsense"])
        #expect(outcome.status == 2)
        #expect(outcome.log.contains("--nonsense"))
    }

    @Test func statusOfAGoodConfigurationIsSilentAndMakesNothing() async throws {
        for plugin in ["swiftlet", "swiftlet-ipam"] {
            let outcome = try await bench.run(
                plugin: plugin,
                ["CNI_COMMAND": "STATUS"],
                stdin: bench.configuration(ipv6: true)
            )
            #expect(outcome.status == 0, "\(outcome.output)")
            #expect(outcome.output == "")
        }
        #expect(!FileManager.default.fileExists(atPath: bench.dataDirectory))
    }

    /// As when a pool was split, and the configuration still has the old one.
    @Test func aPoolThatCannotBeMadeIsToldWithTheRemedy() async throws {
        #expect(try await bench.call("ADD", "c1", namespace: bench.pod()).status == 0)
        let configuration = bench.configuration(pools: #"{"name": "whole", "cidr": "10.80.0.0/16"}"#)
        let status = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: configuration)
        let added = try await bench.call("ADD", "c2", namespace: bench.pod(), configuration)
        #expect(status.code == 50 && added.code == 7, "\(status.output) \(added.output)")
        for outcome in [status, added] {
            #expect(
                outcome.json["msg"] as? String == "IP pool whole: 10.80.0.0/16 overlaps 10.80.0.0/24 of pool four"
            )
            #expect((outcome.json["details"] as? String)?.contains("swiftletctl get ippools") == true)
        }
    }

    @Test func statusTellsWhyAnAddWouldFail() async throws {
        for configuration in [
            bench.configuration(pools: Bench.pool6), bench.configuration(ipam: #", "ipv4_pools": ["nowhere"]"#),
            bench.configuration(extra: #", "mtu": 1"#),
            bench.configuration(ipam: #", "routes": [{"gw": "10.80.0.1"}]"#),
            bench.configuration(extra: #", "dns": {"nameservers": "10.80.0.1"}"#),
            bench.configuration(pools: #"{"name": "four", "cidr": "10.80.0.0/24", "disabled": true}"#),
            bench.configuration(extra: #", "nodename": "", "nodename_file": "/nonexistent""#),
            bench.configuration().replacingOccurrences(
                of: bench.dataDirectory,
                with: bench.directory + "/swiftlet-ipam/data"
            ),
        ] {
            let outcome = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: configuration)
            #expect(outcome.code == 50, "\(configuration): \(outcome.output)")
        }
        // A pool that does not select the node.
        let selecting = #"{"name": "four", "cidr": "10.80.0.0/24", "nodeSelector": "zone == 'a'"}"#
        let elsewhere = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: bench.configuration(pools: selecting))
        #expect(elsewhere.code == 50, "\(elsewhere.output)")
        let tiny = bench.configuration(pools: #"{"name": "tiny", "cidr": "10.81.0.0/32", "blockSize": 32}"#)
        #expect(try await bench.run(["CNI_COMMAND": "STATUS"], stdin: tiny).status == 0)
        #expect(try await bench.call("ADD", "c1", namespace: bench.pod(), tiny).status == 0)
        let full = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: tiny)
        #expect(full.code == 50)
        #expect(full.json["msg"] as? String == "the IP pools are exhausted")
        // P3: all pools that are asked for, by their names or prefixes.
        for (names, status) in [(#""tiny", "nowhere""#, 1), (#""10.81.0.0/31""#, 1), (#""10.81.0.0/24""#, 0)] {
            let pools = #"{"name": "tiny", "cidr": "10.81.0.0/24"}"#
            let directory = bench.directory + "/elsewhere"
            let configuration = bench.configuration(pools: pools, ipam: #", "ipv4_pools": [\#(names)]"#)
                .replacingOccurrences(of: bench.dataDirectory, with: directory)
            let outcome = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: configuration)
            #expect(outcome.status == Int32(status), "\(names): \(outcome.output)")
            let added = try await bench.call("ADD", "c3", namespace: bench.pod(), configuration)
            #expect(added.status == Int32(status), "\(names): \(added.output)")
        }
        // Pools that no ADD could make beside the one that there is.
        for pool in [
            #"{"name": "tiny", "cidr": "10.82.0.0/24"}"#, #"{"name": "other", "cidr": "10.81.0.0/24"}"#,
            #"{"name": "a", "cidr": "10.83.0.0/24"}, {"name": "a", "cidr": "10.84.0.0/24"}"#,
        ] {
            let configuration = bench.configuration(pools: pool)
            let refused = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: configuration)
            #expect(refused.code == 50, "\(pool): \(refused.output)")
            #expect(try await bench.call("ADD", "c2", namespace: bench.pod(), configuration).code == 7)
        }
        // As whom nothing can be attached.
        let nobody = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: bench.configuration(), asUser: 65534)
        #expect(nobody.code == 50 && nobody.output.contains("root"), "\(nobody.output)")
        let old = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: bench.configuration(version: "1.0.0"))
        #expect(old.code == 1)
    }

    /// ST1: a store that cannot be written to has no address for anybody.
    @Test(arguments: [
        (1000, 10, 100, 10, false), (1000, 0, 100, 10, true), (1000, 10, 100, 0, true), (0, 0, 100, 10, false),
        (1000, 10, 0, 0, false),
    ])
    func aFullDisk(_ blocks: UInt, _ freeBlocks: UInt, _ files: UInt, _ freeFiles: UInt, _ isFull: Bool) {
        var room = statvfs()
        (room.f_blocks, room.f_bfree, room.f_files, room.f_ffree) = (blocks, freeBlocks, files, freeFiles)
        #expect(StatusVerb.isFull(room) == isFull)
    }

    /// ST1: a pool selects the node once it has the label; and while the store is locked nothing is assigned.
    @Test func statusLooksAtTheNodeAndTheLock() async throws {
        let pool = #"{"name": "four", "cidr": "10.80.0.0/24", "nodeSelector": "zone == 'a'"}"#
        let configuration = bench.configuration(pools: pool)
        let node = NodeResource(name: "node-1", labels: ["zone": "a"])
        _ = try await bench.store.commit([.create(node.recordKey, try node.json())])
        #expect(try await bench.run(["CNI_COMMAND": "STATUS"], stdin: configuration).status == 0)
        #expect(try await bench.call("ADD", "c1", namespace: bench.pod(), configuration).status == 0)
        let record = try #require(try await bench.store.get(ClusterInformation.recordKey("default")))
        var information = try ClusterInformation(record)
        information.spec.datastoreReady = false
        _ = try await bench.store.commit([.update(record.key, try information.json(), record.revision)])
        let locked = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: configuration)
        #expect(locked.code == 50 && locked.output.contains("locked"), "\(locked.output)")
        let refused = try await bench.call("ADD", "c2", namespace: bench.pod(), configuration)
        #expect(refused.code == 11, "\(refused.output)")
    }
}
