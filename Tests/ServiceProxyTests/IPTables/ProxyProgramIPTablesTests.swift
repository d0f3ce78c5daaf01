import Foundation
import NetworkTypes
import TestSupport
import Testing

import class Netlink.NetworkNamespace

@testable import ServiceProxy

/// The program in iptables mode, and from one mode to another.
extension ProxyProgramTests {
    private func save(_ node: TestNode, _ tool: String) throws -> String {
        try node.node.run("/usr/sbin/\(tool)-save", [])
    }

    @Test func fromOneModeToAnother() async throws {
        let served = try ServedNode(["--iptables-min-sync-period=0s"])
        let (node, client, outside) = (served.node, served.client, served.outside)

        var proxy = try served.start("nftables")
        defer { proxy.kill() }
        try await eventually { served.serves(["pod1", "pod2"]) }
        #expect(proxy.terminate() == 0)
        #expect(try node.node.nft("list", "tables").contains("table ip swiftlet"))

        // Services work at every moment of the move.
        let load = LoadGenerator(from: client, to: address("10.96.0.10"), port: 80)
        proxy = try served.start("iptables")
        try await eventually { !((try? node.node.nft("list", "tables")) ?? "swiftlet").contains("swiftlet") }
        #expect(load.stop().failures == [])
        #expect(served.serves(["pod1", "pod2"]))
        // kube-proxy's default for node ports: all addresses, and loopback.
        #expect(answers(from: node.node, to: "127.0.0.1", port: 30080) == ["pod1", "pod2"])
        #expect(try save(node, "iptables-nft").contains("\"default/web:tcp cluster IP\""))
        let mode = try get("/proxyMode", from: node.node, port: 10249)
        #expect(mode.hasSuffix("\r\n\r\niptables"))
        let metrics = try get("/metrics", from: node.node, port: 10249)
        for line in [
            "kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family=\"IPv4\"} 0",
            "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total{ip_family=\"IPv6\"} 0",
        ] {
            #expect(metrics.contains(line))
        }
        let total = metrics.split(separator: "\n").first {
            $0.hasPrefix("kubeproxy_sync_proxy_rules_iptables_total{ip_family=\"IPv4\",table=\"nat\"} ")
        }
        let rules = try save(node, "iptables-nft").split(separator: "*nat")[1].split(separator: "COMMIT")[0]
        #expect(
            total?.split(separator: " ").last.flatMap { Int($0) }
                == rules.split(separator: "\n").count { $0.hasPrefix("-A") }
        )
        #expect(!metrics.contains("nftables"))

        // A change is live at once; a flush is repaired by the next process at the latest.
        try served.write(pods: [1])
        try await eventually { served.serves(["pod1"]) }
        proxy.kill()
        try node.node.run("/usr/sbin/iptables-nft", ["-w", "60", "-t", "nat", "-F"])
        proxy = try served.start("iptables")
        try await eventually { served.serves(["pod1"]) }
        #expect(proxy.log.contains("finding=\"adopted\""))

        // Without a mode it is the best.
        #expect(proxy.terminate() == 0)
        proxy = try served.start("")
        try await eventually { proxy.log.contains("chains of iptables mode are removed") }
        #expect(proxy.log.contains("mode=\"nftables\""), "\(proxy.log)")
        #expect(served.serves(["pod1"]))
        #expect(answers(from: node.node, to: "127.0.0.1", port: 30080) == [])
        for tool in ["iptables-nft", "ip6tables-nft"] { #expect(try !save(node, tool).contains("KUBE")) }
        #expect(proxy.terminate() == 0)

        // --cleanup knows all modes, wherever they are.
        proxy = try served.start("iptables")
        try await eventually { proxy.log.contains("everything is programmed") }
        proxy.kill()
        let cleanup = try NodeProgram(in: node.node, ["--cleanup"])
        #expect(cleanup.wait() == 0)
        #expect(cleanup.log.contains("iptables-nft"))
        for tool in ["iptables-nft", "ip6tables-nft"] {
            #expect(try !save(node, tool).contains("KUBE"))
            #expect(try !save(node, tool).contains("SWIFTLET"))
        }
        #expect(try !node.node.nft("list", "tables").contains("swiftlet"))
    }

    @Test func chainsOfKubeProxyAreNotTouchedUnasked() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        try Self.service("web", "10.96.0.10", pods: [1])
            .write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
        for tool in ["iptables-legacy", "ip6tables-legacy"] {
            for rule in ["-N KUBE-SERVICES", "-A PREROUTING -m comment --comment portals -j KUBE-SERVICES"] {
                try node.node.run(
                    "/usr/sbin/\(tool)",
                    ["-w", "60", "-t", "nat"] + rule.split(separator: " ").map(String.init)
                )
            }
        }
        let arguments = ["--manifests", directory.path, "--hostname-override", "here", "--proxy-mode=iptables"]
        // The flavour is that which the node uses.
        let before = try save(node, "iptables-legacy")
        var proxy = try NodeProgram(in: node.node, arguments)
        try await eventually { proxy.log.contains("--replace-kube-proxy") }
        #expect(proxy.log.contains("tools=\"iptables-legacy\""))
        // Empty tables may have come into being, as the tools were tried out.
        let after = try save(node, "iptables-legacy")
        for sign in ["-A ", ":KUBE-", ":SWIFTLET-"] {
            #expect(
                after.split(separator: "\n").count { $0.hasPrefix(sign) }
                    == before.split(separator: "\n").count { $0.hasPrefix(sign) }
            )
        }
        #expect(after.contains("--comment portals"))
        #expect(proxy.terminate() == 0)
        #expect(try NodeProgram(in: node.node, ["--cleanup"]).wait() == 0)
        #expect(try save(node, "iptables-legacy").contains("KUBE-SERVICES"))

        proxy = try NodeProgram(in: node.node, arguments + ["--replace-kube-proxy"])
        try await eventually { answers(from: node.pods[2].namespace, to: "10.96.0.10") == ["pod1"] }
        #expect(proxy.log.contains("finding=\"replaced\""))
        #expect(try !save(node, "iptables-legacy").contains("--comment portals"))
        #expect(proxy.terminate() == 0)
    }

    @Test func explainsItselfInIPTablesMode() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        try Self.service("web", "10.96.0.10", pods: [1])
            .replacing("\nspec:", with: "\nspec:\n  sessionAffinity: ClientIP")
            .write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
        let socket = ["--socket", directory.path + "/proxy.sock"]
        let proxy = try NodeProgram(
            in: node.node,
            ["--manifests", directory.path, "--hostname-override", "here", "--proxy-mode=iptables"] + socket
        )
        try await eventually { answers(from: node.pods[2].namespace, to: "10.96.0.10") == ["pod1"] }
        let show = try NodeProgram("swiftletctl", in: node.node, ["proxy", "show"] + socket)
        #expect(show.wait() == 0)
        #expect(show.log.contains("10.96.0.10:80/TCP"))
        let trace = try NodeProgram(
            "swiftletctl",
            in: node.node,
            ["proxy", "trace", "--from", "10.9.3.2", "--to", "10.96.0.10:80/TCP"] + socket
        )
        #expect(trace.wait() == 0, "\(trace.log)")
        #expect(trace.log.contains("10.9.1.2:8080"), "\(trace.log)")
        #expect(proxy.terminate() == 0)
    }
}
