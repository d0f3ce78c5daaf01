import Foundation
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// What operators and load balancers see of the program.
extension ProxyProgramTests {
    /// A Service that load balancers ask about, in both families; its pods are given by number.
    private static func balanced(
        _ name: String,
        _ number: Int,
        healthPort: Int,
        pods: [Int],
        pods6: [Int] = [],
        uid: String = "",
        extra: String = ""
    ) -> String {
        func slice(_ family: String, _ addresses: [String]) -> String {
            """
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata:
              name: \(name)-\(family.lowercased())
              namespace: default
              labels: {kubernetes.io/service-name: \(name)}
            addressType: \(family)
            ports: [{name: tcp, port: 8080}, {name: more, port: 8081}]
            endpoints: [\(addresses.map { "{addresses: ['\($0)'], nodeName: here}" }.joined(separator: ", "))]

            """
        }
        return """
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: \(name), namespace: default\(uid.isEmpty ? "" : ", uid: \(uid)")}
            spec:
              type: LoadBalancer
              clusterIP: 10.96.1.\(number)
              clusterIPs: [10.96.1.\(number), 'fd96::1:\(number)']
              ipFamilies: [IPv4, IPv6]
              externalTrafficPolicy: Local
              healthCheckNodePort: \(healthPort)
              \(extra)
              ports: [{name: tcp, port: 80}, {name: more, port: 81}]

            """ + slice("IPv4", pods.map { "10.9.\($0).2" }) + slice("IPv6", pods6.map { "fd09:\($0)::2" })
    }

    @Test func answersLoadBalancersOnHealthCheckNodePorts() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        func write(_ text: String) throws {
            try text.write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
        }
        func ask(_ address: String, _ port: UInt16, method: String = "GET", path: String = "/") -> HTTPAnswer? {
            try? .of(path, method: method, from: node.outside.namespace, address, port: port)
        }
        try write(Self.balanced("web", 1, healthPort: 32100, pods: [1]))
        let proxy = try NodeProgram(in: node.node, ["--manifests", directory.path, "--hostname-override", "here"])
        try await eventually { ask("192.0.2.1", 32100)?.code == 200 }
        let answer = try #require(ask("192.0.2.1", 32100, method: "POST", path: "/any/path?x"))
        #expect(answer.code == 200)
        #expect(answer.header("Content-Type") == "application/json")
        #expect(answer.header("X-Content-Type-Options") == "nosniff")
        #expect(answer.header("X-Load-Balancing-Endpoint-Weight") == "1")
        #expect(
            answer.body == """
                {
                    "service": {
                        "namespace": "default",
                        "name": "web"
                    },
                    "localEndpoints": 1,
                    "serviceProxyHealthy": true
                }
                """
        )
        // The other family has its own count.
        #expect(ask("fd02::1", 32100)?.code == 503)
        #expect(ask("fd02::1", 32100)?.header("X-Load-Balancing-Endpoint-Weight") == "0")

        try write(Self.balanced("web", 1, healthPort: 32100, pods: [1, 2], pods6: [1]))
        try await eventually { ask("192.0.2.1", 32100)?.header("X-Load-Balancing-Endpoint-Weight") == "2" }
        try await eventually { ask("fd02::1", 32100)?.code == 200 }

        // A port that is taken is named in the log, and had as soon as it is free.
        var taken: TestSocket? = try TestSocket(.tcp, in: node.node, bound: .v4(.unspecified), port: 32101)
        try write(Self.balanced("web", 1, healthPort: 32101, pods: [1, 2]))
        try await eventually {
            proxy.log.contains("\"a health check cannot be opened; it will be tried again\" address=\"0.0.0.0:32101\"")
        }
        #expect(taken != nil)
        taken = nil
        #expect(ask("192.0.2.1", 32100) == nil)
        // Each change is a commit, and so another try, but no more than one a second.
        var pods = [1]
        try await eventually {
            pods = pods == [1] ? [2] : [1]
            try write(Self.balanced("web", 1, healthPort: 32101, pods: pods))
            return ask("192.0.2.1", 32101)?.code == 200
        }
        // The policy goes, and the port with it.
        let text = Self.balanced("web", 1, healthPort: 32101, pods: [1])
        try write(text.replacingOccurrences(of: "externalTrafficPolicy: Local", with: "externalTrafficPolicy: Cluster"))
        try await eventually { ask("192.0.2.1", 32101) == nil }
        #expect(proxy.terminate() == 0)
    }

    /// A proxy's view of an API server in its own namespace, over plain HTTP.
    private func startServer(
        in node: TestNode,
        _ directory: TemporaryDirectory,
        _ objects: String,
        input: Pipe? = nil
    ) async throws -> (server: NodeProgram, kubeconfig: String, port: UInt16) {
        let (kubeconfig, path) = ("\(directory.path)/kubeconfig", "\(directory.path)/objects.yaml")
        try objects.write(toFile: path, atomically: true, encoding: .utf8)
        let port: UInt16 = 8001
        let server = try NodeProgram(
            "test-apiserver",
            in: node.node,
            ["--plain", "--port", "\(port)", "--kubeconfig-out", kubeconfig, "--objects", path]
                + (input == nil ? [] : ["--follow-input"]),
            input: input
        )
        try await eventually { server.log.contains("listening on http://") }
        return (server, kubeconfig, port)
    }

    private struct StoredEvent: Decodable {
        struct Reference: Decodable {
            let kind: String
            let name: String
            let uid: String?
        }

        struct List: Decodable {
            let items: [StoredEvent]
        }

        let reason: String
        let action: String
        let type: String
        let note: String?
        let reportingController: String
        let regarding: Reference
    }

    private func events(in node: TestNode, port: UInt16) -> [StoredEvent] {
        let answer = try? HTTPAnswer.of("/apis/events.k8s.io/v1/namespaces/default/events", from: node.node, port: port)
        guard let body = answer?.body, let start = body.firstIndex(of: "{"), let end = body.lastIndex(of: "}") else {
            return []
        }
        // The answer may come in chunks, whose sizes stand between.
        return (try? JSONDecoder().decode(StoredEvent.List.self, from: Data(body[start...end].utf8)))?.items ?? []
    }

    @Test func reportsEventsAndMetricsOfAnAPI() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        let input = Pipe()
        let objects = """
            apiVersion: v1
            kind: Node
            metadata: {name: here}
            status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
            \(Self.balanced("old", 1, healthPort: 32100, pods: [1], extra: "externalIPs: [203.0.113.1]"))
            \(Self.balanced("new", 2, healthPort: 10256, pods: [1], extra: "externalIPs: [203.0.113.1]"))
            """
        let (server, kubeconfig, port) = try await startServer(in: node, directory, objects, input: input)
        defer { server.kill() }
        let proxy = try NodeProgram(
            in: node.node,
            [
                "--kubeconfig", kubeconfig, "--hostname-override", "here", "--snapshot", "", "--cluster-cidr",
                "10.9.0.0/16",
            ]
        )
        func event(_ reason: String) -> StoredEvent? { events(in: node, port: port).first { $0.reason == reason } }
        try await eventually { event("Starting") != nil }
        let start = try #require(event("Starting"))
        #expect(start.regarding.kind == "Node" && start.regarding.name == "here" && start.regarding.uid == "here")
        #expect(start.type == "Normal" && start.action == "StartKubeProxy")
        #expect(start.reportingController == "swiftlet-proxy")

        // The proxy's own health server has that port.
        try await eventually { event("FailedToStartServiceHealthcheck") != nil }
        let taken = try #require(event("FailedToStartServiceHealthcheck"))
        #expect(taken.regarding.kind == "Service" && taken.regarding.name == "new")
        #expect(taken.regarding.uid?.isEmpty == false)
        #expect(taken.type == "Warning" && taken.action == "Listen")
        #expect(taken.note?.contains("10256") == true)

        // Who loses an address is told who has it.
        try await eventually { event("FrontendConflict") != nil }
        let conflict = try #require(event("FrontendConflict"))
        #expect(["old", "new"].contains(conflict.regarding.name))
        let owner = conflict.regarding.name == "old" ? "new" : "old"
        #expect(conflict.note == "203.0.113.1:80/TCP belongs to Service default/\(owner), which is older")

        let now = ISO8601DateFormatter().string(from: Date())
        let slice = """
            {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4",\
            "metadata":{"name":"old-ipv4","namespace":"default","labels":{"kubernetes.io/service-name":"old"},\
            "annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"\(now)"}},\
            "ports":[{"name":"tcp","port":8080,"protocol":"TCP"}],\
            "endpoints":[{"addresses":["10.9.2.2"],"nodeName":"here"}]}

            """
        // Whole seconds: what happened in the second of the start counts as before it.
        try await Task.sleep(for: .seconds(1.1))
        let later = slice.replacingOccurrences(
            of: now,
            with: ISO8601DateFormatter().string(from: Date())
        )
        try input.fileHandleForWriting.write(contentsOf: Data(later.utf8))
        func metrics() throws -> PrometheusReader {
            try PrometheusReader(HTTPAnswer.of("/metrics", from: node.node, port: 10249).body)
        }
        let measured = "kubeproxy_network_programming_duration_seconds_count"
        try await eventually { try metrics().value(measured, ["ip_family": "IPv4"]) == 1 }
        _ = try HTTPAnswer.of("/livez", from: node.node, port: 10256)
        _ = try HTTPAnswer.of("/healthz", from: node.node, port: 10256)
        let page = try metrics()
        for row in MetricsTests.table {
            let family = try #require(page.families[row.name], "\(row.name)")
            #expect(family.type == row.type, "\(row.name)")
        }
        #expect(page.value("rest_client_requests_total", ["code": "201", "method": "POST"]).map { $0 >= 3 } == true)
        #expect(
            page.value("rest_client_requests_total", ["code": "200", "host": "127.0.0.1:\(port)"]).map { $0 >= 3 }
                == true
        )
        #expect(page.value("swiftlet_proxy_frontends", ["ip_family": "IPv4", "kind": "ExternalIP"]) == 2)
        #expect(page.value("swiftlet_proxy_refused_frontends", ["ip_family": "IPv4"]) == 0)
        #expect(proxy.terminate() == 0)
    }

    @Test func endsWithAnEventWhenAServerCannotHaveItsAddress() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        let (server, kubeconfig, port) = try await startServer(
            in: node,
            directory,
            Self.service("web", "10.96.0.10", pods: [1])
        )
        defer { server.kill() }
        let common = [
            "--kubeconfig", kubeconfig, "--hostname-override", "here", "--snapshot", "", "--bind-address-hard-fail",
        ]
        let taken = try TestSocket(.tcp, in: node.node, bound: .v4(.unspecified), port: 10256)
        let first = try NodeProgram(in: node.node, common)
        #expect(first.wait() == 1)
        #expect(first.log.contains("Error: healthz: cannot listen on 0.0.0.0:10256: "), "\(first.log)")
        let reasons = { Set(self.events(in: node, port: port).map(\.reason)) }
        #expect(reasons().contains("FailedToStartProxierHealthcheck"))

        let other = try TestSocket(.tcp, in: node.node, bound: IPAddress("127.0.0.1")!, port: 10249)
        let second = try NodeProgram(in: node.node, common + ["--healthz-bind-address", "127.0.0.1:10300"])
        #expect(second.wait() == 1)
        #expect(second.log.contains("Error: metrics: cannot listen on 127.0.0.1:10249: "), "\(second.log)")
        #expect(reasons().contains("FailedToStartMetricServer"))
        withExtendedLifetime((taken, other)) {}
    }

    @Test func followsItsConfigurationFile() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        let configuration = "\(directory.path)/config"
        func write(_ fields: String) throws {
            try "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\(fields)\n"
                .write(toFile: configuration, atomically: true, encoding: .utf8)
        }
        let manifests = try TemporaryDirectory()
        try Self.service("web", "10.96.0.10", pods: [1], nodePort: 30080)
            .write(toFile: "\(manifests.path)/web.yaml", atomically: true, encoding: .utf8)
        try write("nodePortAddresses: [192.0.2.0/24]")
        let proxy = try NodeProgram(
            in: node.node,
            ["--config", configuration, "--manifests", manifests.path, "--hostname-override", "here"]
        )
        let outside = node.outside.namespace
        try await eventually { answers(from: outside, to: "192.0.2.1", port: 30080) == ["pod1"] }

        // A file that cannot be used is named, and nothing is changed.
        try write("nodePortAddresses: [192.0.2.0/33]")
        try await eventually { proxy.log.contains("the configuration file has changed and cannot be used") }
        #expect(proxy.log.contains("NodePortAddresses[0]"))
        try write("]")
        try await eventually { proxy.log.components(separatedBy: "cannot be used").count == 3 }
        #expect(answers(from: outside, to: "192.0.2.1", port: 30080) == ["pod1"])

        // Some fields are followed.
        try write(
            "nodePortAddresses: [10.9.1.0/24]\nlogging: {verbosity: 2}\nnftables: {syncPeriod: 20s}\nipvs: {scheduler: rr}"
        )
        try await eventually { proxy.log.contains("\"the configuration is changed\" field=\"nodePortAddresses\"") }
        for field in ["logging.verbosity", "nftables.syncPeriod", "ipvs.scheduler"] {
            #expect(proxy.log.contains("field=\"\(field)\""), "\(field)")
        }
        try await eventually { answers(from: outside, to: "192.0.2.1", port: 30080) == [] }
        #expect(answers(from: node.pods[1].namespace, to: "10.9.1.1", port: 30080) == ["pod1"])
        let configz = try HTTPAnswer.of("/configz", from: node.node, port: 10249).body
        #expect(configz.contains("\"nodePortAddresses\":[\"10.9.1.0/24\"]"))
        #expect(!proxy.log.contains("changes are programmed"))
        try Self.service("web", "10.96.0.10", pods: [2], nodePort: 30080)
            .write(toFile: "\(manifests.path)/web.yaml", atomically: true, encoding: .utf8)
        try await eventually { proxy.log.contains("\"changes are programmed\" changes=") }

        // Others end the process, which says which.
        try write("nodePortAddresses: [10.9.1.0/24]\nclusterCIDR: 10.0.0.0/8\nlogging: {verbosity: 2}")
        #expect(proxy.wait() == 1)
        #expect(
            proxy.log.contains(
                "Error: --config: the content of \(configuration) has changed; start again to use it: "
                    + "clusterCIDR was empty, is 10.0.0.0/8"
            ),
            "\(proxy.log)"
        )
        #expect(answers(from: node.pods[2].namespace, to: "10.96.0.10") == ["pod2"])
    }

    @Test func servesThePagesOfComponents() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        let arguments = ["--manifests", directory.path, "--hostname-override", "here", "--logging-format", "json"]
        func get(_ path: String, _ headers: [String] = []) throws -> HTTPAnswer {
            try .of(path, headers: headers, from: node.node, port: 10249)
        }
        func isListening(_ proxy: NodeProgram) -> Bool { proxy.log.components(separatedBy: "\"listening\"").count == 3 }
        var proxy = try NodeProgram(
            in: node.node,
            arguments + ["--profiling", "--feature-gates", "ComponentFlagz=false,Nonsense=true"]
        )
        try await eventually { isListening(proxy) }
        #expect(
            proxy.log.contains("\"msg\":\"featureGates.Nonsense has no effect here\",\"v\":0,\"level\":\"warning\"")
        )
        #expect(try get("/healthz?verbose").body == "[+]ping ok\nhealthz check passed\n")
        #expect(try get("/healthz/ping").body == "ok")
        #expect(
            try get("/metrics/slis").body.contains(
                "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"healthz\"} 1\n"
            )
        )
        #expect(try get("/flagz").code == 404)
        #expect(try get("/statusz").body.contains("Paths: /configz /debug /healthz /metrics /proxyMode /statusz\n"))
        let object = try get("/statusz", ["Accept: application/json;v=v1beta1;g=config.k8s.io;as=Statusz"])
        #expect(object.body.contains("\"apiVersion\":\"config.k8s.io/v1beta1\""))
        #expect(try get("/statusz", ["Accept: application/json"]).code == 406)
        #expect(
            try get("/metrics").body.contains("kubernetes_feature_enabled{name=\"ComponentFlagz\",stage=\"BETA\"} 0\n")
        )

        #expect(try get("/debug/pprof/heap").code == 501)
        #expect(try get("/debug/pprof/heap").body.contains("process_*"))
        #expect(try get("/debug/flags/v").code == 406)
        func put(_ body: String) throws -> HTTPAnswer {
            try .of("/debug/flags/v", method: "PUT", body: body, from: node.node, port: 10249)
        }
        #expect(try put("loud").code == 400)
        #expect(!proxy.log.contains("\"msg\":\"changes are programmed\""))
        #expect(try put("4").body == "successfully set klog.logging.verbosity to 4\n")
        try Self.service("web", "10.96.0.10", pods: [1])
            .write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
        try await eventually { proxy.log.contains("\"msg\":\"changes are programmed\",\"v\":2,\"changes\":") }
        #expect(proxy.terminate() == 0)

        proxy = try NodeProgram(in: node.node, arguments)
        try await eventually { isListening(proxy) }
        #expect(try get("/debug/flags/v").code == 404)
        #expect(try get("/debug/pprof/").code == 404)
        #expect(try get("/flagz").body.contains("\nlogging-format=json\n"))
        #expect(proxy.terminate() == 0)
    }
}
