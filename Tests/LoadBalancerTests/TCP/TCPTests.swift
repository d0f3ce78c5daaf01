import CLinux
import Glibc
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import LoadBalancer

/// Real connections in a namespace.
@Suite(.enabled(if: isRoot, "needs root to make network namespaces"))
struct TCPTests {
    @Test(arguments: [("127.0.1.1", "127.0.0.1", "127.0.0.1"), ("::1", "::1", "::1"), ("::1", "127.0.0.1", "::1")])
    func bytesGoBothWaysAndAreCounted(listen: String, target: String, source: String) async throws {
        let host = try BalancedNamespace()
        let target1 = try host.target(.tcp, target)
        let endpoint = ListenEndpoint(.tcp, IPAddress(listen)!, 80)
        try await host.balancer.set(web(at: endpoint, [target]))
        let client = try host.client(from: source, to: endpoint)
        let server = try target1.accept()
        for round in 1...3 {
            try client.send("question \(round)")
            #expect(try server.receive() == "question \(round)")
            try server.send("answer \(round)!")
            #expect(try client.receive() == "answer \(round)!")
        }
        await eventually("all is counted") {
            await host.counters == GroupCounters(connections: 1, open: 1, received: 30, sent: 27)
        }
        await host.balancer.stop()
    }

    @Test
    func eitherSideMayEndFirstAndStillReceive() async throws {
        let host = try BalancedNamespace()
        let target = try host.target()
        try await host.balancer.set(web(["127.0.0.1"]))
        for clientEndsFirst in [true, false] {
            let client = try host.client(to: webPort)
            let server = try target.accept()
            let (first, second) = clientEndsFirst ? (client, server) : (server, client)
            try first.send("last words")
            first.shutDownWriting()
            #expect(try second.receiveAll() == "last words")
            try second.send("and ")
            #expect(try first.receive() == "and ")
            try second.send("an answer")
            second.shutDownWriting()
            #expect(try first.receiveAll() == "an answer")
        }
        await eventually("both are over") { await host.counters.open == 0 }
        await host.balancer.stop()
    }

    @Test
    func aResetIsPassedOn() async throws {
        let host = try BalancedNamespace()
        let target = try host.target()
        try await host.balancer.set(web(["127.0.0.1"]))
        var client: TestSocket? = try host.client(to: webPort)
        let server = try target.accept()
        client?.resetOnClose()
        client = nil
        #expect(throws: TestSocket.Failure.self) { try server.receive() }
        let other = try host.client(to: webPort)
        var server2: TestSocket? = try target.accept()
        try other.send("x")
        _ = try server2?.receive()
        server2?.resetOnClose()
        server2 = nil
        #expect(throws: TestSocket.Failure.self) { try other.receive() }
        await host.balancer.stop()
    }

    @Test
    func aSlowReaderMakesTheSenderWait() async throws {
        let host = try BalancedNamespace()
        let target = try host.target()
        try await host.balancer.set(web(["127.0.0.1"]))
        let client = try host.client(to: webPort)
        let server = try target.accept()
        // As much as goes while nobody reads: what the kernel's buffers take, and one buffer of ours.
        let chunk = [UInt8](repeating: 7, count: 65_536)
        var sent = 0
        var idle = 0
        while idle < 20 {
            let count = send(client.descriptor, chunk, chunk.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            if count > 0 {
                sent += count
                idle = 0
            } else {
                idle += 1
                try await Task.sleep(for: .milliseconds(10))
            }
            try #require(sent < 256 << 20, "nothing holds the sender back")
        }
        let taken = await host.counters.received
        #expect(taken < 64 << 20)
        client.shutDownWriting()
        var received = 0
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = recv(server.descriptor, &buffer, buffer.count, 0)
            try #require(count >= 0)
            if count == 0 { break }
            #expect(buffer[..<count].allSatisfy { $0 == 7 })
            received += count
        }
        #expect(received == sent)
        await host.balancer.stop()
    }

    @Test
    func thousandsOfConnectionsAtOnce() async throws {
        let host = try BalancedNamespace()
        let echo = try EchoServer(in: host.namespace, IPAddress("127.0.0.1")!, 8080)
        try await host.balancer.set(web(["127.0.0.1"]))
        var clients: [TestSocket] = []
        for number in 0..<3000 {
            let client = try host.client(to: webPort)
            try client.send("hello \(number)")
            clients.append(client)
        }
        for (number, client) in clients.enumerated() { #expect(try client.receive() == "hello \(number)") }
        #expect(await host.counters.open == 3000)
        #expect(echo.accepted == 3000)
        clients = []
        await eventually("all are over") { await host.counters.open == 0 }
        echo.stop()
        await host.balancer.stop()
    }

    @Test
    func aTargetThatRefusesIsReplacedAtOnceAndRests() async throws {
        let host = try BalancedNamespace()
        let target = try host.target()
        try await host.balancer.set(web(["127.0.0.1", "127.0.0.2", "127.0.0.3"]))
        for number in 0..<12 {
            let client = try host.client(to: webPort)
            let server = try target.accept()
            try client.send("\(number)")
            #expect(try server.receive() == "\(number)")
        }
        let counters = await host.counters
        // Each of the two that refuse was tried once and rests since; a slow machine may see the end of a rest.
        #expect((2...6).contains(counters.targetFailures) && counters.refused == 0)
        await host.balancer.stop()
    }

    @Test
    func aClientIsResetWhenAllTargetsRefuse() async throws {
        let host = try BalancedNamespace()
        try await host.balancer.set(web(["127.0.0.1", "127.0.0.2"]))
        let client = try host.client(to: webPort)
        #expect(throws: TestSocket.Failure.self) { try client.receive() }
        await eventually("it is counted") {
            await host.counters == GroupCounters(connections: 1, refused: 1, targetFailures: 2)
        }
        await host.balancer.stop()
    }

    @Test
    func aTargetThatDoesNotAnswerIsReplacedAfterTheTimeout() async throws {
        let host = try BalancedNamespace { $0.connectTimeout = .milliseconds(300) }
        let target = try host.target()
        // Nobody answers at 127.0.0.9: its backlog of one is full.
        let full = try host.target(.tcp, "127.0.0.9")
        Glibc.listen(full.descriptor, 0)
        let blockers = try (0..<2).map { _ in
            let socket = try TestSocket(.tcp, in: host.namespace, bound: IPAddress("127.0.0.1")!, timeout: 300)
            try? socket.connect(to: IPAddress("127.0.0.9")!, port: 8080)
            return socket
        }
        try await host.balancer.set(web(["127.0.0.1", "127.0.0.9"]))
        for _ in 0..<4 {
            let client = try host.client(to: webPort)
            let server = try target.accept()
            try server.send("hello")
            #expect(try client.receive() == "hello")
        }
        #expect(await host.counters.targetFailures >= 1)
        withExtendedLifetime(blockers) {}
        await host.balancer.stop()
    }

    @Test
    func connectionsDrainWhenTheirTargetGoes() async throws {
        let host = try BalancedNamespace { $0.drainTimeout = .seconds(1) }
        let target = try host.target()
        let other = try host.target(.tcp, "127.0.0.2")
        try await host.balancer.set(web(["127.0.0.1"]))
        let client = try host.client(to: webPort)
        let server = try target.accept()
        try await host.balancer.set(web(["127.0.0.2"]))
        // It goes on for now, while new ones go elsewhere.
        try client.send("still here")
        #expect(try server.receive() == "still here")
        let newcomer = try host.client(to: webPort)
        let newServer = try other.accept()
        try newcomer.send("new")
        #expect(try newServer.receive() == "new")
        #expect(throws: TestSocket.Failure.self) { try client.receive() }
        try newServer.send("unhurt")
        #expect(try newcomer.receive() == "unhurt")
        #expect(await host.counters.open == 1)
        await host.balancer.stop()
    }

    @Test
    func connectionsOutliveTheirListener() async throws {
        let host = try BalancedNamespace()
        let target = try host.target()
        try await host.balancer.set(web(["127.0.0.1"]))
        let client = try host.client(to: webPort)
        let server = try target.accept()
        await host.balancer.remove(webPort)
        #expect(throws: TestSocket.Failure.self) { try host.client(to: webPort) }
        try client.send("still here")
        #expect(try server.receive() == "still here")
        await host.balancer.stop()
        #expect(throws: TestSocket.Failure.self) { try client.receive() }
    }

    @Test
    func clientsAreShedWhenDescriptorsRunOut() async throws {
        let host = try BalancedNamespace { $0.descriptorLimit = 7 }
        let target = try host.target()
        try await host.balancer.set(web(["127.0.0.1"]))
        var pairs: [(TestSocket, TestSocket)] = []
        for _ in 0..<3 {
            let client = try host.client(to: webPort)
            pairs.append((client, try target.accept()))
        }
        let shed = try host.client(to: webPort)
        #expect(throws: TestSocket.Failure.self) { try shed.receive() }
        await eventually("it is counted") { await host.counters.shed == 1 }
        pairs.removeLast()
        await eventually("one is over") { await host.counters.open == 2 }
        let next = try host.client(to: webPort)
        let server = try target.accept()
        try server.send("room again")
        #expect(try next.receive() == "room again")
        await host.balancer.stop()
    }

    @Test
    func aListenerNeedsADescriptorOfTheBudget() async throws {
        let host = try BalancedNamespace { $0.descriptorLimit = 1 }
        try await host.balancer.set(web(["127.0.0.1"]))
        let other = ListenEndpoint(.tcp, IPAddress("127.0.1.2")!, 80)
        await #expect { try await host.balancer.set(web(at: other, ["127.0.0.1"])) } throws: {
            ($0 as? SystemCallError)?.code == EMFILE
        }
        await host.balancer.remove(webPort)
        try await host.balancer.set(web(at: other, ["127.0.0.1"]))
        await host.balancer.stop()
    }

    /// As of an HTTP server that says 413 and closes while it is being uploaded to.
    @Test
    func anAnswerArrivesThoughTheTargetReadsNoMore() async throws {
        let host = try BalancedNamespace()
        let target = try host.target()
        try await host.balancer.set(web(["127.0.0.1"]))
        let client = try host.client(to: webPort)
        var server: TestSocket? = try target.accept()
        let chunk = [UInt8](repeating: 7, count: 65_536)
        func upload() -> Bool {
            send(client.descriptor, chunk, chunk.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) > 0
        }
        for _ in 0..<20 {
            while upload() {}
            try await Task.sleep(for: .milliseconds(5))
        }
        try server?.send("413")
        server = nil  // Closes, with a reset for what was not read.
        // The client may go on sending, and still reads the answer.
        await eventually("it can send again") { upload() }
        for _ in 0..<20 {
            _ = upload()
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(try client.receiveAll() == "413")
        client.shutDownWriting()
        await eventually("it is over") { await host.counters.open == 0 }
        await host.balancer.stop()
    }
}
