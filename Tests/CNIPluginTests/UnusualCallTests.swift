import Foundation
import Testing

/// Calls that a runtime seldom makes, or should not make at all.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct UnusualCallTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    /// No link, route or record is left of anything.
    private func expectNothingLeft(_ location: SourceLocation = #_sourceLocation) async throws {
        #expect(try bench.hostLinks() == [], sourceLocation: location)
        #expect(try bench.hostRoutes() == [], sourceLocation: location)
        #expect(try await bench.recordedAddresses() == [], sourceLocation: location)
        #expect(try await bench.assignedAddresses() == [], sourceLocation: location)
    }

    /// 3.5: the interface of another network is not replaced; its own DEL has to come first.
    @Test func anotherNetworksInterfaceStays() async throws {
        let pod = try bench.pod()
        let first = try await bench.call("ADD", "c1", namespace: pod)
        #expect(first.status == 0, "\(first.output)")
        let refused = try await bench.call("ADD", "c1", namespace: pod, bench.configuration(network: "other"))
        #expect(refused.code == 7 && refused.output.contains("pods"), "\(refused.output)")
        #expect(try await bench.assignedAddresses() == first.addresses)
        let previous = bench.configuration(extra: #", "prevResult": \#(first.output)"#)
        #expect(try await bench.call("CHECK", "c1", namespace: pod, previous).status == 0)
        #expect(try await bench.call("DEL", "c1", namespace: pod).status == 0)
        try await expectNothingLeft()
    }

    /// V11 and D1: no ADD makes anything in the plugin's own namespace, so that a DEL for it finds nothing.
    @Test func theOwnNamespaceIsRefusedOrEmpty() async throws {
        let own = "/proc/self/ns/net"
        for command in ["ADD", "DEL", "CHECK"] {
            #expect(try await bench.call(command, "c1", namespace: own).code == 8, "\(command)")
        }
        var environment = bench.environment("ADD", "c1", namespace: own)
        environment["CNI_NETNS_OVERRIDE"] = "1"
        #expect(try await bench.run(environment, stdin: bench.configuration()).code == 8)
        environment["CNI_COMMAND"] = "DEL"
        let deleted = try await bench.run(environment, stdin: bench.configuration())
        #expect(deleted.status == 0 && deleted.output == "", "\(deleted.output)")
        try await expectNothingLeft()
    }

    /// An ADD that fails leaves nothing behind, also where it was to replace what an earlier one had made.
    @Test(arguments: ["swiftlet", "swiftlet-ipam"])
    func aChangeThatFailsLeavesNothing(_ plugin: String) async throws {
        let pod = try bench.pod()
        let other = try await bench.call("ADD", "c2", namespace: bench.pod())
        let address = try #require(other.addresses.first)
        #expect(try await bench.call("ADD", "c1", namespace: pod, plugin: plugin).status == 0)
        let refused = try await bench.call("ADD", "c1", namespace: pod, arguments: "IP=\(address)", plugin: plugin)
        #expect(refused.code == 101, "\(refused.output)")
        #expect(try await bench.recordedAddresses() == [address])
        #expect(try await bench.assignedAddresses() == [address])
        #expect(try bench.hostRoutes() == [address])
        #expect(try bench.ip("link", in: pod).count == 1)
    }

    /// The deadline of an ADD is that of its waiting for another call for the same pod, too (V12).
    @Test func aBusyNamespaceIsNotWaitedForBeyondTheDeadline() async throws {
        let pod = try bench.pod()
        let descriptor = open(pod, O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        try #require(descriptor >= 0 && flock(descriptor, LOCK_EX) == 0)
        let start = ContinuousClock.now
        let configuration = bench.configuration(extra: #", "add_timeout_seconds": 1"#)
        let refused = try await bench.call("ADD", "c1", namespace: pod, configuration)
        #expect(refused.code == 11, "\(refused.output)")
        #expect(start.duration(to: .now) < .seconds(7))
        try await expectNothingLeft()
    }

    /// A `del_mode` that DEL refuses would leave a pod that cannot be ended.
    @Test func addRefusesWhatDelWould() async throws {
        for plugin in ["swiftlet", "swiftlet-ipam"] {
            let configuration = bench.configuration(extra: #", "del_mode": "later""#)
            let refused = try await bench.call("ADD", "c1", namespace: bench.pod(), configuration, plugin: plugin)
            #expect(refused.code == 2, "\(refused.output)")
        }
        try await expectNothingLeft()
    }

    /// The network's own `dns` is the result's, as the reference plugins have it; the runtime's word goes before it (3.10).
    @Test func resolverOfTheConfiguration() async throws {
        let pod = try bench.pod()
        let dns =
            #", "dns": {"nameservers": ["192.0.2.1"], "domain": "example.org", "search": ["s"], "options": ["o"]}"#
        let added = try await bench.call("ADD", "c1", namespace: pod, bench.configuration(extra: dns))
        let told = try #require(added.json["dns"] as? [String: Any], "\(added.output)")
        #expect(told["nameservers"] as? [String] == ["192.0.2.1"] && told["domain"] as? String == "example.org")
        let runtime = dns + #", "runtimeConfig": {"dns": {"servers": ["192.0.2.53"]}}"#
        let again = try await bench.call("ADD", "c1", namespace: pod, bench.configuration(extra: runtime))
        let asked = try #require(again.json["dns"] as? [String: Any], "\(again.output)")
        #expect(asked["nameservers"] as? [String] == ["192.0.2.53"] && asked["domain"] == nil)
    }

    /// 4.7: the host's end is found by its record, also without a namespace and under a prefix that is configured no more.
    @Test func aHostEndUnderItsFormerPrefixGoes() async throws {
        let pod = try bench.pod()
        var environment = bench.environment("ADD", "c1", namespace: pod)
        environment["FELIX_INTERFACEPREFIX"] = "eni"
        #expect(try await bench.run(environment, stdin: bench.configuration()).status == 0)
        #expect(try bench.hostLinks() == ["enic1"])
        #expect(try await bench.call("DEL", "c1", namespace: nil).status == 0)
        try await expectNothingLeft()
    }
}
