import Glibc
import Logging
import NFTables
import NetworkTypes
import ProxyAPI
import TestSupport
import Testing

@testable import ServiceProxy

/// What a trace says, beside what the kernel does: MQ-7 is in ``MasqueradeTableTests``, everything else here.
@Suite(.enabled(if: isRoot), .serialized)
struct TraceTests {
    private let packets: PacketTests
    private let tracing: Tracing
    private var node: TestNode { packets.node }

    init() throws {
        packets = try PacketTests()
        tracing = Tracing(node: packets.node)
    }

    /// Traces, checks that every rule and element is one that `nft list` prints, and compares the end with a real
    /// connection.
    @discardableResult
    private func compare(
        _ frontends: [Frontend],
        _ transport: TransportProtocol = .tcp,
        from client: TestNode.Machine? = nil,
        to destination: IPAddress,
        _ port: UInt16,
        with tracing: Tracing? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> PacketTrace {
        let family = destination.family
        let source = client?.addresses[family] ?? TestNode.nodeAddresses[family]!
        let trace = try (tracing ?? self.tracing).trace(
            frontends,
            from: source,
            to: destination,
            port,
            over: transport
        )
        let listing = try node.node.nft("list", "table", family == .ipv4 ? "ip" : "ip6", "swiftlet")
        for step in trace.steps + trace.ways.flatMap(\.steps) {
            #expect(listing.contains("\t" + step.rule), "\(step.rule)", sourceLocation: sourceLocation)
            if let element = step.element, !step.result.contains("one of") {
                #expect(listing.contains(element), "\(element)", sourceLocation: sourceLocation)
            }
            #expect(!step.why.isEmpty, "\(step)", sourceLocation: sourceLocation)
        }
        var answer: Answer?
        let error = errorNumber {
            let found = try dial(
                transport,
                from: client?.namespace ?? node.node,
                to: destination,
                port: port,
                bound: source,
                timeout: trace.verdict == .dropped ? 300 : 5000
            )
            answer = found
            return found
        }
        switch trace.verdict {
        case .translated:
            let pod = try #require(answer, "\(trace) \(error)", sourceLocation: sourceLocation)
            let address = try #require(node.pods.first { $0.name == pod.pod }?.addresses[family])
            let choice = trace.choices.first { $0.backend.address == address }
            #expect(choice?.seenSource == pod.source, "\(trace)", sourceLocation: sourceLocation)
        case .rejected: #expect([ECONNREFUSED, EPERM].contains(error), "\(trace)", sourceLocation: sourceLocation)
        case .dropped:
            // A packet of the node's own that is dropped is refused to its sender.
            #expect([EINPROGRESS, EAGAIN, EPERM].contains(error), "\(trace)", sourceLocation: sourceLocation)
        case .untouched: #expect(error != 0, "\(trace)", sourceLocation: sourceLocation)
        }
        return trace
    }

    private func clients() -> [TestNode.Machine?] { [node.pods[2], nil, node.outside] }

    @Test(arguments: IPFamily.allCases)
    func withoutEndpoints(family: IPFamily) async throws {
        let frontends = [
            packets.clusterIP(family, .tcp, []), packets.clusterIP(family, .udp, [], whenEmpty: .drop),
            packets.nodePort(family, .tcp, []),
        ]
        _ = try await packets.backend.start(with: frontends)
        let (cluster, own) = (PacketTests.serviceIPs[family]!, TestNode.nodeAddresses[family]!)
        for client in clients() {
            let none = try compare(frontends, from: client, to: cluster, 80)
            #expect(none.verdict == .rejected)
            #expect(none.why == "default/web:http has no endpoint that is ready, on any node")
            #expect(none.service == "default/web:http")
            let elsewhere = try compare(frontends, .udp, from: client, to: cluster, 80)
            #expect(elsewhere.verdict == .dropped)
            #expect(
                elsewhere.why == "internalTrafficPolicy of default/web:http is Local, and no endpoint is on this node"
            )
            // FE-4: a port that no Service has; the notes say which there are.
            let undefined = try compare(frontends, from: client, to: cluster, 81)
            #expect(undefined.verdict == .rejected)
            #expect(undefined.service == nil)
            #expect(
                undefined.why
                    == "\(cluster) is a cluster IP of default/web, and no Service has TCP port 81 there"
            )
            #expect(
                Set(undefined.notes) == ["TCP", "UDP"].map { "\(cluster) has \($0) port 80: default/web:http" }.set
            )
            let nodePort = try compare(frontends, from: client, to: own, PacketTests.outerPort)
            #expect(nodePort.verdict == .rejected)
            #expect(nodePort.frontend == .nodePort)
        }
        // Nothing of ours.
        let other = try compare(frontends, from: node.outside, to: own, 4711)
        #expect(other.verdict == .untouched)
        #expect(other.why == "no Service has \(hostPort(own, 4711))/TCP; the proxy leaves the packet as it is")
    }

    /// FE-6: with an endpoint here, and without.
    @Test(arguments: IPFamily.allCases)
    func nearAndFar(family: IPFamily) async throws {
        let near = Route(backends: node.backends([2], family), masquerade: .unlessLocal, whenEmpty: .reject)
        var frontend = packets.nodePort(family, .tcp, [1], .never, near: near, whenEmpty: .drop)
        _ = try await packets.backend.start(with: [frontend])
        let target = TestNode.nodeAddresses[family]!
        for client in clients() {
            let trace = try compare([frontend], from: client, to: target, PacketTests.outerPort)
            let isOutside = client?.name == "outside"
            #expect(trace.choices.map(\.backend.address) == [node.pods[isOutside ? 0 : 1].addresses[family]!])
            #expect(trace.choices.map(\.isMasqueraded) == [client == nil])
        }
        let none = packets.nodePort(family, .tcp, [], .never, near: near, whenEmpty: .drop)
        #expect(try await packets.backend.apply([.replace(old: frontend, new: none)]).isEmpty)
        frontend = none
        #expect(try compare([none], from: node.pods[2], to: target, PacketTests.outerPort).verdict == .translated)
        let outside = try compare([none], from: node.outside, to: target, PacketTests.outerPort)
        #expect(outside.verdict == .dropped)
        #expect(outside.why == "externalTrafficPolicy of default/web:http is Local, and no endpoint is on this node")
    }

    @Test(arguments: IPFamily.allCases)
    func sourceRanges(family: IPFamily) async throws {
        let pods = TestNode.podNetworks.first { $0.family == family }!
        let frontend = packets.clusterIP(family, .tcp, [1], allowedSources: [pods])
        _ = try await packets.backend.start(with: [frontend])
        let target = PacketTests.serviceIPs[family]!
        let allowed = try compare([frontend], from: node.pods[2], to: target, 80)
        #expect(allowed.verdict == .translated)
        #expect(allowed.steps.contains { $0.element?.hasPrefix("\(pods) . \(target) . tcp . 80") == true })
        for client in [nil, node.outside] {
            let trace = try compare([frontend], from: client, to: target, 80)
            #expect(trace.verdict == .dropped)
            #expect(trace.why.hasSuffix("is in none of the loadBalancerSourceRanges of default/web:http"))
        }
    }

    /// MQ-5: one of the backends is the client, and only that way is masqueraded.
    @Test(arguments: IPFamily.allCases)
    func hairpin(family: IPFamily) async throws {
        let frontend = packets.clusterIP(family, .udp, [1, 2, 3])
        _ = try await packets.backend.start(with: [frontend])
        let target = PacketTests.serviceIPs[family]!
        var seen: Set<String> = []
        for _ in 0..<60 where seen.count < 3 {
            let trace = try compare([frontend], .udp, from: node.pods[0], to: target, 80)
            #expect(trace.ways.count == 2)
            for choice in trace.choices {
                #expect(choice.isMasqueraded == (choice.backend.address == node.pods[0].addresses[family]))
                #expect(abs(choice.probability - 1 / 3) < 1e-9)
            }
            seen.insert(try dial(.udp, from: node.pods[0].namespace, to: target, port: 80).pod)
        }
        #expect(seen.count == 3)
    }

    /// An address of a service CIDR that no Service has.
    @Test(arguments: IPFamily.allCases)
    func unallocatedClusterIPs(family: IPFamily) async throws {
        var tracing = tracing
        tracing.options.surroundings.serviceCIDRs = [CIDR("10.96.0.0/16")!, CIDR("fd96::/64")!]
        let backend = try PacketTests.makeBackend(on: node, tracing.options)
        let frontend = packets.clusterIP(family, .tcp, [1])
        _ = try await backend.start(with: [frontend])
        let free = address(family == .ipv4 ? "10.96.7.7" : "fd96::7:7")
        for client in clients() {
            let trace = try compare([frontend], from: client, to: free, 80, with: tracing)
            #expect(trace.verdict == .dropped)
            #expect(trace.why == "\(free) is in a range that cluster IPs are taken from, and no Service has it")
            #expect(
                try compare([frontend], from: client, to: PacketTests.serviceIPs[family]!, 81, with: tracing).verdict
                    == .rejected
            )
        }
    }

    /// Where the interface tells which sources are pods, FE-6 and MQ-2 go by it.
    @Test func interfacesOfPods() async throws {
        var tracing = tracing
        tracing.options.surroundings.localSources = .interfaces(prefix: "pod")
        let backend = try PacketTests.makeBackend(on: node, tracing.options)
        let near = Route(backends: node.backends([2], .ipv4), masquerade: .unlessLocal, whenEmpty: .reject)
        let frontend = packets.nodePort(.ipv4, .tcp, [1], .never, near: near, whenEmpty: .drop)
        _ = try await backend.start(with: [frontend])
        let listing = try node.node.nft("list", "table", "ip", "swiftlet")
        let source = node.pods[2].addresses[.ipv4]!
        let target = TestNode.nodeAddresses[.ipv4]!
        for (interface, pod, isMasqueraded) in [("pod3", 1, false), ("outside", 0, false)] {
            let trace = try tracing.trace(
                [frontend],
                from: source,
                by: interface,
                to: target,
                PacketTests.outerPort,
                over: .tcp
            )
            #expect(trace.choices.map(\.backend.address) == [node.pods[pod].addresses[.ipv4]!])
            #expect(trace.choices.map(\.isMasqueraded) == [isMasqueraded])
            #expect(trace.packet.origin == (interface == "pod3" ? .pod : .elsewhere))
            for step in trace.steps { #expect(listing.contains("\t" + step.rule), "\(step.rule)") }
        }
        let unsaid = try tracing.trace([frontend], from: source, to: target, PacketTests.outerPort, over: .tcp)
        #expect(
            unsaid.notes == ["pods are behind interfaces pod*: without --interface the packet counts as none of theirs"]
        )
    }

    /// FE-7: an exact address comes before a node port, both in the kernel and here.
    @Test func anExactAddressComesFirst() async throws {
        let target = TestNode.nodeAddresses[.ipv4]!
        let exact = Frontend(
            key: .address(target, .tcp, PacketTests.outerPort),
            kind: .externalIP,
            servicePort: ServicePortName(namespace: "default", name: "shop", port: "", transport: .tcp),
            route: Route(backends: node.backends([3], .ipv4), masquerade: .always, whenEmpty: .reject)
        )
        let frontends = [packets.nodePort(.ipv4, .tcp, [1]), exact]
        _ = try await packets.backend.start(with: frontends)
        let trace = try compare(frontends, from: node.outside, to: target, PacketTests.outerPort)
        #expect(trace.choices.map(\.backend.address) == [node.pods[2].addresses[.ipv4]!])
        #expect(trace.service == "default/shop")
        #expect(trace.notes == ["30080 is a node port too; the exact address comes first"])
    }

    /// What the kernel remembers of a client is what the trace says (SA-2).
    @Test(arguments: IPFamily.allCases)
    func affinity(family: IPFamily) async throws {
        let target = PacketTests.serviceIPs[family]!
        let plain = packets.clusterIP(family, .tcp, [1, 2, 3])
        let frontend = Frontend(
            key: plain.key,
            kind: plain.kind,
            servicePort: plain.servicePort,
            route: plain.route,
            affinityTimeout: 600
        )
        // Another scope first, so that the numbers in the kernel are not those of a table of one frontend.
        let other = Frontend(
            key: .address(target, .tcp, 443),
            kind: .clusterIP,
            servicePort: ServicePortName(namespace: "default", name: "web", port: "tls", transport: .tcp),
            route: plain.route,
            affinityTimeout: 600
        )
        _ = try await packets.backend.start(with: [other])
        #expect(try await packets.backend.apply([.add(frontend)]).isEmpty)
        let source = node.outside.addresses[family]!
        let before = try tracing.trace([frontend], from: source, to: target, 80, over: .tcp)
        #expect(before.choices.count == 3)
        let pod = try dial(.tcp, from: node.outside.namespace, to: target, port: 80).pod
        for _ in 0..<3 {
            let trace = try compare([frontend], from: node.outside, to: target, 80)
            #expect(trace.choices.map(\.backend.address) == [node.pods.first { $0.name == pod }!.addresses[family]!])
            #expect(trace.why.contains("the endpoint that this client was sent to before"))
        }
        // The other port has a memory of its own.
        let tls = try tracing.trace([other], from: source, to: target, 443, over: .tcp)
        #expect(tls.choices.count == 3)
    }

    @Test func countedConnectionsAreSteps() async throws {
        var tracing = tracing
        tracing.options.countsConnections = true
        let backend = try PacketTests.makeBackend(on: node, tracing.options)
        let frontend = packets.clusterIP(.ipv4, .tcp, [1])
        _ = try await backend.start(with: [frontend])
        let trace = try tracing.trace(
            [frontend],
            from: node.outside.addresses[.ipv4]!,
            to: PacketTests.serviceIPs[.ipv4]!,
            80,
            over: .tcp
        )
        let listing = try node.node.nft("list", "table", "ip", "swiftlet")
        #expect(trace.steps.allSatisfy { listing.contains("\t" + $0.rule) })
        #expect(trace.steps.contains { $0.rule.hasSuffix("@connections") && $0.why == "counted for default/web:http" })
    }
}

extension [String] {
    fileprivate var set: Set<String> { Set(self) }
}
