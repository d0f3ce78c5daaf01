import Glibc
import NetworkTypes
import TestSupport
import Testing

import struct Netlink.Sysctl

@testable import ServiceProxy

/// What only iptables mode has, with real packets: node ports on loopback, holes in a host's firewall.
@Suite(.enabled(if: isRoot), .serialized)
struct LoopbackTests {
    let node: TestNode

    init() throws { node = try TestNode() }

    private func backend(
        _ mode: TestBackend,
        servesLoopback: Bool,
        healthChecks: HealthCheckNodePorts = HealthCheckNodePorts()
    ) throws -> IPTablesBackend {
        let namespace = node.node
        return IPTablesBackend(
            tools: try #require(mode.tools(in: node)),
            options: IPTablesOptions(
                servesLoopback: servesLoopback,
                Surroundings(localSources: .within(TestNode.podNetworks))
            ),
            healthChecks: healthChecks,
            enableLocalRoutes: {
                try namespace.run { try Sysctl("ipv4", "conf", "all", "route_localnet")?.write("1") }
            },
            logger: silent
        )
    }

    private func nodePort(_ transport: TransportProtocol) -> Frontend {
        Frontend(
            key: .nodePort(.ipv4, transport, 30080),
            kind: .nodePort,
            servicePort: ServicePortName(namespace: "default", name: "web", port: "http", transport: transport),
            route: Route(backends: node.backends([1, 2], .ipv4), masquerade: .always, whenEmpty: .reject)
        )
    }

    @Test(arguments: TestBackend.iptables, [TransportProtocol.tcp, .udp])
    func nodePortsAreServedOnLoopback(mode: TestBackend, transport: TransportProtocol) async throws {
        let frontend = nodePort(transport)
        _ = try await backend(mode, servesLoopback: true).start(with: [frontend])
        for target in ["127.0.0.1", "127.8.9.10", "192.0.2.1"] {
            let answer = try dial(transport, from: node.node, to: address(target), port: 30080)
            #expect(["pod1", "pod2"].contains(answer.pod))
            #expect(!answer.source.isLoopback)
        }
        // What listens on loopback is still for the node alone: others may not send there.
        try node.outside.namespace.ip("route", "add", "127.9.0.0/16", "via", "192.0.2.1")
        let server = try TestSocket(.udp, in: node.node, bound: address("127.9.0.1"), port: 9999, timeout: 300)
        let client = try TestSocket(
            .udp,
            in: node.outside.namespace,
            bound: address("192.0.2.2"),
            port: 0,
            timeout: 300
        )
        try client.connect(to: address("127.9.0.1"), port: 9999)
        try? client.send("?")
        #expect(throws: TestSocket.Failure.self) { try server.receive() }

        _ = try await backend(mode, servesLoopback: false).start(with: [frontend])
        #expect(throws: TestSocket.Failure.self) {
            try dial(transport, from: node.node, to: address("127.0.0.1"), port: 30080, timeout: 300)
        }
        #expect(try dial(transport, from: node.node, to: address("192.0.2.1"), port: 30080).pod.hasPrefix("pod"))
    }

    /// A host whose own firewall forwards nothing: what is for Services gets through (1.10, 7).
    @Test(arguments: TestBackend.iptables, IPFamily.allCases)
    func servicesWorkBehindAFirewall(mode: TestBackend, family: IPFamily) async throws {
        let tools = try #require(mode.tools(in: node))
        let program = tools.flavour.program(family)
        try node.node.run(program, ["-w", "60", "-P", "FORWARD", "DROP"])
        let frontend = Frontend(
            key: .nodePort(family, .tcp, 30080),
            kind: .nodePort,
            servicePort: ServicePortName(namespace: "default", name: "web", port: "http", transport: .tcp),
            route: Route(backends: node.backends([1], family), masquerade: .always, whenEmpty: .reject)
        )
        let target = TestNode.nodeAddresses[family]!
        let backend = try backend(mode, servesLoopback: false)
        _ = try await backend.start(with: [frontend])
        #expect(try dial(.tcp, from: node.outside.namespace, to: target, port: 30080).pod == "pod1")
        // And nothing else does.
        #expect(throws: TestSocket.Failure.self) {
            try dial(
                .tcp,
                from: node.outside.namespace,
                to: node.pods[0].addresses[family]!,
                port: TestNode.port,
                timeout: 300
            )
        }
    }
}
