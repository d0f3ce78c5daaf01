import Foundation
import Netlink
import NetworkTypes
import TestSupport
import Testing

/// What a DEL and a reboot leave to the next pod.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct ReleaseTests {
    /// The kernel sends packets of a connection that it knows to where the first one went, whoever has the address now.
    @Test(arguments: ["DEL", "GC"])
    func connectionsOfAnAddressGoWithIt(_ command: String) async throws {
        let bench = try Bench()
        let (first, second) = (try bench.pod(), try bench.pod())
        let host = try NetworkNamespace(path: "/run/netns/\(bench.name)")
        try host.nft("add table ip t")
        try host.nft("add chain ip t in { type filter hook prerouting priority 0; }")
        try host.nft("add rule ip t in ct state new counter")
        let added = try await bench.call("ADD", "c1", namespace: first)
        let kept = try await bench.call("ADD", "c2", namespace: second)
        let address = try #require(added.addresses.first.flatMap { IPAddress($0) })
        let other = try #require(kept.addresses.first.flatMap { IPAddress($0) })
        let socket = try TestSocket(.udp, in: NetworkNamespace(path: first), bound: address, port: 40_000)
        try socket.send("?", to: other, port: 53)
        let stays = try TestSocket(.udp, in: NetworkNamespace(path: second), bound: other, port: 40_001)
        try stays.send("?", to: try #require(IPAddress("192.0.2.1")), port: 53)
        func ports() throws -> [UInt16] {
            try NetlinkSocket(.netfilter, in: host).conntrackEntries(.ipv4, .udp) { _ in true }
                .map(\.original.sourcePort).sorted()
        }
        // The second has no route to there on this host, but its packet was seen.
        #expect(try ports().contains(40_000))
        let valid = #", "cni.dev/valid-attachments": [{"containerID": "c2", "ifname": "eth0"}]"#
        let configuration = bench.configuration(extra: command == "GC" ? valid : "")
        let deleted = try await bench.call(command, "c1", namespace: first, configuration)
        #expect(deleted.status == 0, "\(deleted.log)")
        #expect(try !ports().contains(40_000))
        #expect(try await bench.assignedAddresses() == kept.addresses)
        withExtendedLifetime([socket, stays]) {}
    }

    /// The same where another main plugin has made the link.
    @Test func connectionsOfAnAddressForAnotherPluginGoWithIt() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let host = try NetworkNamespace(path: "/run/netns/\(bench.name)")
        try host.nft("add table ip t")
        try host.nft("add chain ip t out { type filter hook output priority 0; }")
        try host.nft("add rule ip t out ct state new counter")
        let added = try await bench.call("ADD", "c1", namespace: pod, plugin: "swiftlet-ipam")
        let address = try #require(added.addresses.first.flatMap { IPAddress($0) }, "\(added.output)")
        // The packets of a pod, as the host sees them.
        try Bench.run("ip", "-n", bench.name, "addr", "add", "\(address)/32", "dev", "lo")
        let socket = try TestSocket(.udp, in: host, bound: address, port: 40_000)
        try socket.send("?", to: address, port: 40_000)
        func count() throws -> Int {
            try NetlinkSocket(.netfilter, in: host).conntrackEntries(.ipv4, .udp) { _ in true }.count
        }
        #expect(try count() == 1)
        let deleted = try await bench.call("DEL", "c1", namespace: pod, plugin: "swiftlet-ipam")
        #expect(deleted.status == 0, "\(deleted.output)")
        #expect(try count() == 0)
        withExtendedLifetime(socket) {}
    }

    /// After a reboot links and namespaces are gone and records are not. GC takes back what the runtime does not know any
    /// more, and nothing that it knows, whatever is left of it on the node.
    @Test func aReboot() async throws {
        let bench = try Bench()
        let pods = try (0..<4).map { _ in try bench.pod() }
        let names = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=pod-"
        var addresses: [[String]] = []
        for (index, pod) in pods.enumerated() {
            let added = try await bench.call("ADD", "c\(index)", namespace: pod, arguments: names + "\(index)")
            #expect(added.status == 0, "\(added.output)")
            addresses.append(added.addresses)
        }
        for pod in pods { try bench.removePod(pod) }
        // The kernel takes its time to remove a namespace with the links in it.
        let deadline = ContinuousClock.now + .seconds(20)
        while try !bench.hostLinks().isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try bench.hostLinks() == [])
        // One sandbox is made again under its old name before GC, as a restart policy does.
        let again = try bench.pod()
        let renewed = try await bench.call("ADD", "c9", namespace: again, arguments: names + "0")
        #expect(renewed.status == 0, "\(renewed.output)")
        let valid = #"[{"containerID": "c1", "ifname": "eth0"}, {"containerID": "c9", "ifname": "eth0"}]"#
        let collected = try await bench.run(
            ["CNI_COMMAND": "GC"],
            stdin: bench.configuration(extra: #", "cni.dev/valid-attachments": \#(valid)"#)
        )
        #expect(collected.status == 0, "\(collected.output)")
        let left = (addresses[1] + renewed.addresses).sorted()
        #expect(try await bench.assignedAddresses() == left)
        #expect(try await bench.recordedAddresses() == left)
        #expect(try bench.podAddresses(again) == renewed.addresses)
        // Without GC the runtime's DELs do it, with no namespace to name.
        #expect(try await bench.call("DEL", "c1", namespace: nil, arguments: names + "1").status == 0)
        #expect(try await bench.assignedAddresses() == renewed.addresses)
    }
}
