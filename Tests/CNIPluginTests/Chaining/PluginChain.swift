import Foundation
import Testing

/// A network of several plugins, called in turn as libcni calls them: every one gets the name and the version of the list,
/// what the one before it answered as `prevResult`, and of the runtime's configuration what it says it can do.
struct PluginChain {
    let bench: Bench
    let plugins: [[String: Any]]
    var version = "1.0.0"
    var runtime: [String: Any] = [:]
    /// Where the plugins find their own programs.
    var path = "/usr/sbin:/usr/bin:/sbin:/bin"

    /// Where Debian has the reference plugins.
    static let directory = "/usr/lib/cni"

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    init(_ bench: Bench, version: String = "1.0.0", runtime: [String: Any] = [:], _ plugins: String...) throws {
        self.bench = bench
        self.version = version
        self.runtime = runtime
        self.plugins = try plugins.map { text in
            try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(text)")
        }
    }

    private func file(_ plugin: [String: Any]) -> String {
        let type = plugin["type"] as? String ?? ""
        return type.hasPrefix("swiftlet") ? type : Self.directory + "/" + type
    }

    private func configuration(_ plugin: [String: Any], previous: Any?) throws -> String {
        var plugin = plugin
        plugin["cniVersion"] = version
        plugin["name"] = "pods"
        plugin["prevResult"] = previous
        if let capabilities = plugin.removeValue(forKey: "capabilities") as? [String: Bool] {
            plugin["runtimeConfig"] = runtime.filter { capabilities[$0.key] == true }
        }
        return String(decoding: try JSONSerialization.data(withJSONObject: plugin), as: UTF8.self)
    }

    private func call(
        _ command: String,
        _ container: String,
        _ namespace: String?,
        _ interface: String,
        _ plugin: [String: Any],
        previous: Any?
    ) async throws -> Bench.Outcome {
        var environment = bench.environment(
            command,
            container,
            namespace: namespace,
            interface: interface,
            arguments: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=pod-\(container)"
        )
        environment["CNI_PATH"] = "\(Self.directory):\(bench.directory)"
        environment["PATH"] = path
        return try await bench.run(
            plugin: file(plugin),
            environment,
            stdin: configuration(plugin, previous: previous)
        )
    }

    /// The result of the last; when one fails, its answer.
    func add(_ container: String, _ namespace: String, interface: String = "eth0") async throws -> Bench.Outcome {
        var last: Bench.Outcome?
        for plugin in plugins {
            let outcome = try await call("ADD", container, namespace, interface, plugin, previous: last?.json)
            guard outcome.status == 0 else { return outcome }
            last = outcome
        }
        return try #require(last)
    }

    /// What the first says that is not content.
    func check(_ container: String, _ namespace: String, _ result: Bench.Outcome) async throws -> String? {
        for plugin in plugins {
            let outcome = try await call("CHECK", container, namespace, "eth0", plugin, previous: result.json)
            if outcome.status != 0 { return "\(plugin["type"] ?? ""): \(outcome.output) \(outcome.log)" }
        }
        return nil
    }

    /// The last first.
    func delete(_ container: String, _ namespace: String?, _ result: Bench.Outcome?) async throws {
        for plugin in plugins.reversed() {
            let outcome = try await call("DEL", container, namespace, "eth0", plugin, previous: result?.json)
            guard outcome.status == 0 else {
                throw Failure(description: "\(plugin["type"] ?? ""): \(outcome.output) \(outcome.log)")
            }
        }
    }
}

extension Bench {
    /// The swiftlet plugin's part of a list.
    func plugin(ipam: String? = nil, ipv6: Bool = true, extra: String = "") -> String {
        let own = #"{"type": "swiftlet-ipam", "assign_ipv6": "\#(ipv6)", "pools": [\#(Self.pool4), \#(Self.pool6)]}"#
        return #"""
            {"type": "swiftlet", "data_dir": "\#(dataDirectory)", "nodename": "node-1", "ipam": \#(ipam ?? own)\#(extra)}
            """#
    }

    /// Runs a program in a namespace; what it printed.
    @discardableResult
    func inside(_ path: String?, _ command: String...) throws -> String { try inside(path, command) }

    @discardableResult
    func inside(_ path: String?, _ command: [String]) throws -> String {
        try Self.run(arguments: ["nsenter", "--net=\(path ?? "/run/netns/\(name)")"] + command)
    }
}
