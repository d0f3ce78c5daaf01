import ClusterClient
import Glibc
import KubernetesAPI
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// Clients that send datagrams from one port all the time, while what they talk to comes and goes (2.7).
@Suite(.enabled(if: isRoot), .serialized)
struct UDPFlowTests {
    private static let outerPort: UInt16 = 30053

    let node: TestNode

    init() throws {
        node = try TestNode()
    }

    private func serviceIP(_ family: IPFamily) -> IPAddress { PacketTests.serviceIPs[family]! }

    private func web(nodePort: UInt16 = outerPort) -> Service {
        service(
            type: .nodePort,
            ports: [
                Service.Port(name: "udp", transport: .udp, port: 80, nodePort: nodePort),
                Service.Port(name: "tcp", port: 80),
            ]
        )
    }

    /// - Parameter pods: by number, with words as ``endpoint(_:)`` has them.
    private func slices(_ pods: [String]) -> [ClusterClient.ObjectChange] {
        IPFamily.allCases.map { family in
            let endpoints = pods.map { pod in
                let words = pod.split(separator: " ", maxSplits: 1)
                let address = node.pods[Int(words[0])! - 1].addresses[family]!
                return "\(address) here \(words.dropFirst().first ?? "")"
            }
            let ports = [
                EndpointPort(name: "udp", transport: .udp, port: TestNode.port),
                EndpointPort(name: "tcp", port: TestNode.port),
            ]
            let type: EndpointSlice.AddressType = family == .ipv4 ? .ipv4 : .ipv6
            return .set(.endpointSlice(slice("web-\(family)", family: type, ports: ports, endpoints)))
        }
    }

    private let removal = ClusterClient.ObjectChange.delete(
        ObjectKey(.service, ObjectName(namespace: "default", name: "web"))
    )

    /// Runs a proxy on the node that knows these objects, as a process would.
    private func withProxy(
        _ changes: [ClusterClient.ObjectChange],
        _ body: (ServiceController) async throws -> Void
    ) async throws {
        let proxy = TestProxy(on: node)
        try await proxy.run(changes) { try await body(proxy.controller) }
    }

    /// What a client with a port of its own hears.
    private struct Client {
        let socket: TestSocket

        /// - Parameter source: the port that it always sends from.
        init(from machine: TestNode.Machine, _ source: UInt16, to target: IPAddress, port: UInt16 = 80) throws {
            socket = try TestSocket(
                .udp,
                in: machine.namespace,
                bound: machine.addresses[target.family]!,
                port: source,
                timeout: 200
            )
            try socket.connect(to: target, port: port)
        }

        /// The pod that answers a datagram, `refused` or `silence`.
        func ask() -> String {
            do {
                try socket.send("?")
                return try socket.receive().split(separator: " ").first.map(String.init) ?? "?"
            } catch {
                let code = (error as? TestSocket.Failure)?.code
                return [ECONNREFUSED, EPERM].contains(code) ? "refused" : "silence"
            }
        }

        func hears(
            _ wanted: Set<String>,
            within limit: Duration = .seconds(10),
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let deadline = ContinuousClock.now + limit
            var heard = ask()
            while !wanted.contains(heard), ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(5))
                heard = ask()
            }
            #expect(wanted.contains(heard), "\(heard)", sourceLocation: sourceLocation)
        }
    }

    private func flows(_ family: IPFamily, from port: UInt16) throws -> [ConntrackEntry] {
        try NetlinkSocket(.netfilter, in: node.node).conntrackEntries(family, .udp) {
            $0.original.sourcePort == port
        }
    }

    /// To the cluster IP and to a node port, each from a port of its own.
    private func clients(_ family: IPFamily) throws -> [Client] {
        [
            try Client(from: node.outside, 40_001, to: serviceIP(family)),
            try Client(from: node.outside, 40_002, to: TestNode.nodeAddresses[family]!, port: Self.outerPort),
            try Client(from: node.pods[2], 40_003, to: serviceIP(family)),
        ]
    }

    @Test(arguments: IPFamily.allCases)
    func aFlowFindsAnotherEndpointWhenItsOwnGoes(family: IPFamily) async throws {
        try await withProxy([.set(.service(web()))] + slices(["1"])) { controller in
            let clients = try clients(family)
            for client in clients { try await client.hears(["pod1"]) }
            await controller.receive(ObjectBatch(changes: slices(["1", "2"])))
            // A flow stays where it is as long as it may.
            await controller.receive(ObjectBatch(changes: slices(["1", "2"])))
            for client in clients { #expect(client.ask() == "pod1") }
            await controller.receive(ObjectBatch(changes: slices(["2"])))
            // The pod still answers: only who forgets the flow gets elsewhere.
            for client in clients { try await client.hears(["pod2"]) }
        }
    }

    @Test(arguments: IPFamily.allCases)
    func afterTheLastEndpointAClientIsRefusedAndThenServed(family: IPFamily) async throws {
        try await withProxy([.set(.service(web()))] + slices(["1"])) { controller in
            let clients = try clients(family)
            for client in clients { try await client.hears(["pod1"]) }
            await controller.receive(ObjectBatch(changes: slices([])))
            for client in clients { try await client.hears(["refused"]) }
            await controller.receive(ObjectBatch(changes: slices(["2"])))
            for client in clients { try await client.hears(["pod2"]) }
        }
    }

    @Test(arguments: IPFamily.allCases)
    func theFlowsOfADeletedServiceGo(family: IPFamily) async throws {
        try await withProxy([.set(.service(web()))] + slices(["1"])) { controller in
            let clients = try clients(family)
            for client in clients { try await client.hears(["pod1"]) }
            // The node port goes first, alone.
            await controller.receive(ObjectBatch(changes: [.set(.service(web(nodePort: 30054)))]))
            let deadline = ContinuousClock.now + .seconds(10)
            func isGone(_ port: UInt16) async throws -> Bool {
                while try !flows(family, from: port).isEmpty, ContinuousClock.now < deadline {
                    try await Task.sleep(for: .milliseconds(5))
                }
                return try flows(family, from: port).isEmpty
            }
            #expect(try await isGone(40_002))
            #expect(clients[0].ask() == "pod1")
            await controller.receive(ObjectBatch(changes: [removal]))
            #expect(try await isGone(40_001))
            #expect(try await isGone(40_003))
            // It comes back with another endpoint, and nobody is sent to the old one.
            await controller.receive(ObjectBatch(changes: [.set(.service(web()))] + slices(["2"])))
            for client in clients { try await client.hears(["pod2"]) }
        }
    }

    /// CT-4: the flow of a serving endpoint stays, whatever the rules do with new ones.
    @Test(arguments: IPFamily.allCases)
    func aTerminatingEndpointKeepsItsFlows(family: IPFamily) async throws {
        try await withProxy([.set(.service(web()))] + slices(["1", "3"])) { controller in
            let clients = try (0..<40).map { try Client(from: node.outside, 41_000 + $0, to: serviceIP(family)) }
            try await clients[0].hears(["pod1", "pod3"])
            let homes = clients.map { $0.ask() }
            try #require(Set(homes) == ["pod1", "pod3"])
            // One terminates and serves, one goes: only the flows of that one move.
            await controller.receive(ObjectBatch(changes: slices(["1 unready terminating", "2"])))
            for (client, home) in zip(clients, homes) where home == "pod3" { try await client.hears(["pod2"]) }
            for (client, home) in zip(clients, homes) where home == "pod1" { #expect(client.ask() == "pod1") }
            // When it serves no longer, they move, too.
            await controller.receive(ObjectBatch(changes: slices(["1 unready unserving terminating", "2"])))
            for client in clients { try await client.hears(["pod2"]) }
        }
    }

    /// CT-3
    @Test(arguments: IPFamily.allCases)
    func tcpIsNeverCut(family: IPFamily) async throws {
        try await withProxy([.set(.service(web()))] + slices(["1"])) { controller in
            let datagrams = try Client(from: node.outside, 40_001, to: serviceIP(family))
            try await datagrams.hears(["pod1"])
            let any: IPAddress = family == .ipv4 ? .v4(.unspecified) : .v6(.unspecified)
            let connection = try TestSocket(.tcp, in: node.outside.namespace, bound: any)
            try connection.connect(to: serviceIP(family), port: 80)
            await controller.receive(ObjectBatch(changes: slices(["2"])))
            try await datagrams.hears(["pod2"])
            await controller.receive(ObjectBatch(changes: [removal]))
            let deadline = ContinuousClock.now + .seconds(10)
            while try !flows(family, from: 40_001).isEmpty, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(5))
            }
            try connection.send("?")
            #expect(try connection.receive().hasPrefix("pod1 "))
        }
    }

    /// CT-5: a client that was there before the Service, and whose datagrams went nowhere.
    @Test(arguments: IPFamily.allCases)
    func whoWasThereFirstIsServedAsWell(family: IPFamily) async throws {
        let other = service("other", clusterIPs: ["10.96.0.77", "fd96::77"])
        try await withProxy([.set(.service(other))]) { controller in
            let client = try Client(from: node.outside, 40_001, to: serviceIP(family))
            let deadline = ContinuousClock.now + .seconds(10)
            // Once there is a table, the kernel tracks flows.
            while try flows(family, from: 40_001).isEmpty, ContinuousClock.now < deadline { _ = client.ask() }
            #expect(try flows(family, from: 40_001).map(\.isTranslated) == [false])
            await controller.receive(ObjectBatch(changes: [.set(.service(web()))] + slices(["1"])))
            try await client.hears(["pod1"])
        }
    }

    /// 3.4-19: a restart cuts no flow but those to what went meanwhile.
    @Test(arguments: IPFamily.allCases)
    func aRestartKeepsTheFlowsOfWhatIsStillThere(family: IPFamily) async throws {
        let gone = service(
            "gone",
            type: .nodePort,
            clusterIPs: ["10.96.0.66", "fd96::66"],
            ports: [
                Service.Port(name: "udp", transport: .udp, port: 80, nodePort: 30066)
            ]
        )
        let goneSlices = IPFamily.allCases.map { family in
            ClusterClient.ObjectChange.set(
                .endpointSlice(
                    slice(
                        "gone-\(family)",
                        of: "gone",
                        family: family == .ipv4 ? .ipv4 : .ipv6,
                        ports: [EndpointPort(name: "udp", transport: .udp, port: TestNode.port)],
                        ["\(node.pods[0].addresses[family]!) here"]
                    )
                )
            )
        }
        let clients = try (0..<30).map { try Client(from: node.outside, 41_000 + $0, to: serviceIP(family)) }
        let strays = [
            try Client(from: node.outside, 42_000, to: gone.clusterIPs.first { $0.family == family }!),
            try Client(from: node.outside, 42_001, to: TestNode.nodeAddresses[family]!, port: 30066),
        ]
        var homes: [String] = []
        try await withProxy(
            [.set(.service(web())), .set(.service(gone))] + slices(["1", "2", "3"]) + goneSlices
        ) { _ in
            for client in clients + strays { try await client.hears(["pod1", "pod2", "pod3"]) }
            homes = clients.map { $0.ask() }
        }
        try #require(Set(homes) == ["pod1", "pod2", "pod3"])
        let before = try clients.indices.map { try flows(family, from: 41_000 + UInt16($0)).first?.id }

        try await withProxy([.set(.service(web()))] + slices(["1", "3 unready terminating"])) { _ in
            for (client, home) in zip(clients, homes) where home == "pod2" { try await client.hears(["pod1"]) }
            for (index, home) in homes.enumerated() where home != "pod2" {
                // The same entry, not only the same endpoint.
                #expect(try flows(family, from: 41_000 + UInt16(index)).first?.id == before[index])
                #expect(clients[index].ask() == home)
            }
            // The Service that went while nobody looked.
            for client in strays { try await client.hears(["refused", "silence"]) }
        }
    }
}
