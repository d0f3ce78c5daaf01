import ClusterClient
import KubernetesAPI
import Logging
import NFTables
import NetworkTypes
import ProxyAPI
import Synchronization
import Testing

@testable import ServiceProxy

/// Refuses what it is told to refuse.
private final class PickyBackend: ServiceBackend {
    let refusedPorts = Mutex<Set<UInt16>>([])

    func start(with frontends: [Frontend]) async throws -> BackendStart {
        BackendStart(refused: refusals(of: frontends.map { .add($0) }))
    }

    func apply(_ changes: [FrontendChange]) async throws -> [RefusedFrontend] { refusals(of: changes) }

    private func refusals(of changes: [FrontendChange]) -> [RefusedFrontend] {
        let ports = refusedPorts.withLock { $0 }
        return changes.filter { change in
            if case .address(_, _, let port) = change.key { ports.contains(port) } else { false }
        }.map { RefusedFrontend(change: $0, reason: "no room") }
    }

    func cleanup() async throws {}
}

@Suite struct ProxyExplainerTests {
    private let backend = PickyBackend()

    private func withExplainer(
        awaiting: Set<ObjectKind> = [.service],
        counters: ConnectionCounters? = nil,
        _ body: (ServiceController, ProxyExplainer) async throws -> Void
    ) async throws {
        let controller = ServiceController(
            node: thisNode,
            planner: ServicePlanner(familiesWithLocalDetection: Set(IPFamily.allCases)),
            awaiting: awaiting,
            localDetection: .clusterCIDR([.ipv4: CIDR("10.9.0.0/16")!, .ipv6: CIDR("fd09::/16")!]),
            localAddresses: { [] },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            makeBackend: { _ in backend }
        )
        let explainer = ProxyExplainer(
            controller,
            counters: counters,
            node: TraceNode(
                kernel: FakeKernel(),
                localAddresses: { [address("172.16.0.1"), address("fd16::1")] },
                sourceAddress: { $0.family == .ipv4 ? address("172.16.0.1") : address("fd16::1") }
            )
        ) { NFTablesOptions($0) }
        try await withThrowingTaskGroup { group in
            group.addTask { await controller.run() }
            try await body(controller, explainer)
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func receive(_ controller: ServiceController, _ objects: [KubernetesObject]) async {
        await controller.receive(ObjectBatch(changes: objects.map { .set($0) }, synced: [.service]))
    }

    private func states(_ explainer: ProxyExplainer) async throws -> [String] {
        try await explainer.services().services.flatMap { service in
            service.ports.flatMap(\.frontends).map { frontend in
                "\(service.name) \(frontend.address.map { "\($0)" } ?? "*"):\(frontend.port) \(frontend.state.rawValue)"
                    + [frontend.reason, frontend.owner].compactMap { $0.map { " \($0)" } }.joined()
            }
        }
    }

    private func eventually(
        _ expected: [String],
        _ read: () async throws -> [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while try await read() != expected, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(2))
        }
        #expect(try await read() == expected, sourceLocation: sourceLocation)
    }

    @Test func everyStateIsTold() async throws {
        backend.refusedPorts.withLock { $0 = [443] }
        try await withExplainer { controller, explainer in
            await receive(
                controller,
                [
                    .service(
                        service("old", clusterIPs: ["10.96.0.1"], ports: [.init(name: "http", port: 80)], created: 1) {
                            $0.externalIPs = [address("203.0.113.1")]
                        }
                    ),
                    .service(
                        service(
                            "young",
                            clusterIPs: ["10.96.0.2"],
                            ports: [.init(name: "http", port: 80), .init(name: "tls", port: 443)],
                            created: 2
                        ) { $0.externalIPs = [address("203.0.113.1")] }
                    ),
                    .service(service("bare", clusterIPs: [])),
                    .service(service("outer", type: .externalName, clusterIPs: [])),
                ]
            )
            try await eventually([
                "old 10.96.0.1:80 Programmed", "old 203.0.113.1:80 Programmed", "young 10.96.0.2:80 Programmed",
                "young 203.0.113.1:80 Conflicting default/old", "young 10.96.0.2:443 Refused no room",
                "young 203.0.113.1:443 Refused no room",
            ]) { try await states(explainer) }
            let page = try await explainer.services()
            #expect(page.node == "here")
            #expect(page.awaiting.isEmpty)
            #expect(!page.countsConnections)
            #expect(page.services.map(\.notServed) == ["headless", nil, "ExternalName", nil])

            // The owner goes, and its heir has the address.
            await controller.receive(
                ObjectBatch(changes: [.delete(ObjectKey(.service, ObjectName(namespace: "default", name: "old")))])
            )
            backend.refusedPorts.withLock { $0 = [] }
            try await eventually([
                "young 10.96.0.2:80 Programmed", "young 203.0.113.1:80 Programmed",
                "young 10.96.0.2:443 Refused no room", "young 203.0.113.1:443 Refused no room",
            ]) { try await states(explainer) }
        }
    }

    @Test func nothingIsProgrammedWhileKindsAreMissing() async throws {
        try await withExplainer(awaiting: [.service, .endpointSlice]) { controller, explainer in
            await receive(controller, [.service(service())])
            let page = try await explainer.services()
            #expect(page.awaiting == ["EndpointSlice"])
            let error = await #expect(throws: ProxyExplainer.Problem.self) {
                _ = try await explainer.trace(from: "pod", to: "10.96.0.10:80")
            }
            #expect(error?.kind == .notReady)
        }
    }

    @Test func pagesHaveEveryServiceOnceAndInOrder() async throws {
        try await withExplainer { controller, explainer in
            let names = (0..<700).map { "s\($0)" }.shuffled()
            await receive(
                controller,
                names.enumerated().map { index, name in
                    .service(
                        service(name, in: "n\(index % 3)", clusterIPs: ["10.96.\(index / 250).\(index % 250 + 1)"])
                    )
                }
            )
            for (limit, count) in [(nil, 3), (100, 7), (7, 100), (100_000, 3)] as [(Int?, Int)] {
                var found: [String] = []
                var next: String?
                var pages = 0
                repeat {
                    let page = try await explainer.services(after: next, limit: limit)
                    found += page.services.map { "\($0.namespace)/\($0.name)" }
                    next = page.next
                    pages += 1
                } while next != nil
                #expect(pages == count)
                #expect(found.count == 700)
                #expect(found == found.sorted { ObjectName(text: $0)! < ObjectName(text: $1)! })
                #expect(Set(found).count == 700)
            }
            #expect(try await explainer.services(namespace: "n1").services.count == 233)
            #expect(try await explainer.services(name: "s5").services.map(\.name) == ["s5"])
            #expect(try await explainer.services(namespace: "none").services.isEmpty)
            let error = await #expect(throws: ProxyExplainer.Problem.self) {
                _ = try await explainer.services(namespace: "n1", name: "none")
            }
            #expect(error == .init(.notFound, "no Service n1/none is known to the proxy"))
            for after in ["n1", "/x", "x/", "a/b/c"] {
                let error = await #expect(throws: ProxyExplainer.Problem.self) {
                    _ = try await explainer.services(after: after)
                }
                #expect(error?.kind == .malformed)
            }
        }
    }

    /// A page ends early where its backends are many, but has at least one Service.
    @Test func servicesWithManyBackendsMakeShortPages() async throws {
        try await withExplainer { controller, explainer in
            let endpoints = (0..<3000).map { "10.9.\($0 / 250).\($0 % 250 + 1)" }
            await receive(
                controller,
                (0..<5).flatMap { index -> [KubernetesObject] in
                    [
                        .service(service("s\(index)", clusterIPs: ["10.96.0.\(index + 1)"])),
                        .endpointSlice(slice("s\(index)-1", of: "s\(index)", endpoints)),
                    ]
                }
            )
            var sizes: [Int] = []
            try await eventually((0..<5).map { "s\($0) 10.96.0.\($0 + 1):80 Programmed" }) {
                var next: String?
                var found: [String] = []
                sizes = []
                repeat {
                    let page = try await explainer.services(after: next)
                    sizes.append(page.services.count)
                    // Before it is planned, a Service has no frontends.
                    found += page.services.map { service in
                        guard let frontend = service.ports.first?.frontends.first else { return service.name }
                        return "\(service.name) \(frontend.address!):\(frontend.port) \(frontend.state.rawValue)"
                    }
                    next = page.next
                } while next != nil
                return found
            }
            #expect(sizes.allSatisfy { (1...2).contains($0) }, "\(sizes)")
        }
    }

    @Test func questionsThatMakeNoSenseAreRefused() async throws {
        try await withExplainer { controller, explainer in
            await receive(controller, [.service(service())])
            try await eventually(["web 10.96.0.10:80 Programmed", "web fd96::10:80 Programmed"]) {
                try await states(explainer)
            }
            for (from, to, text) in [
                ("nonsense", "10.96.0.10:80", "from: \"nonsense\" is not ADDR, ADDR:PORT, pod or node"),
                ("10.9.0.1:x", "10.96.0.10:80", "is not ADDR"), ("fd09::1:80:", "10.96.0.10:80", "is not ADDR"),
                ("pod", "10.96.0.10", "to: \"10.96.0.10\" is not ADDR:PORT/PROTO"),
                ("pod", "10.96.0.10:0", "is not ADDR:PORT/PROTO"), ("pod", "", "is not ADDR:PORT/PROTO"),
                ("pod", "10.96.0.10:80/TCP/x", "is not ADDR:PORT/PROTO"),
                ("pod", "[10.96.0.10]:80", "is not ADDR:PORT/PROTO"), ("pod", "fd96::10:80", "is not ADDR:PORT/PROTO"),
                ("pod", "10.96.0.10:80/ICMP", "to: \"ICMP\" is not TCP, UDP or SCTP"),
                ("fd09::1", "10.96.0.10:80", "are not of the same family"),
            ] {
                let error = await #expect(throws: ProxyExplainer.Problem.self) {
                    _ = try await explainer.trace(from: from, to: to)
                }
                #expect(error?.kind == .malformed)
                #expect(error?.description.contains(text) == true, "\(String(describing: error))")
            }
        }
    }

    @Test func tracesFollowWhatIsProgrammed() async throws {
        try await withExplainer { controller, explainer in
            let web = service(ports: [.init(name: "http", port: 80)], created: 1) {
                $0.type = .loadBalancer
                $0.ingress = [.init(address: address("203.0.113.9"), isVIP: false)]
            }
            await receive(
                controller,
                [
                    .service(web),
                    .endpointSlice(
                        slice(
                            "web-1",
                            ports: [EndpointPort(name: "http", port: 8080)],
                            ["10.9.1.1 here", "10.9.2.1 there"]
                        )
                    ),
                ]
            )
            try await eventually(["web 10.96.0.10:80 Programmed", "web fd96::10:80 Programmed"]) {
                try await states(explainer)
            }
            // A pod is an address among those of pods that is nobody's in particular.
            let pod = try await explainer.trace(from: "pod", to: "10.96.0.10:80/tcp")
            #expect(pod.packet.source == address("10.9.0.1"))
            #expect(pod.packet.origin == .pod)
            #expect(pod.service == "default/web:http")
            #expect(
                pod.choices.map { "\($0.backend.address) \($0.backend.isLocal) \($0.probability)" } == [
                    "10.9.1.1 true 0.5", "10.9.2.1 false 0.5",
                ]
            )
            #expect(pod.choices.allSatisfy { !$0.isMasqueraded && $0.seenSource == address("10.9.0.1") })

            let node = try await explainer.trace(from: "node", to: "10.96.0.10:80")
            #expect(node.packet.source == address("172.16.0.1"))
            #expect(node.steps.first?.hook == "output")
            #expect(node.choices.allSatisfy { $0.isMasqueraded && $0.seenSource == address("172.16.0.1") })
            // The node's address, but by an interface: somebody else has it.
            let spoofed = try await explainer.trace(from: "172.16.0.1:99", to: "10.96.0.10:80", interface: "eth0")
            #expect(spoofed.steps.first?.hook == "prerouting")
            #expect(spoofed.packet.sourcePort == 99)

            let six = try await explainer.trace(from: "pod", to: "[fd96::10]:80/TCP")
            #expect(six.verdict == .rejected)
            #expect(six.why == "default/web:http has no endpoint that is ready, on any node")

            let proxied = try await explainer.trace(from: "192.0.2.1", to: "203.0.113.9:80")
            #expect(proxied.verdict == .untouched)
            #expect(
                proxied.notes == [
                    "203.0.113.9 is a load-balancer IP of default/web with ipMode Proxy, left to its load balancer"
                ]
            )
        }
    }
}
