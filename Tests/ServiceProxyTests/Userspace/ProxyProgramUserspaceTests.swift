import Foundation
import Glibc
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// The program in userspace mode.
extension ProxyProgramTests {
    @Test func servesByItsOwnSockets() async throws {
        let directory = try TemporaryDirectory()
        let socket = "\(directory.path)/socket"
        let served = try ServedNode(["--socket", socket])
        let (node, client) = (served.node, served.client)
        func addresses() throws -> String { try node.node.run("/usr/sbin/ip", ["address", "show"]) }

        // After rules, and without a moment in which nobody serves. Connections that rules have translated end with the
        // last of them, as the kernel then translates nothing any more.
        var proxy = try served.start("nftables")
        defer { proxy.kill() }
        try await eventually { served.serves(["pod1", "pod2"]) }
        #expect(proxy.terminate() == 0)
        let load = LoadGenerator(from: client, to: address("10.96.0.10"), port: 80)
        proxy = try served.start("userspace")
        try await eventually { !((try? node.node.nft("list", "tables")) ?? "swiftlet").contains("swiftlet") }
        #expect(load.stop().failures.allSatisfy { !$0.contains("refused") && !$0.contains("unreachable") })
        #expect(served.serves(["pod1", "pod2"]))
        #expect(try addresses().contains("10.96.0.10/32"))
        #expect(try get("/proxyMode", from: node.node, port: 10249).hasSuffix("\r\n\r\nuserspace"))
        let metrics = try get("/metrics", from: node.node, port: 10249)
        let line = metrics.split(separator: "\n").first {
            $0.hasPrefix("swiftlet_proxy_userspace_connections_total{") && $0.contains("protocol=\"TCP\"")
                && $0.contains("service=\"web\"")
        }
        #expect(line?.split(separator: " ").last.flatMap { Double($0) }.map { $0 > 0 } == true, "\(metrics)")

        // What cannot be asked of this mode is refused with the reason.
        let trace = try NodeProgram(
            "swiftletctl",
            in: node.node,
            ["proxy", "trace", "--socket", socket, "--from", "node", "--to", "10.96.0.10:80/TCP"]
        )
        #expect(trace.wait() == 1)
        #expect(trace.log.contains("no rules to follow in userspace mode"), "\(trace.log)")

        try served.write(pods: [1])
        try await eventually { served.serves(["pod1"]) }
        proxy.kill()
        // Refused, and not sent out by the default route.
        #expect {
            try dial(.tcp, from: client, to: address("10.96.0.10"), port: 80, timeout: 1000)
        } throws: {
            ($0 as? TestSocket.Failure)?.code == ECONNREFUSED
        }
        try served.write(pods: [2])
        proxy = try served.start("userspace")
        try await eventually { served.serves(["pod2"]) }
        #expect(proxy.log.contains("finding=\"adopted\"") || proxy.log.contains("everything is programmed"))
        #expect(proxy.terminate() == 0)

        // The next mode removes the addresses, once its rules are there.
        proxy = try served.start("nftables")
        try await eventually { try !addresses().contains("10.96.0.10") }
        #expect(served.serves(["pod2"]))
        #expect(proxy.terminate() == 0)
        proxy = try served.start("userspace")
        try await eventually { try addresses().contains("10.96.0.10") }
        proxy.kill()
        let cleanup = try NodeProgram(in: node.node, ["--cleanup"])
        #expect(cleanup.wait() == 0)
        #expect(try !addresses().contains("10.96.0.10"))
    }

    @Test func spreadsAndDrainsAsFlagsSay() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        // Two endpoints that say nothing, so that connections go on.
        let silentPort: UInt16 = TestNode.port + 1
        let endpoints = try node.pods.prefix(2).map {
            try TestSocket(.tcp, in: $0.namespace, bound: $0.addresses[.ipv4]!, port: silentPort)
        }
        func write(pods: [Int]) throws {
            let idle = Self.service("idle", "10.96.0.11", pods: pods)
                .replacingOccurrences(of: "\(TestNode.port)", with: "\(silentPort)")
            try (Self.service("web", "10.96.0.10", pods: pods) + idle)
                .write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
        }
        try write(pods: [1, 2])
        let client = node.pods[2].namespace
        let proxy = try NodeProgram(
            in: node.node,
            [
                "--manifests", directory.path, "--hostname-override", "here", "--proxy-mode", "userspace", "--socket",
                "", "--userspace-algorithm", "round-robin", "--userspace-drain-timeout", "1s",
            ]
        )
        defer { proxy.kill() }
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod1", "pod2"] }
        let pods = try (0..<10).map { _ in try dial(.tcp, from: client, to: address("10.96.0.10"), port: 80).pod }
        #expect(pods.filter { $0 == "pod1" }.count == 5, "\(pods)")

        // One of two in a row is at the first pod, and only that one ends with it.
        let idle = try (0..<2).map { _ in
            let socket = try TestSocket(.tcp, in: client, bound: .v4(.unspecified), timeout: 10_000)
            try socket.connect(to: address("10.96.0.11"), port: 80)
            return socket
        }
        let accepted = try endpoints.map { try $0.accept() }
        try write(pods: [2])
        var waits = idle.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        #expect(poll(&waits, 2, 10_000) == 1)
        let ended = try #require(waits.firstIndex { $0.revents != 0 })
        #expect { try idle[ended].receive() } throws: { isReset(($0 as? TestSocket.Failure)?.code ?? 0) }
        try idle[1 - ended].send("still here")
        #expect(try accepted[1].receive() == "still here")
        #expect(proxy.terminate() == 0)
    }

    /// Without any right it is the mode that is left, and serves what can be listened on.
    @Test func servesPortsWithoutRights() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        try Self.service("web", "10.96.0.10", pods: [1, 2], nodePort: 30080)
            .write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
        let outside = node.outside.namespace
        let proxy = try NodeProgram(
            in: node.node,
            [
                "--manifests", directory.path, "--hostname-override", "here", "--userspace-listen", "192.0.2.1",
                "--userspace-ports", "default/web:tcp=8888,default/web:udp=8888",
            ],
            mayAdministerNetwork: false
        )
        defer { proxy.kill() }
        try await eventually { answers(from: outside, to: "192.0.2.1", port: 8888) == ["pod1", "pod2"] }
        #expect(answers(.udp, from: outside, to: "192.0.2.1", port: 8888) == ["pod1", "pod2"])
        #expect(answers(from: outside, to: "192.0.2.1", port: 30080) == ["pod1", "pod2"])
        #expect(proxy.log.contains("mode=\"userspace\""), "\(proxy.log)")
        #expect(proxy.log.contains("not nftables: swiftlet-proxy must be root (or have CAP_NET_ADMIN)"))
        #expect(!proxy.log.contains("level=error") && !proxy.log.contains("error="), "\(proxy.log)")
        #expect(proxy.terminate() == 0)

        let check = try NodeProgram(
            in: node.node,
            ["--manifests", directory.path, "--hostname-override", "here", "--init-only"],
            mayAdministerNetwork: false
        )
        #expect(check.wait() == 0)
        #expect(check.log.contains("the configuration is valid; userspace mode has no rules"), "\(check.log)")
        #expect(!check.log.contains("a setting of connection tracking"), "\(check.log)")

        let refused = try NodeProgram(
            in: node.node,
            ["--manifests", directory.path, "--proxy-mode", "nftables"],
            mayAdministerNetwork: false
        )
        #expect(refused.wait() == 1)
        #expect(
            refused.log.contains(
                "--proxy-mode nftables is not possible here: swiftlet-proxy must be root (or have CAP_NET_ADMIN)"
            ),
            "\(refused.log)"
        )
    }
}

@Suite struct PortMapTests {
    @Test func flagsAreRead() {
        var problems: [String] = []
        let map = UserspaceOptions.PortMap(
            addresses: "127.0.0.1, ::1",
            ports: "default/web:http=8080,kube-system/dns:dns=5353,kube-system/dns:dns-tcp=5353,default/db=5432",
            &problems
        )
        #expect(problems.isEmpty)
        #expect(map.addresses == [address("127.0.0.1"), address("::1")])
        #expect(
            map.ports == [
                "default/web:http": 8080, "kube-system/dns:dns": 5353, "kube-system/dns:dns-tcp": 5353,
                "default/db": 5432,
            ]
        )
    }

    @Test(
        arguments: [
            ("localhost", "", "\"localhost\" is no IP address"),
            ("", "web=80", "\"web=80\" is not like namespace/name:port=8080"),
            ("", "default/web", "\"default/web\" is not like namespace/name:port=8080"),
            ("", "default/web=0", "\"default/web=0\" is not like"), ("", "default/web=65536", "65536"),
            ("", "a/d=80,a/c=80,a/b=80", "port 80 is for one of TCP and one of UDP, but is given to a/b, a/c, a/d"),
        ]
    )
    func mistakesAreNamed(addresses: String, ports: String, problem: String) {
        var problems: [String] = []
        _ = UserspaceOptions.PortMap(addresses: addresses, ports: ports, &problems)
        #expect(problems.count == 1)
        #expect(problems.first?.contains(problem) == true)
    }
}
