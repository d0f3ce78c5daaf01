import CNI
import Foundation
import Testing

/// The configurations of `cni-conf`, as runtimes of several ages take them.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct ExampleConfigurationTests {
    private static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "cni-conf").path

    private static let files = [
        "10-swiftlet.conflist", "10-swiftlet-etcd.conflist.example", "10-swiftlet-kubernetes.conflist.example",
    ]

    private static func list(_ file: String) throws -> [String: Any] {
        let text = try #require(FileManager.default.contents(atPath: directory + "/" + file))
        return try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
    }

    /// The version that a runtime passes on: the highest that it knows of `cniVersion` and `cniVersions`; one from before
    /// 1.1.0 does not look at the second (N4).
    private static func version(of list: [String: Any], for runtime: SpecVersion) throws -> SpecVersion {
        let single = try #require(list["cniVersion"] as? String)
        guard runtime >= .v1_1_0 else { return try #require(SpecVersion(rawValue: single)) }
        let all = [single] + (try #require(list["cniVersions"] as? [String]))
        return try #require(all.compactMap { SpecVersion(rawValue: $0) }.filter { $0 <= runtime }.max())
    }

    @Test(arguments: files)
    func eachIsForOldAndNewRuntimes(_ file: String) throws {
        let list = try Self.list(file)
        #expect(try Self.version(of: list, for: .v1_0_0) == .v1_0_0)
        #expect(try Self.version(of: list, for: .v1_1_0) == .v1_1_0)
        let plugins = try #require(list["plugins"] as? [[String: Any]])
        for plugin in plugins {
            var single = plugin
            (single["cniVersion"], single["name"]) = (list["cniVersion"], list["name"])
            let configuration = try NetworkConfiguration(Array(JSONSerialization.data(withJSONObject: single)))
            #expect(configuration.name == "swiftlet")
        }
    }

    /// Where records are not beside the Pods, the runtime has to tell what they are annotated with.
    @Test(arguments: files)
    func annotationsReachThePlugin(_ file: String) throws {
        let plugin = try #require((try Self.list(file)["plugins"] as? [[String: Any]])?.first)
        let isInCluster = plugin["datastore_type"] as? String == "kubernetes"
        let capabilities = plugin["capabilities"] as? [String: Bool] ?? [:]
        #expect(isInCluster || capabilities["io.kubernetes.cri.pod-annotations"] == true)
    }

    /// With the list of versions a pod lives with either runtime, and the newer one also has leftovers collected.
    @Test(arguments: [SpecVersion.v1_0_0, .v1_1_0])
    func aPodLives(_ runtime: SpecVersion) async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let list = try Self.list("10-swiftlet.conflist")
        var plugin = try #require((list["plugins"] as? [[String: Any]])?.first)
        let version = try Self.version(of: list, for: runtime)
        (plugin["cniVersion"], plugin["name"], plugin["data_dir"]) = (
            version.rawValue, list["name"], bench.dataDirectory
        )
        plugin["nodename"] = "node-1"
        func text(_ more: [String: Any] = [:]) throws -> String {
            let all = plugin.merging(more) { _, new in new }
            return String(decoding: try JSONSerialization.data(withJSONObject: all), as: UTF8.self)
        }
        let added = try await bench.call("ADD", "c1", namespace: pod, try text())
        #expect(added.status == 0, "\(added.output) \(added.log)")
        #expect(added.addresses.count == 2)
        #expect(added.json["cniVersion"] as? String == version.rawValue)
        let checked = try await bench.call("CHECK", "c1", namespace: pod, try text(["prevResult": added.json]))
        #expect(checked.status == 0, "\(checked.output)")
        let status = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: try text())
        let collected = try await bench.run(
            ["CNI_COMMAND": "GC"],
            stdin: try text(["cni.dev/valid-attachments": [] as [Any]])
        )
        if version >= .v1_1_0 {
            #expect(status.status == 0 && collected.status == 0, "\(status.output) \(collected.output)")
        } else {
            #expect(status.code == 1 && collected.code == 1)
            #expect(try await bench.call("DEL", "c1", namespace: pod, try text()).status == 0)
        }
        #expect(try await bench.assignedAddresses() == [])
        #expect(try bench.hostLinks() == [])
    }
}
