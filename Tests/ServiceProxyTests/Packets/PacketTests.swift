import Foundation
import Glibc
import Logging
import NFTables
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// Real packets through a real table, from every place to every kind of frontend.
@Suite(.enabled(if: isRoot), .serialized)
struct PacketTests {
    static let serviceIPs: [IPFamily: IPAddress] = [.ipv4: address("10.96.0.10"), .ipv6: address("fd96::10")]
    static let outerPort: UInt16 = 30080

    let node: TestNode
    /// The one of nftables mode.
    let backend: NFTablesBackend

    init() throws {
        node = try TestNode()
        backend = try Self.makeBackend(on: node)
    }

    /// A family and a transport protocol.
    struct Wire: Sendable, CustomTestStringConvertible {
        let family: IPFamily
        let transport: TransportProtocol

        static let all = IPFamily.allCases.flatMap { family in
            [TransportProtocol.tcp, .udp].map { Wire(family: family, transport: $0) }
        }

        var testDescription: String { "\(family) \(transport)" }
    }

    static func makeBackend(
        on node: TestNode,
        _ options: NFTablesOptions = NFTablesOptions(localSources: TestNode.podNetworks)
    ) throws -> NFTablesBackend {
        NFTablesBackend(
            kernel: try NetfilterSocket(in: node.node),
            options: options,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    func clusterIP(
        _ family: IPFamily,
        _ transport: TransportProtocol,
        _ pods: [Int],
        port: UInt16 = 80,
        _ masquerade: Route.Masquerade = .unlessLocal,
        whenEmpty: Route.Refusal = .reject,
        allowedSources: [CIDR]? = nil
    ) -> Frontend {
        Frontend(
            key: .address(Self.serviceIPs[family]!, transport, port),
            kind: .clusterIP,
            servicePort: ServicePortName(namespace: "default", name: "web", port: "http", transport: transport),
            route: Route(backends: node.backends(pods, family), masquerade: masquerade, whenEmpty: whenEmpty),
            allowedSources: allowedSources
        )
    }

    func nodePort(
        _ family: IPFamily,
        _ transport: TransportProtocol,
        _ pods: [Int],
        _ masquerade: Route.Masquerade = .always,
        near: Route? = nil,
        whenEmpty: Route.Refusal = .reject
    ) -> Frontend {
        Frontend(
            key: .nodePort(family, transport, Self.outerPort),
            kind: .nodePort,
            servicePort: ServicePortName(namespace: "default", name: "web", port: "http", transport: transport),
            route: Route(backends: node.backends(pods, family), masquerade: masquerade, whenEmpty: whenEmpty),
            nearRoute: near
        )
    }

    @Test(arguments: Wire.all, TestBackend.allCases)
    func aClusterIPReachesAllItsPods(wire: Wire, mode: TestBackend) async throws {
        let (family, transport) = (wire.family, wire.transport)
        let backend = try mode.make(on: node)
        _ = try await backend.start(with: [clusterIP(family, transport, [1, 2, 3])])
        let client = node.pods[0]
        var counts: [String: Int] = [:]
        for _ in 0..<120 {
            let answer = try dial(transport, from: client.namespace, to: Self.serviceIPs[family]!, port: 80)
            counts[answer.pod, default: 0] += 1
            // A pod keeps its address (MQ-6), unless it reached itself (MQ-5).
            if mode.cannot(.clientAddress) {
                #expect(answer.source == node.address(toward: answer.pod, family))
            } else if answer.pod == client.name {
                #expect(answer.source != client.addresses[family])
            } else {
                #expect(answer.source == client.addresses[family])
            }
        }
        // Each is hit 40 times on average; fewer than 15 happens once in a million runs.
        #expect(counts.count == 3)
        #expect(counts.values.allSatisfy { $0 >= 15 }, "\(counts)")
    }

    @Test(arguments: IPFamily.allCases, TestBackend.allCases)
    func strangersAndTheNodeAreMasqueraded(family: IPFamily, mode: TestBackend) async throws {
        let backend = try mode.make(on: node)
        _ = try await backend.start(with: [clusterIP(family, .tcp, [2])])
        let target = Self.serviceIPs[family]!
        let fromOutside = try dial(.tcp, from: node.outside.namespace, to: target, port: 80)
        #expect(fromOutside.pod == "pod2")
        // The node's address towards the pod, not the stranger's.
        #expect(fromOutside.source == (family == .ipv4 ? address("10.9.2.1") : address("fd09:2::1")))
        #expect(try dial(.tcp, from: node.node, to: target, port: 80).pod == "pod2")
    }

    @Test(arguments: Wire.all, TestBackend.allCases)
    func aNodePortIsServedOnTheNodesAddresses(wire: Wire, mode: TestBackend) async throws {
        let (family, transport) = (wire.family, wire.transport)
        let backend = try mode.make(on: node)
        _ = try await backend.start(with: [nodePort(family, transport, [1, 2])])
        let target = TestNode.nodeAddresses[family]!
        for source in [node.outside.namespace, node.node, node.pods[0].namespace] {
            let answer = try dial(transport, from: source, to: target, port: Self.outerPort)
            #expect(["pod1", "pod2"].contains(answer.pod))
            #expect(answer.source != node.outside.addresses[family])
        }
        // Never on loopback (section 1.7).
        let loopback = family == .ipv4 ? address("127.0.0.1") : address("::1")
        guard !mode.cannot(.loopbackNodePorts) else {
            let pod = try dial(transport, from: node.node, to: loopback, port: Self.outerPort).pod
            #expect(["pod1", "pod2"].contains(pod))
            return
        }
        #expect(throws: TestSocket.Failure.self) {
            try dial(transport, from: node.node, to: loopback, port: Self.outerPort, timeout: 300)
        }
    }

    @Test(arguments: TestBackend.allCases)
    func nodePortsAreServedOnlyWhereAsked(mode: TestBackend) async throws {
        let backend = try mode.make(
            on: node,
            Surroundings(
                nodePorts: [.ipv4: .only([address("192.0.2.1"), address("127.0.0.1")])],
                localSources: .within(TestNode.podNetworks)
            )
        )
        _ = try await backend.start(with: [nodePort(.ipv4, .tcp, [1])])
        #expect(
            try dial(.tcp, from: node.outside.namespace, to: address("192.0.2.1"), port: Self.outerPort).pod == "pod1"
        )
        func error(at elsewhere: String) -> Int32 {
            errorNumber { try dial(.tcp, from: node.node, to: address(elsewhere), port: Self.outerPort) }
        }
        #expect(error(at: "10.9.1.1") == ECONNREFUSED)
        #expect(error(at: "127.0.0.1") == (mode.cannot(.loopbackNodePorts) ? 0 : ECONNREFUSED))
    }

    @Test(arguments: IPFamily.allCases, TestBackend.allCases)
    func withoutEndpointsAClientIsRefusedAtOnce(family: IPFamily, mode: TestBackend) async throws {
        let backend = try mode.make(on: node)
        _ = try await backend.start(with: [
            clusterIP(family, .tcp, []), clusterIP(family, .udp, []), nodePort(family, .tcp, []),
        ])
        let target = Self.serviceIPs[family]!
        let start = ContinuousClock.now
        for source in [node.pods[0].namespace, node.outside.namespace, node.node] {
            #expect(errorNumber { try dial(.tcp, from: source, to: target, port: 80) } == ECONNREFUSED)
            // A sender on the node itself hears of it from send().
            let error = errorNumber { try dial(.udp, from: source, to: target, port: 80) }
            #expect([ECONNREFUSED, EPERM].contains(error))
            // A port that no service has (FE-4). In userspace mode a Service without endpoints has a bare address.
            guard !mode.cannot(.otherPorts) || mode.cannot(.refusalByRule) else { continue }
            #expect(errorNumber { try dial(.tcp, from: source, to: target, port: 81) } == ECONNREFUSED)
        }
        #expect(
            errorNumber {
                try dial(.tcp, from: node.outside.namespace, to: TestNode.nodeAddresses[family]!, port: Self.outerPort)
            } == ECONNREFUSED
        )
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test(arguments: TestBackend.allCases)
    func withoutLocalEndpointsAClientWaits(mode: TestBackend) async throws {
        let backend = try mode.make(on: node)
        _ = try await backend.start(with: [clusterIP(.ipv4, .tcp, [], whenEmpty: .drop)])
        let error = errorNumber {
            try dial(.tcp, from: node.outside.namespace, to: Self.serviceIPs[.ipv4]!, port: 80, timeout: 300)
        }
        // connect() with a time limit says "in progress".
        #expect(error == EINPROGRESS)
    }

    /// FE-6: pods and the node go to all endpoints, others only to local ones and with their own address.
    @Test(arguments: IPFamily.allCases, TestBackend.allCases)
    func nearAndFarGoTheirOwnWays(family: IPFamily, mode: TestBackend) async throws {
        let backend = try mode.make(on: node)
        let near = Route(backends: node.backends([2], family), masquerade: .unlessLocal, whenEmpty: .reject)
        let frontend = nodePort(family, .tcp, [1], .never, near: near, whenEmpty: .drop)
        _ = try await backend.start(with: [frontend])
        let target = TestNode.nodeAddresses[family]!
        let far = try dial(.tcp, from: node.outside.namespace, to: target, port: Self.outerPort)
        func source(of client: TestNode.Machine, at pod: String) -> IPAddress? {
            mode.cannot(.clientAddress) ? node.address(toward: pod, family) : client.addresses[family]
        }
        #expect(far.pod == "pod1" && far.source == source(of: node.outside, at: "pod1"))
        let pod = try dial(.tcp, from: node.pods[2].namespace, to: target, port: Self.outerPort)
        #expect(pod.pod == "pod2" && pod.source == source(of: node.pods[2], at: "pod2"))
        #expect(try dial(.tcp, from: node.node, to: target, port: Self.outerPort).pod == "pod2")

        // Without a local endpoint the far wait, the near still get there (FE-2).
        let none = nodePort(family, .tcp, [], .never, near: near, whenEmpty: .drop)
        #expect(try await backend.apply([.replace(old: frontend, new: none)]).isEmpty)
        #expect(try dial(.tcp, from: node.pods[2].namespace, to: target, port: Self.outerPort).pod == "pod2")
        let error = errorNumber {
            try dial(.tcp, from: node.outside.namespace, to: target, port: Self.outerPort, timeout: 300)
        }
        #expect(mode.cannot(.silentFarClients) ? isReset(error) : error == EINPROGRESS)
    }

    @Test(arguments: IPFamily.allCases, TestBackend.allCases)
    func onlyAllowedSourcesGetThrough(family: IPFamily, mode: TestBackend) async throws {
        let backend = try mode.make(on: node)
        let outside = node.outside.addresses[family]!.hostPrefix
        let wide = CIDR(family == .ipv4 ? "192.0.2.0/24" : "fd02::/64")!
        let pods = TestNode.podNetworks.first { $0.family == family }!
        let target = Self.serviceIPs[family]!
        let first = clusterIP(family, .tcp, [1], allowedSources: [outside, wide])
        _ = try await backend.start(with: [first])
        #expect(try dial(.tcp, from: node.outside.namespace, to: target, port: 80).pod == "pod1")
        func isKeptOut(_ client: TestNode.Machine) -> Bool {
            let error = errorNumber { try dial(.tcp, from: client.namespace, to: target, port: 80, timeout: 300) }
            return mode.cannot(.silentSourceRanges) ? isReset(error) : error == EINPROGRESS
        }
        #expect(isKeptOut(node.pods[1]))
        let second = clusterIP(family, .tcp, [1], allowedSources: [pods])
        #expect(try await backend.apply([.replace(old: first, new: second)]).isEmpty)
        #expect(try dial(.tcp, from: node.pods[1].namespace, to: target, port: 80).pod == "pod1")
        #expect(isKeptOut(node.outside))
        let open = clusterIP(family, .tcp, [1])
        #expect(try await backend.apply([.replace(old: second, new: open)]).isEmpty)
        #expect(try dial(.tcp, from: node.outside.namespace, to: target, port: 80).pod == "pod1")
    }

    @Test(arguments: TestBackend.allCases)
    func theMarkOfOthersIsLeftAlone(mode: TestBackend) async throws {
        let backend = try mode.make(on: node, masqueradeBit: 20)
        _ = try await backend.start(with: [nodePort(.ipv4, .tcp, [1])])
        try node.node.nft("add", "table", "ip", "probe")
        try node.node.nft("add chain ip probe pre { type filter hook prerouting priority -200; }")
        try node.node.nft("add rule ip probe pre ip saddr 192.0.2.2 meta mark set 0x5")
        try node.node.nft("add chain ip probe post { type filter hook postrouting priority 300; }")
        try node.node.nft("add rule ip probe post meta mark 0x5 counter")
        _ = try dial(.tcp, from: node.outside.namespace, to: address("192.0.2.1"), port: Self.outerPort)
        let listing = try node.node.nft("list", "table", "ip", "probe")
        #expect(listing.contains("packets 0 ") == mode.cannot(.packetMark), "\(listing)")
    }

    /// Endpoints come and go while a client dials as fast as it can: not one connection is refused or lost.
    @Test(arguments: TestBackend.allCases)
    func churnUnderLoadRefusesNobody(mode: TestBackend) async throws {
        let backend = try mode.make(on: node)
        // Each change by iptables starts a program.
        let wanted = mode.flavour == nil ? (dials: 3000, changes: 1000) : (dials: 2000, changes: 100)
        let all = [[1, 2, 3], [2, 3], [1, 3], [1, 2], [3], [1, 2, 3], [1]]
        var current = clusterIP(.ipv4, .tcp, [1, 2, 3])
        _ = try await backend.start(with: [current])
        let load = LoadGenerator(from: node.outside.namespace, to: Self.serviceIPs[.ipv4]!, port: 80)
        let end = ContinuousClock.now + .seconds(60)
        var changes = 0
        while load.dialled < wanted.dials || changes < wanted.changes, ContinuousClock.now < end {
            let next = clusterIP(.ipv4, .tcp, all[changes % all.count])
            #expect(try await backend.apply([.replace(old: current, new: next)]).isEmpty)
            current = next
            changes += 1
        }
        let outcome = load.stop()
        #expect(outcome.failures.isEmpty)
        #expect(outcome.dialled >= wanted.dials)
        #expect(changes >= wanted.changes)
    }
}

/// The error number that a dial ended with, or 0 when it was answered.
func errorNumber(_ body: () throws -> Answer) -> Int32 {
    do {
        _ = try body()
        return 0
    } catch {
        return (error as? TestSocket.Failure)?.code ?? -1
    }
}

/// Whether a connection that was there ended without a word.
func isReset(_ error: Int32) -> Bool { [ECONNRESET, EPIPE].contains(error) }
