import KubernetesAPI
import Logging
import NFTables
import NetworkTypes
import TestSupport
import Testing

import class Netlink.NetworkNamespace

@testable import ServiceProxy

/// MQ-7 with real packets, cell by cell: who dials which kind of frontend under which policy, which endpoints answer,
/// and whether they see the client's own address. From Services, through planner and backend; and a trace of each packet
/// says the same.
@Suite(.enabled(if: isRoot), .serialized)
struct MasqueradeTableTests {
    enum Setting: String, CaseIterable, Sendable {
        case clusterCIDR
        case bridgeInterface
        case interfaceNamePrefix
        case noDetector
        case masqueradeAll
    }

    /// What happens with the default policies, with eTP Local, and with iTP Local. `L` is the endpoint of this node and
    /// `R` that of another; `m` means masqueraded.
    typealias Row = (client: String, isClusterIP: Bool, cells: [String])

    static func rows(_ setting: Setting) -> [Row] {
        var rows: [Row] = [
            ("pod", true, ["LR", "LR", "L"]),
            ("pod", false, ["LRm", "LR", "LRm"]),
            ("node", true, ["LRm", "LRm", "Lm"]),
            ("node", false, ["LRm", "LRm", "LRm"]),
            ("outside", true, ["LRm", "LRm", "Lm"]),
            ("outside", false, ["LRm", "L", "LRm"]),
        ]
        switch setting {
        case .clusterCIDR, .bridgeInterface, .interfaceNamePrefix: break
        case .noDetector:
            for index in [2, 4] { rows[index].cells = ["LR", "LR", "L"] }
            rows[1].cells[1] = "L"
        case .masqueradeAll: for index in [0, 2, 4] { rows[index].cells = ["LRm", "LRm", "Lm"] }
        }
        return rows
    }

    /// A cell of the table, by what is in its row and column.
    struct Cell {
        let client: String
        let isClusterIP: Bool
        /// From 0: the default policies, eTP Local, iTP Local.
        let column: Int
    }

    /// Where the cells of a mode differ by its nature.
    struct Exception {
        let limit: ModeLimit
        let settings: [Setting]
        let covers: @Sendable (Cell) -> Bool
        /// From what every mode does to what this one does.
        let change: @Sendable (String) -> String
    }

    static let exceptions = [
        // To a socket of the node every pod's connection is like one from elsewhere.
        Exception(
            limit: .interfaceDetection,
            settings: [.bridgeInterface, .interfaceNamePrefix],
            covers: { $0.client == "pod" && !$0.isClusterIP && $0.column == 1 },
            change: { $0 == "LR" ? "L" : $0 }
        ),
        // Endpoints are dialled by the node.
        Exception(
            limit: .clientAddress,
            settings: Setting.allCases,
            covers: { _ in true },
            change: { $0.hasSuffix("m") ? $0 : $0 + "m" }
        ),
    ]

    static func rows(_ setting: Setting, _ mode: TestBackend) -> [Row] {
        rows(setting).map { row in
            var row = row
            for column in row.cells.indices {
                let cell = Cell(client: row.client, isClusterIP: row.isClusterIP, column: column)
                for exception in exceptions
                where mode.cannot(exception.limit) && exception.settings.contains(setting) && exception.covers(cell) {
                    row.cells[column] = exception.change(row.cells[column])
                }
            }
            return row
        }
    }

    /// The endpoints are the first pod, of this node, and the second, which claims to be of another.
    private func frontends(
        _ planner: ServicePlanner,
        _ node: TestNode,
        _ family: IPFamily,
        eTP: Service.TrafficPolicy,
        iTP: Service.TrafficPolicy
    ) -> [Frontend] {
        let isIPv4 = family == .ipv4
        let ports = [TransportProtocol.tcp, .udp, .sctp].map {
            Service.Port(name: "\($0)", transport: $0, port: 80, nodePort: 30080)
        }
        let service = service(
            type: .loadBalancer,
            clusterIPs: [isIPv4 ? "10.96.0.10" : "fd96::10"],
            ports: ports
        ) {
            $0.externalIPs = [address(isIPv4 ? "198.51.100.1" : "fd51::1")]
            $0.ingress = [
                .init(address: address(isIPv4 ? "203.0.113.1" : "fd03::1")),
                .init(address: address(isIPv4 ? "203.0.113.2" : "fd03::2"), isVIP: false),
            ]
            $0.externalTrafficPolicy = eTP
            $0.internalTrafficPolicy = iTP
        }
        let endpoints = zip(["here", "there"], node.pods).map { "\($1.addresses[family]!) \($0)" }
        let slice = slice(
            "a",
            family: isIPv4 ? .ipv4 : .ipv6,
            ports: ports.map { EndpointPort(name: $0.name, transport: $0.transport, port: TestNode.port) },
            endpoints
        )
        return planner.plan(service, with: [slice], in: family, on: thisNode).frontends
    }

    struct Place: Sendable, CustomTestStringConvertible {
        let family: IPFamily
        let mode: TestBackend

        static let all = IPFamily.allCases.flatMap { family in
            TestBackend.allCases.map { Place(family: family, mode: $0) }
        }

        var testDescription: String { "\(family) \(mode)" }
    }

    @Test(arguments: Setting.allCases, Place.all)
    func everyCell(setting: Setting, place: Place) async throws {
        let (family, mode) = (place.family, place.mode)
        let isIPv4 = family == .ipv4
        let node = try TestNode(bridge: setting == .bridgeInterface ? "cni0" : nil)
        let detects = setting != .noDetector
        let planner = ServicePlanner(
            masqueradeAll: setting == .masqueradeAll,
            familiesWithLocalDetection: detects ? Set(IPFamily.allCases) : []
        )
        let sources: LocalSources =
            switch setting {
            case .clusterCIDR, .masqueradeAll: .within(TestNode.podNetworks)
            case .bridgeInterface: .interface("cni0")
            case .interfaceNamePrefix: .interfaces(prefix: "pod")
            case .noDetector: .unknown
            }
        let surroundings = Surroundings(localSources: sources)
        let backend = try mode.make(on: node, surroundings)
        // The explainer knows the tables of nftables mode.
        let tracing = mode == .nftables ? Tracing(node: node, options: NFTablesOptions(surroundings)) : nil
        let interfaces = ["pod": setting == .bridgeInterface ? "cni0" : "pod3", "outside": "outside"]
        let clients: [String: (NetworkNamespace, IPAddress)] = [
            "pod": (node.pods[2].namespace, node.pods[2].addresses[family]!),
            "node": (node.node, TestNode.nodeAddresses[family]!),
            "outside": (node.outside.namespace, node.outside.addresses[family]!),
        ]
        let external: [(name: String, address: IPAddress, port: UInt16)] = [
            ("external IP", address(isIPv4 ? "198.51.100.1" : "fd51::1"), 80),
            ("load-balancer IP", address(isIPv4 ? "203.0.113.1" : "fd03::1"), 80),
            ("node port", TestNode.nodeAddresses[family]!, 30080),
        ]
        let clusterIP = [("cluster IP", PacketTests.serviceIPs[family]!, UInt16(80))]
        let policies: [(Service.TrafficPolicy, Service.TrafficPolicy)] = [
            (.cluster, .cluster), (.local, .cluster), (.cluster, .local),
        ]
        let sctp = try InitProbe(pods: node.pods, family)
        // Each UDP flow comes from a port of its own: one of an earlier column would still be translated as it was then.
        var lastPort: UInt16 = 20_000
        for (column, policy) in policies.enumerated() {
            let frontends = frontends(planner, node, family, eTP: policy.0, iTP: policy.1)
            let refused = try await backend.start(with: frontends).refused
            let unserved = refused.map(\.frontend.key)
            #expect(Set(unserved) == Set(frontends.map(\.key).filter { mode.cannot(.sctp) && $0.transport == .sctp }))
            #expect(refused.allSatisfy { $0.reason.contains("SCTP") })
            for row in Self.rows(setting, mode) {
                let (namespace, source) = clients[row.client]!
                for target in row.isClusterIP ? clusterIP : external {
                    for transport in [TransportProtocol.tcp, .udp, .sctp]
                    where transport != .sctp || !mode.cannot(.sctp) {
                        var pods: Set<String> = []
                        var isMasqueraded: Set<Bool> = []
                        let trace = try tracing?.trace(
                            frontends,
                            from: source,
                            by: interfaces[row.client],
                            to: target.1,
                            target.2,
                            over: transport
                        )
                        if let trace { #expect(trace.verdict == .translated) }
                        let seen = trace?.sources
                        // Both of two are met by all but one in eight million.
                        for _ in 0..<24 where pods.count < 2 {
                            lastPort += 1
                            let answer =
                                transport == .sctp
                                ? try sctp.send(from: namespace, bound: source, to: target.1, port: target.2)
                                : try dial(
                                    transport,
                                    from: namespace,
                                    to: target.1,
                                    port: target.2,
                                    bound: source,
                                    sourcePort: transport == .udp ? lastPort : 0
                                )
                            pods.insert(answer.pod)
                            isMasqueraded.insert(answer.source != source)
                            let pod = node.pods.first { $0.name == answer.pod }?.addresses[family]
                            if let seen { #expect(pod.flatMap { seen[$0] } == answer.source, "\(seen)") }
                        }
                        let found =
                            (pods.contains("pod1") ? "L" : "") + (pods.contains("pod2") ? "R" : "")
                            + (isMasqueraded == [true] ? "m" : isMasqueraded == [false] ? "" : "?")
                        if let trace, let seen {
                            let traced =
                                node.pods.prefix(2).map {
                                    seen[$0.addresses[family]!] == nil ? "" : $0.name == "pod1" ? "L" : "R"
                                }
                                .joined() + (trace.choices.allSatisfy { $0.isMasqueraded } ? "m" : "")
                            #expect(traced == row.cells[column], "\(trace)")
                        }
                        #expect(
                            found == row.cells[column],
                            "\(row.client) to \(target.0) over \(transport), column \(column + 1)"
                        )
                    }
                }
            }
            // ipMode Proxy: not ours.
            #expect(throws: TestSocket.Failure.self) {
                try dial(
                    .tcp,
                    from: node.outside.namespace,
                    to: address(isIPv4 ? "203.0.113.2" : "fd03::2"),
                    port: 80,
                    timeout: 100
                )
            }
        }
    }
}
