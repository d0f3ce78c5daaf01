import Foundation
import TestAPIServer
import TestSupport
import Testing

/// The real kubectl works against the server, over TLS and with a client certificate.
@Suite(.enabled(if: Program.path("kubectl") != nil, "kubectl is not installed"))
struct KubectlTests {
    private static let manifest = """
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec:
          selector: {app: web}
          ports: [{name: http, port: 80, targetPort: 8080}]
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
        addressType: IPv4
        ports: [{name: http, port: 8080, protocol: TCP}]
        endpoints: [{addresses: [10.244.0.5], conditions: {ready: true}}]
        """

    private let directory: TemporaryDirectory
    private let server: TestAPIServer

    init() async throws {
        directory = try TemporaryDirectory()
        server = try await TestAPIServer()
        try server.put(#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"}}"#)
        try server.writeKubeconfig(to: "\(directory.path)/kubeconfig")
        try Self.manifest.write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
    }

    private var environment: [String: String] {
        ["HOME": directory.path, "KUBECONFIG": "\(directory.path)/kubeconfig"]
    }

    private func kubectl(_ arguments: String...) async throws -> Program.Outcome {
        let cache = "--cache-dir=\(directory.path)/cache"
        return try await Program.run("kubectl", [cache] + arguments, environment: environment)
    }

    @Test func appliesGetsAndDeletes() async throws {
        let file = "\(directory.path)/web.yaml"
        let applied = try await kubectl("apply", "-f", file)
        #expect(applied.status == 0, "\(applied.output)")
        #expect(applied.output.contains("service/web created"))
        #expect(applied.output.contains("endpointslice.discovery.k8s.io/web-1 created"))

        let list = try await kubectl("get", "services,endpointslices")
        #expect(list.output.firstMatch(of: /service\/web +ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP/) != nil)
        #expect(list.output.firstMatch(of: /web-1 +IPv4 +8080 +10\.244\.0\.5/) != nil)

        let changed = Self.manifest.replacing("port: 80,", with: "port: 81,")
        try changed.write(toFile: file, atomically: true, encoding: .utf8)
        let again = try await kubectl("apply", "-f", file)
        #expect(again.output.contains("service/web configured"), "\(again.output)")
        #expect(again.output.contains("endpointslice.discovery.k8s.io/web-1 unchanged"))
        let port = try await kubectl("get", "service", "web", "-o", "jsonpath={.spec.ports[*].port}")
        #expect(port.output == "81")

        let deleted = try await kubectl("delete", "-f", file)
        #expect(deleted.status == 0, "\(deleted.output)")
        #expect(server.count(.services) == 0)
        #expect(server.count(.endpointSlices) == 0)
        await server.stop()
    }

    @Test(arguments: ["services", "endpointslices"])
    func watches(_ resource: String) async throws {
        let url = URL(fileURLWithPath: "\(directory.path)/watch")
        try Data().write(to: url)
        let process = try Program.start(
            "kubectl",
            ["--cache-dir=\(directory.path)/cache", "get", resource, "-w", "--output-watch-events"],
            environment: environment,
            output: try FileHandle(forWritingTo: url)
        )
        #expect(try await eventually { server.metrics.watches == 1 })
        let applied = try await kubectl("apply", "-f", "\(directory.path)/web.yaml")
        #expect(applied.status == 0, "\(applied.output)")
        _ = try await kubectl("label", resource, "--all", "tier=front")
        _ = try await kubectl("delete", "-f", "\(directory.path)/web.yaml")
        let came = try await eventually {
            let text = try String(contentsOf: url, encoding: .utf8)
            return ["ADDED", "MODIFIED", "DELETED"].allSatisfy { text.contains($0) }
        }
        process.terminate()
        process.waitUntilExit()
        let text = try String(contentsOf: url, encoding: .utf8)
        #expect(came, "\(text)")
        await server.stop()
    }

    @Test func userWithoutRightsIsRefused() async throws {
        let nobody = try server.clientCertificate(User("nobody", groups: ["guests"]))
        try server.writeKubeconfig(to: "\(directory.path)/kubeconfig", .certificate(nobody))
        let refused = try await kubectl("get", "services")
        #expect(refused.status != 0)
        #expect(refused.output.contains(#"User "nobody" cannot list resource "services""#))
        server.setRules([AccessRule("guests", verbs: ["list"], resources: ["services"])])
        #expect(try await kubectl("get", "services").status == 0)
        await server.stop()
    }
}
