import Foundation
import Testing

/// The reference plugins before and after ours, in one network (3.10).
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct ChainTests {
    private static let portmap = #"{"type": "portmap", "snat": true, "capabilities": {"portMappings": true}}"#
    private static let bandwidth = #"{"type": "bandwidth", "capabilities": {"bandwidth": true}}"#

    @Test func portmapBandwidthAndTuningAfterUs() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        var chain = try PluginChain(
            bench,
            runtime: [
                "portMappings": [["hostPort": 8088, "containerPort": 8080, "protocol": "tcp"]],
                "bandwidth": [
                    "ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 8_000_000, "egressBurst": 800_000,
                ],
            ],
            bench.plugin(ipv6: false),
            Self.portmap,
            Self.bandwidth,
            #"{"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}, "mtu": 1400}"#
        )
        // Debian's portmap, where it finds ip6tables, looks for its IPv4 rules there when it checks.
        chain.path = bench.directory + "/tools"
        try FileManager.default.createDirectory(atPath: chain.path, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: chain.path + "/iptables",
            withDestinationPath: "/usr/sbin/iptables"
        )
        let added = try await chain.add("c1", pod)
        try #require(added.status == 0, "\(added.output) \(added.log)")
        // What we answered has come through all of them.
        #expect(added.addresses.count == 1)
        #expect(try bench.podAddresses(pod) == added.addresses)
        let interfaces = try #require(added.json["interfaces"] as? [[String: Any]])
        #expect(interfaces.contains { $0["name"] as? String == "eth0" && $0["sandbox"] as? String == pod })
        // And each of them has done its work on our link.
        let host = try #require(try bench.hostLinks().first { $0.hasPrefix("cali") })
        #expect(try bench.inside(nil, "tc", "qdisc", "show", "dev", host).contains("tbf"))
        #expect(try bench.hostLinks().contains { $0.hasPrefix("bwp") })
        #expect(try bench.inside(nil, "iptables", "-t", "nat", "-S").contains("8088"))
        #expect(try bench.inside(pod, "cat", "/proc/sys/net/ipv4/conf/eth0/arp_filter").hasPrefix("1"))
        let check = try await chain.check("c1", pod, added)
        #expect(check == nil)
        try await chain.delete("c1", pod, added)
        #expect(try bench.hostLinks() == [])
        #expect(try bench.hostRoutes() == [])
        #expect(!(try bench.inside(nil, "iptables", "-t", "nat", "-S").contains("8088")))
        #expect(try await bench.assignedAddresses() == [])
        try await chain.delete("c1", nil, nil)
    }

    /// `tuning` gives our interface another hardware address and tells it in the result; that is no fault (K3).
    @Test func anotherHardwareAddressAfterUs() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let chain = try PluginChain(
            bench,
            bench.plugin(),
            #"{"type": "tuning", "mac": "02:00:00:00:00:09", "mtu": 1300}"#
        )
        let added = try await chain.add("c1", pod)
        try #require(added.status == 0, "\(added.output) \(added.log)")
        #expect(added.output.contains("02:00:00:00:00:09"))
        #expect(try await chain.check("c1", pod, added) == nil)
        // A release of it that also tells the pod's MTU, which is not the host end's any more.
        var later = added.json
        var interfaces = try #require(later["interfaces"] as? [[String: Any]])
        for (index, interface) in interfaces.enumerated() {
            interfaces[index]["mtu"] = interface["sandbox"] == nil ? 1500 : 1300
        }
        (later["interfaces"], later["cniVersion"]) = (interfaces, "1.1.0")
        func check(_ result: [String: Any]) async throws -> Bench.Outcome {
            let text = String(decoding: try JSONSerialization.data(withJSONObject: result), as: UTF8.self)
            let configuration = bench.configuration(ipv6: true, extra: #", "prevResult": \#(text)"#)
            let arguments = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=pod-c1"
            return try await bench.call("CHECK", "c1", namespace: pod, arguments: arguments, configuration)
        }
        let told = try await check(later)
        #expect(told.status == 0, "\(told.output)")
        for index in interfaces.indices { interfaces[index]["mtu"] = 1400 }
        later["interfaces"] = interfaces
        let wrong = try await check(later)
        #expect(wrong.output.contains("MTU 1500") && wrong.output.contains("MTU 1300"), "\(wrong.output)")
        try await chain.delete("c1", pod, added)
        #expect(try bench.hostLinks() == [])
    }

    /// The node's port leads to the pod, with packets.
    @Test func aHostPortReachesThePod() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let chain = try PluginChain(
            bench,
            runtime: ["portMappings": [["hostPort": 8088, "containerPort": 8080, "protocol": "tcp"]]],
            bench.plugin(),
            Self.portmap
        )
        try bench.inside(nil, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        try bench.inside(nil, "ip", "addr", "add", "192.0.2.1/32", "dev", "lo")
        let added = try await chain.add("c1", pod)
        try #require(added.status == 0, "\(added.output) \(added.log)")
        let server = Process()
        server.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        server.arguments = ["--net=\(pod)", "busybox", "nc", "-l", "-p", "8080", "-e", "/bin/echo", "from-the-pod"]
        server.standardInput = FileHandle.nullDevice
        try server.run()
        defer { server.terminate() }
        let deadline = ContinuousClock.now + .seconds(20)
        var answer = ""
        while !answer.contains("from-the-pod"), ContinuousClock.now < deadline {
            answer = (try? bench.inside(nil, "timeout", "2", "busybox", "nc", "192.0.2.1", "8088")) ?? ""
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(answer.contains("from-the-pod"))
        try await chain.delete("c1", pod, added)
    }

    /// A plugin before us: what it made stays in the result, and its interface is not taken for ours (3.5).
    @Test func aPluginBeforeUs() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let store = bench.directory + "/host-local"
        // Debian's bridge makes eth0 for itself; ours is the second interface of the same list.
        let bridge = #"""
            {"type": "bridge", "bridge": "br0", "ipam": {"type": "host-local", "dataDir": "\#(store)",
             "ranges": [[{"subnet": "10.99.0.0/24"}]]}}
            """#
        let before = try PluginChain(bench, bridge)
        let first = try await before.add("c1", pod)
        try #require(first.status == 0, "\(first.output) \(first.log)")
        let previous = #", "prevResult": \#(first.output)"#
        let configuration = bench.configuration(version: "1.0.0", extra: previous)
        let added = try await bench.call("ADD", "c1", namespace: pod, interface: "net1", configuration)
        try #require(added.status == 0, "\(added.output) \(added.log)")
        let interfaces = try #require(added.json["interfaces"] as? [[String: Any]])
        let firstInterfaces = try #require(first.json["interfaces"] as? [[String: Any]])
        #expect(interfaces.count == firstInterfaces.count + 2)
        #expect(interfaces.prefix(3).map { $0["name"] as? String } == firstInterfaces.map { $0["name"] as? String })
        let ips = try #require(added.json["ips"] as? [[String: Any]])
        #expect(ips.map { $0["interface"] as? Int } == [2, firstInterfaces.count + 1])
        #expect(added.addresses.first == first.addresses.first)
        #expect(try bench.podAddresses(pod, "net1") == [added.addresses[1]])
        let whole = bench.configuration(version: "1.0.0", extra: #", "prevResult": \#(added.output)"#)
        let checked = try await bench.call("CHECK", "c1", namespace: pod, interface: "net1", whole)
        #expect(checked.status == 0, "\(checked.output)")
        #expect(try await bench.call("DEL", "c1", namespace: pod, interface: "net1", whole).status == 0)
        // Theirs stays until its own DEL.
        #expect(try bench.podAddresses(pod) == first.addresses)
        try await before.delete("c1", pod, first)
        #expect(try await bench.assignedAddresses() == [])
    }

    /// The same name twice is refused, and what the plugin before us made is left alone.
    @Test func theSameInterfaceIsRefused() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let store = bench.directory + "/host-local"
        let ptp = #"{"type": "ptp", "ipam": {"type": "host-local", "dataDir": "\#(store)", "subnet": "10.99.0.0/24"}}"#
        let chain = try PluginChain(bench, ptp, bench.plugin())
        let refused = try await chain.add("c1", pod)
        #expect(refused.code == 7, "\(refused.output)")
        #expect(try bench.podAddresses(pod).count == 1)
        #expect(try await bench.assignedAddresses() == [])
        try await chain.delete("c1", pod, nil)
        #expect(try bench.podAddresses(pod) == [])
    }
}
