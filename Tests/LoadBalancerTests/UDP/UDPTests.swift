import Glibc
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import LoadBalancer

/// Real datagrams in a namespace.
@Suite(.enabled(if: isRoot, "needs root to make network namespaces"))
struct UDPTests {
    private static let dns = ListenEndpoint(.udp, IPAddress("127.0.1.1")!, 53)

    @Test(arguments: [("127.0.1.1", "127.0.0.1"), ("::1", "::1")])
    func datagramsGoBothWaysAndAreCounted(listen: String, target: String) async throws {
        let host = try BalancedNamespace()
        let endpoint = ListenEndpoint(.udp, IPAddress(listen)!, 53)
        let server = try host.target(.udp, target)
        try await host.balancer.set(web(at: endpoint, [target]))
        let client = try host.client(.udp, from: target, to: endpoint)
        for round in 1...3 {
            try client.send("question \(round)")
            let (text, sender, port) = try server.receiveWithSender()
            #expect(text == "question \(round)")
            try server.send("answer \(round)!", to: sender!, port: port)
            #expect(try client.receive() == "answer \(round)!")
        }
        #expect(await host.counters == GroupCounters(connections: 1, open: 1, received: 30, sent: 27))
        await host.balancer.stop()
    }

    /// A connected socket takes answers from what it has dialled alone.
    @Test(arguments: ["0.0.0.0", "::"])
    func answersComeFromTheAddressThatWasDialled(wildcard: String) async throws {
        let host = try BalancedNamespace()
        let isIPv6 = wildcard == "::"
        if isIPv6 {
            try NetlinkSocket(in: host.namespace).send(
                .addAddress(InterfaceAddress(CIDR("fd00::5/128")!, on: 1, flags: .noDuplicateDetection))
            )
        }
        let server = try host.target(.udp, isIPv6 ? "::1" : "127.0.0.1")
        try await host.balancer.set(
            web(at: ListenEndpoint(.udp, IPAddress(wildcard)!, 53), [isIPv6 ? "::1" : "127.0.0.1"])
        )
        for dialled in isIPv6 ? ["::1", "fd00::5"] : ["127.0.0.5", "127.3.3.3"] {
            let client = try host.client(
                .udp,
                from: isIPv6 ? "::1" : "127.0.0.1",
                to: ListenEndpoint(.udp, IPAddress(dialled)!, 53)
            )
            try client.send("to \(dialled)")
            let (text, sender, port) = try server.receiveWithSender()
            #expect(text == "to \(dialled)")
            try server.send("from \(dialled)", to: sender!, port: port)
            #expect(try client.receive() == "from \(dialled)")
        }
        await host.balancer.stop()
    }

    @Test
    func flowsStayWithTheirTargetsUntilTheyAreIdle() async throws {
        let host = try BalancedNamespace {
            $0.flowTimeout = .seconds(1)
            $0.answeredFlowTimeout = .seconds(1)
        }
        let servers = try (1...2).map { try host.target(.udp, "127.0.0.\($0)") }
        try await host.balancer.set(web(at: Self.dns, ["127.0.0.1", "127.0.0.2"]))
        func place(of client: TestSocket) throws -> Int {
            try client.send("x")
            var polled = servers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            try #require(poll(&polled, 2, 5000) == 1)
            let index = try #require(polled.firstIndex { $0.revents != 0 })
            _ = try servers[index].receive()
            return index
        }
        let (first, second) = (try host.client(.udp, to: Self.dns), try host.client(.udp, to: Self.dns))
        let (one, other) = (try place(of: first), try place(of: second))
        #expect(one != other)
        for _ in 0..<5 { #expect(try place(of: first) == one && place(of: second) == other) }
        #expect(await host.counters.open == 2)
        await eventually("idle flows end") { await host.counters.open == 0 }
        #expect(await host.counters.connections == 2)
        _ = try place(of: first)
        #expect(await host.counters.connections == 3)
        await host.balancer.stop()
    }

    @Test
    func aFlowMovesWhenItsTargetGoes() async throws {
        let host = try BalancedNamespace()
        let servers = try (1...2).map { try host.target(.udp, "127.0.0.\($0)") }
        try await host.balancer.set(web(at: Self.dns, ["127.0.0.1"]))
        let client = try host.client(.udp, to: Self.dns)
        try client.send("one")
        #expect(try servers[0].receive() == "one")
        try await host.balancer.set(web(at: Self.dns, ["127.0.0.2"]))
        try client.send("two")
        #expect(try servers[1].receive() == "two")
        #expect(await host.counters.open == 1)
        await host.balancer.stop()
    }

    @Test
    func aTargetThatRefusesIsLeft() async throws {
        let host = try BalancedNamespace()
        let server = try host.target(.udp, "127.0.0.2")
        try await host.balancer.set(web(at: Self.dns, ["127.0.0.1", "127.0.0.2"]))
        let clients = try (0..<4).map { _ in try host.client(.udp, to: Self.dns) }
        var served: Set<String> = []
        // The first datagram to 127.0.0.1 is lost: that nobody is there comes back only then.
        for round in 0..<3 {
            for (number, client) in clients.enumerated() { try client.send("\(number).\(round)") }
            try await Task.sleep(for: .milliseconds(50))
        }
        for _ in 0..<10 { served.insert(String(try server.receive().prefix { $0 != "." })) }
        #expect(served.count == 4)
        #expect(await host.counters.targetFailures >= 1)
        await host.balancer.stop()
    }

    @Test
    func flowsAreLimited() async throws {
        let host = try BalancedNamespace { $0.flowLimit = 2 }
        let server = try host.target(.udp)
        try await host.balancer.set(web(at: Self.dns, ["127.0.0.1"]))
        let clients = try (0..<3).map { _ in try host.client(.udp, to: Self.dns) }
        for (number, client) in clients.enumerated() { try client.send("\(number)") }
        #expect(try server.receive() == "0" && server.receive() == "1")
        await eventually("the third is shed") { await host.counters.shed == 1 }
        try clients[0].send("again")
        #expect(try server.receive() == "again")
        await host.balancer.stop()
    }

    @Test
    func withoutTargetsClientsAreRefusedOrHearNothing() async throws {
        let host = try BalancedNamespace()
        try await host.balancer.set(web(at: Self.dns, []))
        let refused = try host.client(.udp, to: Self.dns)
        try refused.send("x")
        #expect { try refused.receive() } throws: { ($0 as? TestSocket.Failure)?.code == ECONNREFUSED }
        try await host.balancer.set(web(at: Self.dns, [], whenEmpty: .drop))
        let dropped = try host.client(.udp, to: Self.dns, timeout: 500)
        try dropped.send("x")
        #expect { try dropped.receive() } throws: { ($0 as? TestSocket.Failure)?.code == EAGAIN }
        await host.balancer.stop()
    }

    // FW-2
    @Test
    func onlyAllowedSourcesAreServed() async throws {
        let host = try BalancedNamespace()
        let server = try host.target(.udp)
        try await host.balancer.set(web(at: Self.dns, ["127.0.0.1"], sources: ["127.0.7.0/24"]))
        try host.client(.udp, from: "127.0.8.1", to: Self.dns).send("stranger")
        try host.client(.udp, from: "127.0.7.1", to: Self.dns).send("friend")
        #expect(try server.receive() == "friend")
        await eventually("it is counted") { await host.counters.refused == 1 }
        await host.balancer.stop()
    }

    @Test
    func linkLocalClientsAreAnswered() async throws {
        let host = try BalancedNamespace()
        try NetlinkSocket(in: host.namespace).send(
            .addAddress(InterfaceAddress(CIDR("fe80::5/64")!, on: 1, scope: .link, flags: .noDuplicateDetection))
        )
        let server = try host.target(.udp)
        let endpoint = ListenEndpoint(.udp, .v6(.unspecified), 53)
        try await host.balancer.set(web(at: endpoint, ["127.0.0.1"]))
        let client = try TestSocket(.udp, in: host.namespace, bound: .v6(.unspecified))
        let dialled = SocketAddress(TransportAddress(IPAddress("fe80::5")!, 53), scope: 1)
        try #require(dialled.with { sendto(client.descriptor, "question", 8, 0, $0, $1) } == 8)
        let (text, sender, port) = try server.receiveWithSender()
        #expect(text == "question")
        try server.send("answer", to: sender!, port: port)
        let answer = try client.receiveWithSender()
        #expect(answer.text == "answer" && answer.sender == IPAddress("fe80::5"))
        await host.balancer.stop()
    }
}
