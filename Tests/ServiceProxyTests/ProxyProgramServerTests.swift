import Foundation
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// What the program serves, and whom it asks.
extension ProxyProgramTests {
    /// The status line, headers and body of an answer.
    func get(
        _ path: String,
        from namespace: NetworkNamespace,
        _ address: String = "127.0.0.1",
        port: UInt16
    ) throws -> String {
        let socket = try TestSocket(.tcp, in: namespace, bound: .v4(.unspecified))
        try socket.connect(to: IPAddress(address)!, port: port)
        try socket.send("GET \(path) HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
        var answer = ""
        while case let part = try socket.receive(), !part.isEmpty { answer += part }
        return answer
    }

    @Test func answersProbesAndScrapers() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        try Self.service("web", "10.96.0.10", pods: [1])
            .write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
        let proxy = try NodeProgram(
            in: node.node,
            ["--manifests", directory.path, "--hostname-override", "here", "--cluster-cidr", "10.9.0.0/16"]
        )
        let client = node.pods[2].namespace
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod1"] }
        try await eventually { proxy.log.components(separatedBy: "listening").count == 3 }

        // Probes come from anywhere, scrapers only from the node itself.
        let health = try get("/healthz", from: node.outside.namespace, "192.0.2.1", port: 10256)
        #expect(health.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(health.contains("\"nodeEligible\":true,\"healthy\":true"))
        #expect(try get("/livez", from: node.node, port: 10256).hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(try get("/proxyMode", from: node.node, port: 10249).hasSuffix("\r\n\r\nnftables"))
        #expect(try get("/configz", from: node.node, port: 10249).contains("\"clusterCIDR\":\"10.9.0.0/16\""))
        #expect(throws: TestSocket.Failure.self) {
            try get("/metrics", from: node.outside.namespace, "192.0.2.1", port: 10249)
        }
        let metrics = try get("/metrics", from: node.node, port: 10249)
        #expect(metrics.hasPrefix("HTTP/1.1 200 OK\r\n"))
        for line in [
            "kubeproxy_sync_proxy_rules_service_changes_total 1", "kubeproxy_sync_proxy_rules_endpoint_changes_total 1",
            "kubeproxy_sync_proxy_rules_service_changes_pending 0", "kubeproxy_proxy_healthz_total{code=\"200\"} 1",
            "kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1",
            "swiftlet_proxy_drift_repairs_total 0",
        ] { #expect(metrics.contains(line + "\n"), "\(line)") }

        try node.node.nft("flush", "table", "ip", "swiftlet")
        try await eventually {
            try get("/metrics", from: node.node, port: 10249).contains("swiftlet_proxy_drift_repairs_total 1\n")
        }
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod1"] }
        #expect(proxy.terminate() == 0)
    }

    @Test func endsWhenItsConfigurationFileChanges() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        let configuration = "\(directory.path)/config"
        func write(_ cidr: String) throws {
            try """
            apiVersion: kubeproxy.config.k8s.io/v1alpha1
            kind: KubeProxyConfiguration
            clusterCIDR: \(cidr)

            """.write(toFile: configuration, atomically: true, encoding: .utf8)
        }
        try write("10.9.0.0/16")
        try Self.service("web", "10.96.0.10", pods: [1])
            .write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
        let proxy = try NodeProgram(
            in: node.node,
            ["--config", configuration, "--manifests", directory.path, "--hostname-override", "here"]
        )
        let client = node.pods[2].namespace
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod1"] }
        #expect(proxy.isRunning)

        try write("10.0.0.0/8")
        try await eventually { !proxy.isRunning }
        #expect(proxy.wait() == 1)
        #expect(proxy.log.contains("Error: --config: the content of \(configuration) has changed"), "\(proxy.log)")
        #expect(proxy.log.contains("clusterCIDR was 10.9.0.0/16, is 10.0.0.0/8"), "\(proxy.log)")
        #expect(answers(from: client, to: "10.96.0.10") == ["pod1"])

        // A look at the configuration leaves everything as it is.
        let check = try NodeProgram(in: node.node, ["--config", configuration, "--init-only"])
        #expect(check.wait() == 0)
        #expect(check.log.contains("no rule was changed"), "\(check.log)")
        #expect(answers(from: client, to: "10.96.0.10") == ["pod1"])
    }

    @Test func followsAnAPIServerAndOutlivesIt() async throws {
        let node = try TestNode()
        let client = node.pods[2].namespace
        let directory = try TemporaryDirectory()
        let (kubeconfig, snapshot) = ("\(directory.path)/kubeconfig", "\(directory.path)/snapshot")
        let objects = "\(directory.path)/objects.yaml"
        try """
        apiVersion: v1
        kind: Node
        metadata: {name: here}
        status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
        \(Self.service("web", "10.96.0.10", pods: [1], nodePort: 30080))
        """.write(toFile: objects, atomically: true, encoding: .utf8)
        let input = Pipe()
        let server = try NodeProgram(
            "test-apiserver",
            in: node.node,
            ["--kubeconfig-out", kubeconfig, "--objects", objects, "--follow-input"],
            input: input
        )
        try await eventually { server.log.contains("listening on https://") }

        let common = ["--hostname-override", "here", "--snapshot", snapshot, "--v=2"]
        var proxy = try NodeProgram(
            in: node.node,
            common + ["--kubeconfig", kubeconfig, "--cluster-cidr", "10.9.0.0/16"]
        )
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod1"] }
        #expect(answers(.udp, from: client, to: "10.96.0.10") == ["pod1"])
        // Node ports are on the address that the Node object has.
        #expect(answers(from: node.outside.namespace, to: "192.0.2.1", port: 30080) == ["pod1"])
        try await eventually {
            try get("/healthz", from: node.node, port: 10256).contains("\"nodeEligible\":true,\"healthy\":true")
        }

        let slice = """
            {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4",\
            "metadata":{"name":"web-1","namespace":"default","labels":{"kubernetes.io/service-name":"web"}},\
            "ports":[{"name":"tcp","port":8080,"protocol":"TCP"},{"name":"udp","port":8080,"protocol":"UDP"}],\
            "endpoints":[{"addresses":["10.9.2.2"],"nodeName":"here"}]}

            """
        try input.fileHandleForWriting.write(contentsOf: Data(slice.utf8))
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod2"] }
        #expect(server.log.contains("not put") == false, "\(server.log)")

        // Without the server the Services stay, and also come back on a node that has nothing but the snapshot.
        server.kill()
        #expect(answers(from: client, to: "10.96.0.10") == ["pod2"])
        #expect(proxy.terminate() == 0)
        for family in ["ip", "ip6"] { try node.node.nft("delete", "table", family, "swiftlet") }
        #expect(throws: TestSocket.Failure.self) {
            try dial(.tcp, from: client, to: IPAddress("10.96.0.10")!, port: 80, timeout: 500)
        }

        // The same connection, from a configuration file.
        let configuration = "\(directory.path)/config"
        try """
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        kind: KubeProxyConfiguration
        clientConnection: {kubeconfig: '\(kubeconfig)'}
        clusterCIDR: 10.9.0.0/16

        """.write(toFile: configuration, atomically: true, encoding: .utf8)
        proxy = try NodeProgram(in: node.node, common + ["--config", configuration])
        try await eventually(within: .seconds(30)) { proxy.log.contains("everything is programmed") }
        #expect(answers(from: client, to: "10.96.0.10") == ["pod2"], "\(proxy.log)")
        #expect(answers(from: node.outside.namespace, to: "192.0.2.1", port: 30080) == ["pod2"])
        #expect(proxy.terminate() == 0)
    }
}
