import Glibc
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import LoadBalancer

/// Who is served, and how.
@Suite(.enabled(if: isRoot, "needs root to make network namespaces"))
struct TCPTreatmentTests {
    // FW-2
    @Test
    func onlyAllowedSourcesAreServed() async throws {
        let host = try BalancedNamespace()
        let target = try host.target()
        try await host.balancer.set(web(["127.0.0.1"], sources: ["127.0.7.0/24"]))
        let stranger = try host.client(from: "127.0.8.1", to: webPort)
        #expect(throws: TestSocket.Failure.self) { try stranger.receive() }
        let friend = try host.client(from: "127.0.7.9", to: webPort)
        let server = try target.accept()
        try server.send("welcome")
        #expect(try friend.receive() == "welcome")
        #expect(await host.counters.refused == 1)
        await host.balancer.stop()
    }

    // FE-6. Loopback is always near, so that others are asked from an address of its own.
    @Test
    func nearClientsHaveTheirOwnTargets() async throws {
        let host = try BalancedNamespace()
        try NetlinkSocket(in: host.namespace).send(
            [("10.1.0.1"), ("10.2.0.1")].map { .addAddress(InterfaceAddress(IPAddress($0)!.hostPrefix, on: 1)) }
        )
        await host.balancer.setNearSources(NearSources(prefixes: [CIDR("10.1.0.0/16")!]))
        let far = try host.target(.tcp, "127.0.0.1")
        let near = try host.target(.tcp, "127.0.0.2")
        try await host.balancer.set(web(["127.0.0.1"], near: ["127.0.0.2"]))
        for (source, target) in [("10.1.0.1", near), ("10.2.0.1", far), ("127.0.0.1", near)] {
            let client = try host.client(from: source, to: webPort)
            let server = try target.accept()
            try server.send("to \(source)")
            #expect(try client.receive() == "to \(source)")
        }
        await host.balancer.setNearSources(NearSources(addresses: [IPAddress("10.2.0.1")!]))
        _ = try host.client(from: "10.2.0.1", to: webPort)
        _ = try near.accept()
        await host.balancer.stop()
    }

    // FE-1, FE-2
    @Test
    func withoutTargetsClientsAreRefusedOrHearNothing() async throws {
        let host = try BalancedNamespace()
        let target = try host.target()
        try await host.balancer.set(web([]))
        #expect { try host.client(to: webPort) } throws: { ($0 as? TestSocket.Failure)?.code == ECONNREFUSED }
        try await host.balancer.set(web([], whenEmpty: .drop))
        #expect { try host.client(to: webPort, timeout: 1500) } throws: {
            // With a time limit connect(2) gives up with EINPROGRESS.
            [EINPROGRESS, EAGAIN, ETIMEDOUT].contains(($0 as? TestSocket.Failure)?.code)
        }
        try await host.balancer.set(web(["127.0.0.1"]))
        let client = try host.client(to: webPort)
        try target.accept().send("served")
        #expect(try client.receive() == "served")
        await host.balancer.stop()
    }

    @Test
    func targetsHearOfTheClientByTheProxyProtocol() async throws {
        let host = try BalancedNamespace()
        let target = try host.target()
        // Also of a listener on all addresses: what was dialled is what counts.
        for endpoint in [webPort, ListenEndpoint(.tcp, .v4(.unspecified), 81)] {
            try await host.balancer.set(
                web(at: endpoint, ["127.0.0.1"], balancing: Balancing(sendsProxyHeader: true))
            )
            let socket = try TestSocket(.tcp, in: host.namespace, bound: IPAddress("127.0.7.9")!)
            try socket.connect(to: IPAddress("127.0.1.1")!, port: endpoint.at.port)
            try socket.send("GET")
            let server = try target.accept()
            var bytes: [UInt8] = []
            while bytes.count < 31 {
                var buffer = [UInt8](repeating: 0, count: 100)
                let count = recv(server.descriptor, &buffer, buffer.count, 0)
                try #require(count > 0)
                bytes += buffer[..<count]
            }
            let source = try #require(Socket.localAddress(socket.descriptor))
            let header = ProxyHeader.version2(
                source: source,
                destination: TransportAddress(IPAddress("127.0.1.1")!, endpoint.at.port)
            )
            #expect(bytes == header + Array("GET".utf8))
        }
        await host.balancer.stop()
    }

    // SA-1: all listeners of a group share the memory.
    @Test
    func affinityIsSharedByTheListenersOfAGroup() async throws {
        let host = try BalancedNamespace()
        let targets = try (1...3).map { try host.target(.tcp, "127.0.0.\($0)") }
        let second = ListenEndpoint(.tcp, IPAddress("127.0.1.2")!, 8000)
        for endpoint in [webPort, second] {
            try await host.balancer.set(
                web(
                    at: endpoint,
                    ["127.0.0.1", "127.0.0.2", "127.0.0.3"],
                    balancing: Balancing(algorithm: .roundRobin, affinityTimeout: .seconds(60))
                )
            )
        }
        for source in ["127.0.5.1", "127.0.5.2", "127.0.5.3"] {
            var served: Set<Int> = []
            for endpoint in [webPort, second, webPort, second] {
                let client = try host.client(from: source, to: endpoint)
                try client.send("x")
                var polled = targets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
                try #require(poll(&polled, 3, 5000) == 1)
                let index = try #require(polled.firstIndex { $0.revents != 0 })
                _ = try targets[index].accept()
                served.insert(index)
            }
            #expect(served.count == 1, "\(source) went to \(served)")
        }
        await host.balancer.stop()
    }

    @Test
    func anAddressThatIsTakenIsAnErrorAndTheRestGoesOn() async throws {
        let host = try BalancedNamespace()
        let owner = try host.target(.tcp, "127.0.1.1", 80)
        await #expect { try await host.balancer.set(web(["127.0.0.1"])) } throws: {
            ($0 as? SystemCallError)?.code == EADDRINUSE
        }
        let target = try host.target()
        let other = ListenEndpoint(.tcp, IPAddress("127.0.1.2")!, 80)
        try await host.balancer.set(web(at: other, ["127.0.0.1"]))
        let client = try host.client(to: other)
        try target.accept().send("served")
        #expect(try client.receive() == "served")
        withExtendedLifetime(owner) {}
        await host.balancer.stop()
    }
}
