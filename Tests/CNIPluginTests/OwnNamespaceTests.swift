import CNI
import Foundation
import Testing

/// V11: `CNI_NETNS` is the namespace that the plugin runs in, with `CNI_NETNS_OVERRIDE` and without.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct OwnNamespaceTests {
    let bench: Bench
    private var own: String { "/run/netns/\(bench.name)" }

    init() throws { bench = try Bench() }

    private func call(
        _ command: String,
        override: String?,
        plugin: String = "swiftlet",
        _ configuration: String? = nil
    ) async throws -> Bench.Outcome {
        var environment = bench.environment(command, "c1", namespace: own)
        environment["CNI_NETNS_OVERRIDE"] = override
        return try await bench.run(plugin: plugin, environment, stdin: configuration ?? bench.configuration())
    }

    @Test(arguments: [nil, "0", "1", "true"]) func noPodsNetworkIsMadeThere(_ override: String?) async throws {
        let added = try await bench.call("ADD", "c2", namespace: bench.pod())
        let previous = bench.configuration(extra: #", "prevResult": \#(added.output)"#)
        for (command, configuration) in [("ADD", nil), ("CHECK", previous)] {
            let outcome = try await call(command, override: override, configuration)
            #expect(outcome.status == 1 && outcome.code == 8, "\(outcome.output)")
            #expect((outcome.json["details"] as? String)?.contains("does not allow it") == true, "\(outcome.output)")
        }
        #expect(try await bench.call("DEL", "c2", namespace: nil).status == 0)
        #expect(try bench.hostLinks() == [] && bench.hostRoutes() == [])
        #expect(try await bench.assignedAddresses() == [])
    }

    /// The path of a process that has ended leads to the node: what the attachment has is taken back all the same, once
    /// somebody says that this is known.
    @Test(arguments: ["1", "true"]) func deletionIsAsWithoutANamespace(_ override: String) async throws {
        let pod = try bench.pod()
        let added = try await bench.call("ADD", "c1", namespace: pod)
        #expect(added.status == 0, "\(added.output)")
        let refused = try await call("DEL", override: nil)
        #expect(refused.code == 8, "\(refused.output)")
        #expect((refused.json["details"] as? String)?.contains("CNI_NETNS_OVERRIDE=1") == true, "\(refused.output)")
        #expect(try await bench.assignedAddresses() == added.addresses)
        // An interface of the node by the name of the pod's is not the pod's.
        try Bench.run("ip", "-n", bench.name, "link", "add", "eth0", "type", "veth", "peer", "eth1")
        let deleted = try await call("DEL", override: override)
        #expect(deleted.status == 0, "\(deleted.output)")
        #expect(try bench.hostLinks() == ["eth0", "eth1"])
        #expect(try await bench.assignedAddresses() == [])
        #expect(try await bench.recordedAddresses() == [])
        #expect(try await call("DEL", override: override).status == 0)
    }

    @Test(arguments: [nil, "1"]) func anIPAMPluginMakesNoLinks(_ override: String?) async throws {
        let added = try await call("ADD", override: override, plugin: "swiftlet-ipam")
        #expect(added.status == 0 && added.addresses.count == 1, "\(added.output)")
        #expect(try await call("DEL", override: override, plugin: "swiftlet-ipam").status == 0)
        #expect(try await bench.assignedAddresses() == [])
    }
}
