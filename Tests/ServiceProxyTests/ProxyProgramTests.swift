import Foundation
import Glibc
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// The program itself, as an operator runs it, on a node made of network namespaces.
@Suite(.enabled(if: isRoot)) struct ProxyProgramTests {
    static func service(_ name: String, _ address: String, pods: [Int], nodePort: Int? = nil) -> String {
        let isIPv6 = address.contains(":")
        let endpoints = pods.map { pod in
            "- {addresses: ['\(isIPv6 ? "fd09:\(pod)::2" : "10.9.\(pod).2")'], nodeName: here}"
        }
        return """
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: \(name), namespace: default}
            spec:
              type: \(nodePort == nil ? "ClusterIP" : "NodePort")
              clusterIP: '\(address)'
              ports:
              - {name: tcp, port: 80\(nodePort.map { ", nodePort: \($0)" } ?? "")}
              - {name: udp, port: 80, protocol: UDP}
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata:
              name: \(name)-1
              namespace: default
              labels: {kubernetes.io/service-name: \(name)}
            addressType: \(isIPv6 ? "IPv6" : "IPv4")
            ports: [{name: tcp, port: 8080}, {name: udp, port: 8080, protocol: UDP}]
            endpoints: [\(endpoints.map { $0.dropFirst(2) }.joined(separator: ", "))]

            """
    }

    /// Who answers in some attempts; an empty set when nobody does.
    func answers(
        _ transport: TransportProtocol = .tcp,
        from client: NetworkNamespace,
        to target: String,
        port: UInt16 = 80
    ) -> Set<String> {
        Set(
            (0..<30).compactMap { _ in
                try? dial(transport, from: client, to: IPAddress(target)!, port: port, timeout: 500).pod
            }
        )
    }

    /// What the tables hold; chains that nothing uses, and slots behind the end of a list, may come and go.
    private func elements(on node: TestNode) throws -> String {
        try ["frontends", "nodeport-frontends", "no-endpoints", "hairpin"].flatMap {
            name in
            try ["ip", "ip6"].map { try node.node.nft("list", name == "hairpin" ? "set" : "map", $0, "swiftlet", name) }
        }.joined()
    }

    @Test func aDayOfAProxy() async throws {
        let node = try TestNode()
        let directory = NSTemporaryDirectory() + "proxy-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        func write(_ name: String, _ text: String) throws {
            try text.write(toFile: "\(directory)/\(name)", atomically: true, encoding: .utf8)
        }
        let (client, outside) = (node.pods[2].namespace, node.outside.namespace)
        let arguments = [
            "--manifests", directory, "--hostname-override", "here", "--cluster-cidr", "10.9.0.0/16,fd09::/32", "--v=2",
        ]

        try write("web.yaml", Self.service("web", "10.96.0.10", pods: [1, 2], nodePort: 30080))
        try write("web6.yaml", Self.service("web6", "fd96::10", pods: [1]))
        var proxy = try NodeProgram(in: node.node, arguments)
        defer { proxy.kill() }
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod1", "pod2"] }
        #expect(answers(.udp, from: client, to: "10.96.0.10") == ["pod1", "pod2"])
        #expect(answers(from: client, to: "fd96::10") == ["pod1"])
        #expect(answers(from: outside, to: "192.0.2.1", port: 30080) == ["pod1", "pod2"])

        // A change is live at once.
        try write("web.yaml", Self.service("web", "10.96.0.10", pods: [2], nodePort: 30081))
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod2"] }
        #expect(answers(from: outside, to: "192.0.2.1", port: 30081) == ["pod2"])
        #expect(answers(from: outside, to: "192.0.2.1", port: 30080) == [])

        // A broken file is named with its line, and changes nothing.
        try write("web.yaml", Self.service("web", "10.96.0.10", pods: [1]) + "---\nkind: ]\n")
        try await eventually {
            proxy.log.contains("file=\"\(directory)/web.yaml\" line=22 reason=\"not valid YAML")
        }
        #expect(answers(from: client, to: "10.96.0.10") == ["pod2"])

        // Without endpoints a client is refused at once.
        try write("web6.yaml", Self.service("web6", "fd96::10", pods: []))
        try await eventually {
            do {
                _ = try dial(.tcp, from: client, to: IPAddress("fd96::10")!, port: 80, timeout: 1000)
                return false
            } catch let error as TestSocket.Failure {
                return error.code == ECONNREFUSED
            }
        }

        // The end comes within a second, and the rules stay.
        let start = ContinuousClock.now
        #expect(proxy.terminate() == 0)
        #expect(ContinuousClock.now - start < .seconds(1))
        #expect(answers(from: client, to: "10.96.0.10") == ["pod2"])
        let rules = try elements(on: node)

        // The next one takes them over as they are.
        try write("web.yaml", Self.service("web", "10.96.0.10", pods: [2], nodePort: 30081))
        proxy = try NodeProgram(in: node.node, arguments)
        try await eventually { proxy.log.contains("everything is programmed") }
        #expect(try elements(on: node) == rules)
        #expect(proxy.log.contains("finding=\"adopted\" table=\"ip swiftlet\""))

        // Killed, changed meanwhile, started again.
        proxy.kill()
        #expect(answers(from: client, to: "10.96.0.10") == ["pod2"])
        try write("web.yaml", Self.service("web", "10.96.0.10", pods: [1, 2]))
        proxy = try NodeProgram(in: node.node, arguments)
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod1", "pod2"] }
        #expect(answers(from: outside, to: "192.0.2.1", port: 30081) == [])
        #expect(proxy.terminate() == 0)

        let cleanup = try NodeProgram(in: node.node, ["--cleanup"])
        #expect(cleanup.wait() == 0)
        #expect(try node.node.nft("list", "tables") == "")
        // Also where there is nothing.
        #expect(try NodeProgram(in: node.node, ["--cleanup"]).wait() == 0)
    }

    @Test(
        arguments: [
            (["--help"], 0, "THE API SERVER"), (["--help"], 0, "  --snapshot <file>"),
            (["--version"], 0, "swiftlet-proxy "), (["--nonsense"], 1, "--nonsense"),
            (["--manifests", ""], 1, "--manifests: the name of the directory is empty"),
            (["--manifests", "/nonexistent"], 1, "--manifests: /nonexistent: No such file or directory"),
            (["--proxy-mode=ipvs", "--cluster-cidr=x"], 1, "KubeProxyConfiguration.ClusterCIDR: Invalid value: \"x\""),
            (["--config", "/nonexistent"], 1, "--config: /nonexistent: No such file or directory"),
        ] as [([String], Int32, String)]
    )
    func commandLines(_ arguments: [String], _ code: Int32, _ text: String) throws {
        let namespace = try NetworkNamespace.makeContainer()
        let program = try NodeProgram(in: namespace, arguments)
        #expect(program.wait() == code)
        #expect(program.log.contains(text), "\(program.log)")
    }
}
