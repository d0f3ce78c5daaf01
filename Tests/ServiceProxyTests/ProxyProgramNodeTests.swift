import Foundation
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// What the program makes of its Node, of the cluster's ranges, and of what another proxy left.
extension ProxyProgramTests {
    /// A test API server, and a way to put objects into it.
    private struct Server {
        let program: NodeProgram
        let input: Pipe
        let kubeconfig: String
        private let directory: TemporaryDirectory

        init(in namespace: NetworkNamespace, _ objects: String, _ arguments: [String] = []) throws {
            directory = try TemporaryDirectory()
            kubeconfig = "\(directory.path)/kubeconfig"
            input = Pipe()
            try objects.write(toFile: "\(directory.path)/objects.yaml", atomically: true, encoding: .utf8)
            program = try NodeProgram(
                "test-apiserver",
                in: namespace,
                ["--kubeconfig-out", kubeconfig, "--objects", "\(directory.path)/objects.yaml", "--follow-input"]
                    + arguments,
                input: input
            )
        }

        func put(_ json: String) throws {
            try input.fileHandleForWriting.write(contentsOf: Data((json + "\n").utf8))
        }
    }

    private static func node(address: String, spec: String) -> String {
        """
        {"apiVersion":"v1","kind":"Node","metadata":{"name":"here"},"spec":{\(spec)},\
        "status":{"addresses":[{"type":"InternalIP","address":"\(address)"}]}}
        """
    }

    @Test func goesByItsNode() async throws {
        let node = try TestNode()
        let (client, outside) = (node.pods[2].namespace, node.outside.namespace)
        let server = try Server(in: node.node, Self.service("web", "10.96.0.10", pods: [1], nodePort: 30080))
        try await eventually { server.program.log.contains("listening on https://") }
        let proxy = try NodeProgram(
            in: node.node,
            [
                "--kubeconfig", server.kubeconfig, "--hostname-override", "here", "--snapshot", "",
                "--detect-local-mode", "NodeCIDR",
            ]
        )
        func set(_ name: String) throws -> String { try node.node.nft("list", "set", "ip", "swiftlet", name) }
        func healthz() throws -> String { try get("/healthz", from: node.node, port: 10256) }

        // Nothing is written before the Node has what is needed, and the log says what that is.
        try await eventually { proxy.log.contains("for=the Node object node=here") }
        try server.put(Self.node(address: "192.0.2.1", spec: ""))
        try await eventually { proxy.log.contains("for=spec.podCIDRs of the Node node=here") }
        #expect(try node.node.nft("list", "tables") == "")
        try server.put(Self.node(address: "192.0.2.1", spec: #""podCIDRs":["10.9.3.0/24"]"#))
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod1"] }
        #expect(try set("local-sources").contains("10.9.3.0/24"))
        #expect(answers(from: outside, to: "192.0.2.1", port: 30080) == ["pod1"])
        // A pod of this node keeps its address, one of another does not (MQ-2).
        #expect(try dial(.tcp, from: client, to: IPAddress("10.96.0.10")!, port: 80).source == IPAddress("10.9.3.2"))
        let other = try dial(.tcp, from: node.pods[1].namespace, to: IPAddress("10.96.0.10")!, port: 80)
        #expect(other.source != IPAddress("10.9.2.2"))
        #expect(try healthz().contains("\"nodeEligible\":true,\"healthy\":true"))

        // The Node changes, and the table with it, where it has to.
        let spec =
            #""podCIDRs":["10.9.2.0/24"],"taints":[{"key":"ToBeDeletedByClusterAutoscaler","effect":"NoSchedule"}]"#
        try server.put(Self.node(address: "10.9.3.1", spec: spec))
        try await eventually { try set("local-sources").contains("10.9.2.0/24") }
        try await eventually { try set("nodeport-addresses").contains("10.9.3.1") }
        #expect(answers(from: outside, to: "192.0.2.1", port: 30080) == [])
        #expect(answers(from: outside, to: "10.9.3.1", port: 30080) == ["pod1"])
        #expect(try healthz().hasPrefix("HTTP/1.1 503"))
        #expect(try healthz().contains("\"nodeEligible\":false,\"healthy\":true"))
        #expect(try get("/livez", from: node.node, port: 10256).hasPrefix("HTTP/1.1 200"))
        #expect(proxy.log.components(separatedBy: "everything is programmed").count == 2, "\(proxy.log)")

        // A ServiceCIDR counts at once.
        try server.put(
            """
            {"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"kubernetes"},\
            "spec":{"cidrs":["10.96.0.0/16"]}}
            """
        )
        try await eventually { try set("service-cidrs").contains("10.96.0.0/16") }
        #expect(proxy.log.components(separatedBy: "everything is programmed").count == 2, "\(proxy.log)")
        #expect(answers(from: client, to: "10.96.0.10") == ["pod1"])
        #expect(proxy.terminate() == 0)
    }

    @Test func endpointsServeWhereAServerHasNoSlices() async throws {
        let node = try TestNode()
        let objects = """
            \(Self.service("web", "10.96.0.10", pods: []).components(separatedBy: "---\n")[1])
            ---
            apiVersion: v1
            kind: Endpoints
            metadata: {name: web, namespace: default}
            subsets:
            - addresses: [{ip: 10.9.2.2, nodeName: here}]
              ports: [{name: tcp, port: 8080}, {name: udp, port: 8080, protocol: UDP}]
            ---
            apiVersion: v1
            kind: Node
            metadata: {name: here}
            status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
            """
        let server = try Server(in: node.node, objects, ["--without", "endpointslices.discovery.k8s.io"])
        try await eventually { server.program.log.contains("listening on https://") }
        let proxy = try NodeProgram(
            in: node.node,
            ["--kubeconfig", server.kubeconfig, "--hostname-override", "here", "--snapshot", ""]
        )
        try await eventually { answers(from: node.pods[2].namespace, to: "10.96.0.10") == ["pod2"] }
        #expect(proxy.log.contains("the server has no such objects to show"), "\(proxy.log)")
        #expect(proxy.terminate() == 0)
    }

    @Test func takesOverFromKubeProxy() async throws {
        let node = try TestNode()
        for family in ["ip", "ip6"] {
            try node.node.nft("add", "table", family, "kube-proxy")
            try node.node.nft("add", "table", family, "mine")
        }
        let tools = ["iptables-nft", "ip6tables-nft"].filter {
            FileManager.default.isExecutableFile(atPath: "/usr/sbin/\($0)-save")
        }
        for tool in tools {
            for rule in [
                "-N KUBE-SERVICES", "-N KUBE-SVC-X", "-N KUBE-MARK-MASQ", "-N MINE",
                "-A PREROUTING -m comment --comment portals -j KUBE-SERVICES", "-A KUBE-SERVICES -p tcp -j KUBE-SVC-X",
                "-A KUBE-SVC-X -j KUBE-MARK-MASQ", "-A PREROUTING -j MINE",
            ] {
                try node.node.run("/usr/sbin/\(tool)", ["-t", "nat"] + rule.split(separator: " ").map(String.init))
            }
        }
        let directory = try TemporaryDirectory()
        try Self.service("web", "10.96.0.10", pods: [1])
            .write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
        let proxy = try NodeProgram(
            in: node.node,
            ["--manifests", directory.path, "--hostname-override", "here", "--replace-kube-proxy"]
        )
        try await eventually { proxy.log.contains("kube-proxy's nftables tables are removed") }
        #expect(answers(from: node.pods[2].namespace, to: "10.96.0.10") == ["pod1"])
        let tables = try node.node.nft("list", "tables")
        #expect(!tables.contains("kube-proxy") && tables.contains("table ip mine") && tables.contains("table ip6 mine"))
        for tool in tools {
            try await eventually { proxy.log.contains("chains=2 tool=\(tool)") }
            let rules = try node.node.run("/usr/sbin/\(tool)-save", [])
            #expect(
                !rules.contains("KUBE-S") && rules.contains("KUBE-MARK-MASQ") && rules.contains("-j MINE"),
                "\(rules)"
            )
        }
        #expect(proxy.terminate() == 0)
    }
}
