import Glibc
import NFTables
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// Session affinity with real packets (SA-1 to SA-8).
@Suite(.enabled(if: isRoot), .serialized)
struct AffinityTests {
    static let nodePort: UInt16 = 30080

    let node: TestNode
    let kernel: NetfilterSocket

    init() throws {
        node = try TestNode()
        kernel = try NetfilterSocket(in: node.node)
    }

    func makeBackend(_ mode: TestBackend) throws -> any ServiceBackend { try mode.make(on: node) }

    private func serviceIP(_ family: IPFamily) -> IPAddress { PacketTests.serviceIPs[family]! }

    /// A cluster IP or a node port of the same service port.
    func frontend(
        _ kind: Frontend.Kind,
        _ family: IPFamily,
        _ transport: TransportProtocol,
        _ pods: [Int],
        port: UInt16 = 80,
        timeout: UInt32? = 10_800,
        isLocalOnly: Bool = false,
        near: [Int]? = nil
    ) -> Frontend {
        let isNodePort = kind == .nodePort
        func route(_ pods: [Int], _ isLocalOnly: Bool) -> Route {
            Route(
                backends: node.backends(pods, family),
                masquerade: isNodePort && !isLocalOnly ? .always : .unlessLocal,
                whenEmpty: .drop,
                isLocalOnly: isLocalOnly
            )
        }
        return Frontend(
            key: isNodePort
                ? .nodePort(family, transport, Self.nodePort) : .address(serviceIP(family), transport, port),
            kind: kind,
            servicePort: ServicePortName(namespace: "default", name: "web", port: "p\(port)", transport: transport),
            route: route(pods, isLocalOnly),
            nearRoute: near.map { route($0, false) },
            affinityTimeout: timeout
        )
    }

    /// Dials the cluster IP and the node port in turn, and returns which pods answered.
    func answers(
        _ family: IPFamily,
        _ transport: TransportProtocol,
        from source: TestNode.Machine? = nil,
        times: Int = 12
    ) throws -> Set<String> {
        let source = (source ?? node.outside).namespace
        // A source port may come again, and with it a flow that was translated before.
        if transport == .udp { try node.forgetFlows(family, transport) }
        return try Set(
            (0..<times).map { time in
                time % 2 == 0
                    ? try dial(transport, from: source, to: serviceIP(family), port: 80).pod
                    : try dial(transport, from: source, to: TestNode.nodeAddresses[family]!, port: Self.nodePort).pod
            }
        )
    }

    @Test(arguments: PacketTests.Wire.all, TestBackend.allCases)
    func aClientStaysWithItsEndpoint(wire: PacketTests.Wire, mode: TestBackend) async throws {
        let (family, transport) = (wire.family, wire.transport)
        let all = [1, 2, 3]
        let backend = try makeBackend(mode)
        var current = [
            frontend(.clusterIP, family, transport, all), frontend(.nodePort, family, transport, all),
        ]
        #expect(try await backend.start(with: current).refused.isEmpty)
        // SA-1: both frontends share the memory.
        var first = try answers(family, transport)
        #expect(first.count == 1)

        // SA-6: a restart takes the table over, and with it the memory.
        let restarted = try await mode.takeOver(from: backend, on: node)
        let changes = try await restarted.start(with: current).changes
        if mode.cannot(.memoryOverRestart) {
            first = try answers(family, transport)
            #expect(first.count == 1)
        } else {
            #expect(changes == 0)
            #expect(try answers(family, transport) == first)
        }

        // SA-4: others leave, the client stays; its own endpoint leaves, the client finds another and stays there.
        let home = try #require(first.first.flatMap { Int($0.dropFirst(3)) })
        let steps: [(pods: [Int], isAtHome: Bool)] = [
            ([home, home % 3 + 1], true), (all, true), (all.filter { $0 != home }, false),
        ]
        for step in steps {
            let next = [
                frontend(.clusterIP, family, transport, step.pods), frontend(.nodePort, family, transport, step.pods),
            ]
            let changes = zip(current, next).map { FrontendChange.replace(old: $0, new: $1) }
            #expect(try await restarted.apply(changes).isEmpty)
            current = next
            let now = try answers(family, transport)
            #expect(now.count == 1)
            #expect((now == first) == step.isAtHome)
        }
        // Also when it went while the daemon was away.
        let second = try answers(family, transport)
        let refuge = try #require(second.first.flatMap { Int($0.dropFirst(3)) })
        let rest = all.filter { $0 != refuge }
        let last = [frontend(.clusterIP, family, transport, rest), frontend(.nodePort, family, transport, rest)]
        let start = try await mode.takeOver(from: restarted, on: node).start(with: last)
        #expect(start.findings[family] == .adopted)
        let third = try answers(family, transport)
        #expect(third.count == 1)
        #expect(third != second)
    }

    @Test(arguments: TestBackend.allCases)
    func clientsAndServicePortsAreApart(mode: TestBackend) async throws {
        // Four service ports of one client: that all of them are at one of three pods happens once in 27 times.
        var homes: Set<[String]> = []
        let frontends = (0..<12).map { frontend(.clusterIP, .ipv4, .tcp, [1, 2, 3], port: 80 + $0) }
        _ = try await makeBackend(mode).start(with: frontends)
        for client in [node.outside, node.pods[0], node.pods[1]] {
            func round() throws -> [String] {
                try (0..<12).map { offset in
                    try dial(.tcp, from: client.namespace, to: serviceIP(.ipv4), port: 80 + UInt16(offset)).pod
                }
            }
            let first = try round()
            #expect(try round() == first)
            #expect(Set(first).count > 1)
            homes.insert(first)
        }
        #expect(homes.count == 3)
    }

    /// SA-2, SA-3: a connection starts the time again, and without one it runs out.
    @Test(arguments: IPFamily.allCases, TestBackend.allCases)
    func theMemoryRunsOut(family: IPFamily, mode: TestBackend) async throws {
        _ = try await makeBackend(mode).start(with: [frontend(.clusterIP, family, .udp, [1, 2, 3], timeout: 1)])
        func home() throws -> String {
            try dial(.udp, from: node.outside.namespace, to: serviceIP(family), port: 80).pod
        }
        let table = ServiceTable(family: family, options: NFTablesOptions())
        let first = try home()
        let start = ContinuousClock.now
        while ContinuousClock.now - start < .milliseconds(2500) { #expect(try home() == first) }
        var isElsewhere = false
        for _ in 0..<20 where !isElsewhere {
            let deadline = ContinuousClock.now + .seconds(5)
            // Others do not tell; they forget when the time is over.
            if mode != .nftables { usleep(1_100_000) }
            while try mode == .nftables
                && kernel.elements(of: "affinity-memory", in: table.table).contains(where: { $0.expiration != 0 })
            {
                try #require(ContinuousClock.now < deadline)
                usleep(20_000)
            }
            isElsewhere = try home() != first
        }
        #expect(isElsewhere)
    }

    /// SA-8
    @Test(arguments: TestBackend.allCases)
    func affinityIsSwitchedOffAndOn(mode: TestBackend) async throws {
        let backend = try makeBackend(mode)
        var current = frontend(.clusterIP, .ipv4, .tcp, [1, 2, 3])
        func homes() throws -> Int {
            try Set(
                (0..<30).map { _ in
                    try dial(.tcp, from: node.outside.namespace, to: serviceIP(.ipv4), port: 80).pod
                }
            ).count
        }
        _ = try await backend.start(with: [current])
        for (timeout, expected) in [(10_800, 1), (nil, 3), (60, 1), (120, 1)] as [(UInt32?, Int)] {
            let next = frontend(.clusterIP, .ipv4, .tcp, [1, 2, 3], timeout: timeout)
            #expect(try await backend.apply([.replace(old: current, new: next)]).isEmpty)
            current = next
            #expect(try homes() == expected)
        }
        if mode == .nftables {
            let memory = try kernel.elements(of: "affinity-memory", in: Table(family: .ip, name: "swiftlet"))
            #expect(memory.contains { ($0.expiration ?? 0) > 60_000 && ($0.expiration ?? 0) <= 120_000 })
        }
        #expect(try await mode.takeOver(from: backend, on: node).start(with: [current]).findings[.ipv4] == .adopted)
        #expect(try homes() == 1)
    }

    /// SA-5: what a client has at one list does not send it to an endpoint that another list does not have.
    @Test(arguments: IPFamily.allCases, TestBackend.allCases)
    func eachListHasItsOwnMemory(family: IPFamily, mode: TestBackend) async throws {
        _ = try await makeBackend(mode).start(with: [
            frontend(.clusterIP, family, .tcp, [2, 3]),
            frontend(.nodePort, family, .tcp, [1], isLocalOnly: true, near: [2, 3]),
        ])
        for _ in 0..<5 {
            #expect(try answers(family, .tcp, from: node.outside, times: 2).contains("pod1"))
        }
        // Near clients use the list of the cluster IP also at the node port.
        let near = try answers(family, .tcp, from: node.pods[0])
        #expect(near.count == 1)
        #expect(!near.contains("pod1"))
    }
}
