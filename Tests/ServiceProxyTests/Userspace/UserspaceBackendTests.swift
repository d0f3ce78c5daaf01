import Foundation
import Glibc
import LoadBalancer
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// Real packets from every place to every kind of frontend, served by sockets alone.
@Suite(.enabled(if: isRoot))
struct UserspaceBackendTests {
    static let serviceIPs: [IPFamily: IPAddress] = [.ipv4: address("10.96.0.10"), .ipv6: address("fd96::10")]
    static let outerPort: UInt16 = 30080

    let node: TestNode
    let backend: UserspaceBackend

    init() throws {
        node = try TestNode()
        backend = Self.makeBackend(on: node)
        try node.waitForRoutes()
    }

    static func options(on node: TestNode) -> UserspaceOptions {
        var options = UserspaceOptions(surroundings: Surroundings(localSources: .within(TestNode.podNetworks)))
        options.namespace = node.node
        options.loadBalancer.loopCount = 2
        options.reach = .addresses
        return options
    }

    static func makeBackend(
        on node: TestNode,
        _ adjust: (inout UserspaceOptions) -> Void = { _ in }
    ) -> UserspaceBackend {
        var options = options(on: node)
        adjust(&options)
        return UserspaceBackend(options: options)
    }

    func frontend(
        _ key: Frontend.Key,
        _ pods: [Int],
        kind: Frontend.Kind = .clusterIP,
        service: String = "web",
        near: [Int]? = nil,
        whenEmpty: ServiceProxy.Route.Refusal = .reject,
        allowedSources: [CIDR]? = nil,
        affinity: UInt32? = nil,
        balancing: BalancingWish = BalancingWish()
    ) -> Frontend {
        func route(_ pods: [Int]) -> ServiceProxy.Route {
            ServiceProxy.Route(backends: node.backends(pods, key.family), masquerade: .always, whenEmpty: whenEmpty)
        }
        return Frontend(
            key: key,
            kind: kind,
            servicePort: ServicePortName(namespace: "default", name: service, port: "http", transport: key.transport),
            route: route(pods),
            nearRoute: near.map(route),
            allowedSources: allowedSources,
            affinityTimeout: affinity,
            balancing: balancing
        )
    }

    func clusterIP(
        _ family: IPFamily = .ipv4,
        _ transport: TransportProtocol = .tcp,
        _ pods: [Int],
        whenEmpty: ServiceProxy.Route.Refusal = .reject,
        balancing: BalancingWish = BalancingWish(algorithm: .roundRobin)
    ) -> Frontend {
        frontend(
            .address(Self.serviceIPs[family]!, transport, 80),
            pods,
            whenEmpty: whenEmpty,
            balancing: balancing
        )
    }

    /// From a pod, the node and outside; the outside's route leads through the node.
    private var places: [NetworkNamespace] { [node.pods[0].namespace, node.node, node.outside.namespace] }

    private func addresses() throws -> Set<IPAddress> {
        Set(try NetlinkSocket(in: node.node).list(.addresses(on: 1)).map(\.address))
    }

    @Test(arguments: IPFamily.allCases, [TransportProtocol.tcp, .udp])
    func aClusterIPReachesAllItsPodsFromEverywhere(family: IPFamily, transport: TransportProtocol) async throws {
        #expect(try await backend.start(with: [clusterIP(family, transport, [1, 2, 3])]).refused.isEmpty)
        for place in places {
            var pods: Set<String> = []
            for _ in 0..<6 {
                pods.insert(try dial(transport, from: place, to: Self.serviceIPs[family]!, port: 80).pod)
            }
            #expect(pods == ["pod1", "pod2", "pod3"])
        }
        let counters = await backend.counters["default/web:http/\("\(transport)".lowercased())"]
        // A UDP client whose port another had before goes on with that one's flow.
        #expect((transport == .tcp ? 18...18 : 15...18).contains(counters?.connections ?? 0))
        try await backend.cleanup()
    }

    @Test(arguments: IPFamily.allCases, [TransportProtocol.tcp, .udp])
    func aNodePortIsServedOnTheNodesAddresses(family: IPFamily, transport: TransportProtocol) async throws {
        let key = Frontend.Key.nodePort(family, transport, Self.outerPort)
        _ = try await backend.start(with: [frontend(key, [2], kind: .nodePort)])
        for place in places {
            let answer = try dial(transport, from: place, to: TestNode.nodeAddresses[family]!, port: Self.outerPort)
            #expect(answer.pod == "pod2")
        }
        // A node that is told to serve on other addresses does so.
        #expect(try await backend.adapt(to: Surroundings(nodePorts: [family: .only([])])))
        #expect(throws: (any Error).self) {
            try dial(
                transport,
                from: node.node,
                to: TestNode.nodeAddresses[family]!,
                port: Self.outerPort,
                timeout: 500
            )
        }
        let nodeAddress = TestNode.nodeAddresses[family]!
        #expect(try await backend.adapt(to: Surroundings(nodePorts: [family: .only([nodeAddress])])))
        #expect(try dial(transport, from: places[2], to: nodeAddress, port: Self.outerPort).pod == "pod2")
        try await backend.cleanup()
    }

    // FE-1, FE-2
    @Test(arguments: [TransportProtocol.tcp, .udp])
    func withoutEndpointsClientsAreRefusedOrHearNothing(transport: TransportProtocol) async throws {
        _ = try await backend.start(with: [clusterIP(.ipv4, transport, [])])
        for place in places {
            #expect {
                try dial(transport, from: place, to: Self.serviceIPs[.ipv4]!, port: 80)
            } throws: { ($0 as? TestSocket.Failure)?.code == ECONNREFUSED }
        }
        let old = clusterIP(.ipv4, transport, [])
        let dropping = clusterIP(.ipv4, transport, [], whenEmpty: .drop)
        #expect(try await backend.apply([.replace(old: old, new: dropping)]).isEmpty)
        #expect {
            try dial(transport, from: places[2], to: Self.serviceIPs[.ipv4]!, port: 80, timeout: 800)
        } throws: { [EAGAIN, EINPROGRESS].contains(($0 as? TestSocket.Failure)?.code) }
        #expect(try await backend.apply([.replace(old: dropping, new: clusterIP(.ipv4, transport, [3]))]).isEmpty)
        #expect(try dial(transport, from: places[2], to: Self.serviceIPs[.ipv4]!, port: 80).pod == "pod3")
        try await backend.cleanup()
    }

    // FW-1, FE-6
    @Test
    func loadBalancerIPsKeepToTheirSourcesAndPolicies() async throws {
        let ip = address("203.0.113.7")
        let restricted = frontend(
            .address(ip, .tcp, 80),
            [1],
            kind: .loadBalancerIP,
            allowedSources: [CIDR("192.0.2.0/24")!]
        )
        let local = frontend(.address(ip, .tcp, 81), [1], kind: .loadBalancerIP, near: [2])
        _ = try await backend.start(with: [restricted, local])
        #expect(try dial(.tcp, from: node.outside.namespace, to: ip, port: 80).pod == "pod1")
        #expect(throws: (any Error).self) { try dial(.tcp, from: node.pods[0].namespace, to: ip, port: 80) }
        #expect(try dial(.tcp, from: node.outside.namespace, to: ip, port: 81).pod == "pod1")
        #expect(try dial(.tcp, from: node.pods[0].namespace, to: ip, port: 81).pod == "pod2")
        #expect(try dial(.tcp, from: node.node, to: ip, port: 81).pod == "pod2")
        try await backend.cleanup()
    }

    @Test
    func changesAddMoveAndRemove() async throws {
        _ = try await backend.start(with: [])
        let other = frontend(.address(Self.serviceIPs[.ipv4]!, .tcp, 443), [2])
        let (one, two) = (clusterIP(.ipv4, .tcp, [1]), clusterIP(.ipv4, .tcp, [3]))
        #expect(try await backend.apply([.add(one), .add(other)]).isEmpty)
        #expect(try dial(.tcp, from: places[2], to: Self.serviceIPs[.ipv4]!, port: 80).pod == "pod1")
        #expect(try await backend.apply([.replace(old: one, new: two)]).isEmpty)
        #expect(try dial(.tcp, from: places[2], to: Self.serviceIPs[.ipv4]!, port: 80).pod == "pod3")
        // The address stays as long as one port needs it.
        #expect(try await backend.apply([.remove(two)]).isEmpty)
        #expect {
            try dial(.tcp, from: places[2], to: Self.serviceIPs[.ipv4]!, port: 80)
        } throws: { ($0 as? TestSocket.Failure)?.code == ECONNREFUSED }
        #expect(try dial(.tcp, from: places[2], to: Self.serviceIPs[.ipv4]!, port: 443).pod == "pod2")
        let metrics = Dictionary(uniqueKeysWithValues: await backend.metrics().map { ($0.name, $0) })
        #expect(metrics["swiftlet_proxy_userspace_connections_total"]?.samples.map(\.value) == [3])
        #expect(metrics["swiftlet_proxy_userspace_received_bytes_total"]?.samples.map(\.value) == [3])
        #expect(try await backend.apply([.remove(other)]).isEmpty)
        #expect(try !addresses().contains(Self.serviceIPs[.ipv4]!))
        try await backend.cleanup()
    }

    @Test
    func aNewProcessTakesOverWhatAnEarlierOneLeftAndNothingElse() async throws {
        let foreign = InterfaceAddress(CIDR("198.51.100.1/32")!, on: 1)
        try NetlinkSocket(in: node.node).send(.addAddress(foreign))
        let gone = frontend(.address(address("10.96.0.99"), .tcp, 80), [1], service: "gone")
        #expect(try await backend.start(with: [clusterIP(.ipv4, .tcp, [1]), gone]).findings == [.ipv4: .created])
        await backend.stop()
        #expect(try addresses().isSuperset(of: [Self.serviceIPs[.ipv4]!, address("10.96.0.99"), foreign.address]))

        let next = Self.makeBackend(on: node)
        let start = try await next.start(with: [clusterIP(.ipv4, .tcp, [2])])
        #expect(start.findings == [.ipv4: .adopted])
        #expect(try addresses().isSuperset(of: [Self.serviceIPs[.ipv4]!, foreign.address]))
        #expect(try !addresses().contains(address("10.96.0.99")))
        #expect(try dial(.tcp, from: node.node, to: Self.serviceIPs[.ipv4]!, port: 80).pod == "pod2")

        // A process that never started can clean up as well.
        try await next.cleanup()
        try await Self.makeBackend(on: node).cleanup()
        #expect(try addresses() == [address("127.0.0.1"), address("::1"), foreign.address])
        #expect(throws: (any Error).self) {
            try dial(.tcp, from: node.node, to: Self.serviceIPs[.ipv4]!, port: 80, timeout: 500)
        }
    }

    @Test
    func anAddressThatSomebodyRemovesIsNoticedAndPutBack() async throws {
        let frontends = [clusterIP(.ipv4, .tcp, [1])]
        _ = try await backend.start(with: frontends)
        let prefix = Self.serviceIPs[.ipv4]!.hostPrefix
        try NetlinkSocket(in: node.node).send(.deleteAddress(InterfaceAddress(prefix, on: 1)))
        var drifts = backend.drifts.makeAsyncIterator()
        let drift = await drifts.next()
        #expect(drift?.what.contains("10.96.0.10") == true)
        #expect(try await backend.start(with: frontends).changes == 1)
        #expect(try dial(.tcp, from: places[2], to: Self.serviceIPs[.ipv4]!, port: 80).pod == "pod1")
        try await backend.cleanup()
    }

    /// An address of a Service that the node is given by others as well is theirs from then on.
    @Test
    func anAddressThatBecomesTheNodesStays() async throws {
        let socket = try NetlinkSocket(in: node.node)
        let ip = Self.serviceIPs[.ipv4]!
        let frontends = [clusterIP(.ipv4, .tcp, [1])]
        _ = try await backend.start(with: frontends)
        try socket.send(.deleteAddress(InterfaceAddress(ip.hostPrefix, on: 1)))
        try socket.send(.addAddress(InterfaceAddress(ip.hostPrefix, on: 1)))
        var drifts = backend.drifts.makeAsyncIterator()
        #expect(await drifts.next() != nil)
        _ = try await backend.start(with: frontends)
        #expect(try dial(.tcp, from: places[2], to: ip, port: 80).pod == "pod1")
        #expect(try await backend.apply(frontends.map { .remove($0) }).isEmpty)
        try await backend.cleanup()
        #expect(try addresses().contains(ip))
    }

    @Test
    func aThousandServicesComeAndGo() async throws {
        let ips = (0..<1000).map { IPAddress.v4(IPv4Address(bits: 0x0a61_0000 + $0)) }
        let frontends = ips.enumerated().map { index, ip in
            frontend(.address(ip, .tcp, 80), [1 + index % 3], service: "web-\(index)")
        }
        #expect(try await backend.start(with: frontends).refused.isEmpty)
        for index in stride(from: 0, to: 1000, by: 97) {
            #expect(try dial(.tcp, from: places[2], to: ips[index], port: 80).pod == "pod\(1 + index % 3)")
        }
        // A start that finds everything as it should be does nothing.
        #expect(try await backend.start(with: frontends).changes == 0)
        #expect(try await backend.apply(frontends.map { .remove($0) }).isEmpty)
        #expect(try addresses() == [address("127.0.0.1"), address("::1")])
        try await backend.cleanup()
    }

    @Test
    func aPortThatIsTakenIsRefusedUntilItIsFree() async throws {
        var owner: TestSocket? = try TestSocket(.tcp, in: node.node, bound: .v4(.unspecified), port: 80)
        let start = try await backend.start(with: [clusterIP(.ipv4, .tcp, [1])])
        #expect(start.refused.count == 1 && start.refused[0].reason.contains("tcp 10.96.0.10:80 cannot be listened on"))
        #expect(try !addresses().contains(Self.serviceIPs[.ipv4]!))
        owner = nil
        #expect(try await backend.apply([.add(clusterIP(.ipv4, .tcp, [1]))]).isEmpty)
        #expect(try dial(.tcp, from: places[2], to: Self.serviceIPs[.ipv4]!, port: 80).pod == "pod1")
        withExtendedLifetime(owner) {}
        try await backend.cleanup()
    }

    @Test
    func withoutAddressesThePortMapIsListenedOn() async throws {
        let backend = Self.makeBackend(on: node) {
            $0.reach = .listening
            $0.portMap = UserspaceOptions.PortMap(
                addresses: [.v4(.unspecified), .v6(.unspecified)],
                ports: ["default/web:http": 8000, "default/late:http": 8000]
            )
        }
        let unmapped = frontend(.address(address("10.96.0.11"), .tcp, 80), [1], service: "other")
        let late = frontend(.address(address("10.96.0.12"), .tcp, 80), [1], service: "late")
        let frontends = [clusterIP(.ipv4, .tcp, [1]), clusterIP(.ipv6, .tcp, [2]), unmapped, late]
        let start = try await backend.start(with: frontends)
        #expect(start.refused.map(\.frontend) == [unmapped, late])
        #expect(start.refused.map { $0.reason.contains("is used by another frontend") } == [false, true])
        #expect(try dial(.tcp, from: node.outside.namespace, to: address("192.0.2.1"), port: 8000).pod == "pod1")
        #expect(try dial(.tcp, from: node.outside.namespace, to: address("fd02::1"), port: 8000).pod == "pod2")
        // With another port the Service is another frontend, which needs the same socket.
        let moved = frontend(.address(Self.serviceIPs[.ipv4]!, .tcp, 81), [3])
        #expect(try await backend.apply([.add(moved), .remove(clusterIP(.ipv4, .tcp, [1]))]).isEmpty)
        #expect(try dial(.tcp, from: node.outside.namespace, to: address("192.0.2.1"), port: 8000).pod == "pod3")
        #expect(try addresses() == [address("127.0.0.1"), address("::1")])
        await backend.stop()
    }
}
