import Foundation
import NetworkTypes
import ProxyAPI
import TestSupport
import Testing

@testable import ServiceProxy

/// The proxy and `swiftletctl` as a person uses them.
extension ProxyProgramTests {
    /// What `swiftletctl` printed on both of its outputs, and its exit code.
    private func control(_ node: TestNode, _ arguments: String...) throws -> (code: Int32?, text: String) {
        let program = try NodeProgram("swiftletctl", in: node.node, ["proxy"] + arguments)
        return (program.wait(), program.log)
    }

    @Test func explainsItselfOnItsSocket() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        let manifests = directory.path + "/manifests"
        try FileManager.default.createDirectory(atPath: manifests, withIntermediateDirectories: false)
        func write(_ name: String, _ text: String) throws {
            try text.write(toFile: "\(manifests)/\(name).yaml", atomically: true, encoding: .utf8)
        }
        try write("web", Self.service("web", "10.96.0.10", pods: [1, 2], nodePort: 30080))
        try write("web6", Self.service("web6", "fd96::10", pods: []))
        let path = directory.path + "/run/proxy.sock"
        let socket = ["--socket", path]

        // Nobody is there.
        let nobody = try control(node, "show", "--socket", path)
        #expect(nobody.code == 5)
        #expect(nobody.text.contains("cannot reach swiftlet-proxy at \(path): No such file or directory"))

        let arguments = [
            "--manifests", manifests, "--hostname-override", "here", "--cluster-cidr", "10.9.0.0/16,fd09::/32",
            "--connection-counters",
        ]
        var proxy = try NodeProgram(in: node.node, arguments + socket)
        let client = node.pods[2].namespace
        try await eventually { answers(from: client, to: "10.96.0.10") == ["pod1", "pod2"] }
        try await eventually { FileManager.default.fileExists(atPath: path) }

        let table = try control(node, "show", "--socket", path)
        #expect(table.code == 0)
        let lines = table.text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(
            lines[0] == [
                "NAMESPACE", "NAME", "PORT", "FRONTEND", "KIND", "POLICY", "AFFINITY", "BACKENDS", "CONNECTIONS",
                "STATE",
            ]
        )
        // Two frontends of TCP and one of UDP, and two of IPv6.
        #expect(lines.count == 6, "\(table.text)")
        #expect(
            Array(lines[1][..<8]) == [
                "default", "web", "tcp", "10.96.0.10:80/TCP", "ClusterIP", "Cluster", "<none>",
                "10.9.1.2:8080*,10.9.2.2:8080*",
            ]
        )
        #expect(lines[1].last == "Programmed")
        #expect(Array(lines[2][3..<5]) == ["*:30080/TCP", "NodePort"])
        #expect(
            Array(lines[4][3..<9]) == ["[fd96::10]:80/TCP", "ClusterIP", "Cluster", "<none>", "<none>", "(reject)"]
        )

        // The counts are those of the kernel.
        func count() throws -> Int {
            let shown = try control(node, "show", "default/web", "-o", "json", "--socket", path)
            let json = try JSONSerialization.jsonObject(with: Data(shown.text.utf8)) as? [String: Any]
            let service = (json?["services"] as? [[String: Any]])?.first
            let port = (service?["ports"] as? [[String: Any]])?.first
            return ((port?["frontends"] as? [[String: Any]])?.first?["connections"] as? Int) ?? -1
        }
        let before = try count()
        for _ in 0..<5 { _ = try dial(.tcp, from: client, to: IPAddress("10.96.0.10")!, port: 80) }
        try await eventually { try count() == before + 5 }
        let metrics = try get("/metrics", from: node.node, port: 10249)
        let line =
            "swiftlet_proxy_service_connections_total{namespace=\"default\",service=\"web\",port=\"tcp\","
            + "protocol=\"TCP\",kind=\"ClusterIP\",ip_family=\"IPv4\",address=\"10.96.0.10\"} \(before + 5)\n"
        #expect(metrics.contains(line), "\(metrics.suffix(2000))")

        #expect(try control(node, "show", "web6", "--endpoints", "--socket", path).text.contains("reject"))
        #expect(
            try control(node, "show", "-n", "default", "-o", "yaml", "--socket", path).text.hasPrefix(
                "node: here\n"
            )
        )
        let unknown = try control(node, "show", "default/nothing", "--socket", path)
        #expect(unknown.code == 1)
        #expect(unknown.text == "no Service default/nothing is known to the proxy\n")
        #expect(try control(node, "show", "nothing", "--socket", path).code == 1)
        #expect(try control(node, "show", "a/b/c", "--socket", path).code == 2)

        let trace = try control(node, "trace", "--from", "10.9.3.2", "--to", "10.96.0.10:80/TCP", "--socket", path)
        #expect(trace.code == 0)
        #expect(trace.text.hasPrefix("TCP from 10.9.3.2 (a pod) to 10.96.0.10:80"), "\(trace.text)")
        #expect(trace.text.contains("\nTranslated: the cluster IP of default/web:tcp: one of 2 endpoints, at random\n"))
        #expect(trace.text.contains("10.9.1.2:8080   50%     this   10.9.3.2 (kept)"))
        let own = try control(
            node,
            "trace",
            "--from",
            "node",
            "--to",
            "192.0.2.1:30080",
            "-o",
            "json",
            "--socket",
            path
        )
        let decoded = try JSONDecoder().decode(PacketTrace.self, from: Data(own.text.utf8))
        #expect(decoded.packet.origin == .node)
        #expect(decoded.frontend == .nodePort)
        #expect(decoded.choices.allSatisfy { $0.isMasqueraded })
        let wrong = try control(node, "trace", "--from", "pod", "--to", "10.96.0.10", "--socket", path)
        #expect(wrong.code == 1)
        #expect(wrong.text.contains("is not ADDR:PORT/PROTO"))

        // Another proxy leaves the socket alone, and works all the same.
        let other = try TestNode()
        let second = try NodeProgram(in: other.node, arguments + socket)
        try await eventually { second.log.contains("another process listens there") }
        try await eventually { answers(from: other.pods[2].namespace, to: "10.96.0.10") == ["pod1", "pod2"] }
        #expect(second.terminate() == 0)
        #expect(try control(node, "show", "--socket", path).code == 0)

        // A killed one leaves its socket behind, and the next has it again.
        proxy.kill()
        let dead = try control(node, "show", "--socket", path)
        #expect(dead.code == 5)
        #expect(dead.text.contains("Connection refused"))
        let counted = before + 5
        proxy = try NodeProgram(in: node.node, arguments + socket)
        try await eventually { try control(node, "show", "--socket", path).code == 0 }
        try await eventually { proxy.log.contains("everything is programmed") }
        try await eventually { try count() >= counted }
        #expect(proxy.terminate() == 0)
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
