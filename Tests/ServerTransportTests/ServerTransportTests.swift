import ClusterClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import ServerTransport

/// What a user of the transport sees of servers that behave, and of those that do not.
@Suite(.timeLimit(.minutes(1)))
struct ServerTransportTests {
    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func transport(_ ports: Int..., tls: TLSSettings = TLSSettings()) throws -> ServerTransport {
        try ServerTransport(
            addresses: ports.map { try #require(ServerAddress("http://127.0.0.1:\($0)")) },
            tls: tls,
            logger: Self.quiet
        )
    }

    private func failure(_ body: () async throws -> some Any) async -> TransportError? {
        do {
            _ = try await body()
            return nil
        } catch {
            return error as? TransportError
        }
    }

    /// A port of 127.0.0.1 at which nobody listens.
    private func closedPort() async throws -> Int {
        let server = try await ScriptedServer { _, _ in [] }
        let port = server.port
        await server.stop()
        return port
    }

    @Test func requestsOfOneTaskShareAConnection() async throws {
        let server = try await ScriptedServer { _, _ in [.send(ScriptedServer.response("hello"))] }
        let transport = try transport(server.port)
        for _ in 0..<5 {
            let response = try await transport.send(TransportRequest(.GET, "/x"))
            #expect(String(buffer: response.body) == "hello")
            #expect(response.server == "http://127.0.0.1:\(server.port)")
        }
        #expect(Set(server.arrivals.map(\.connection)) == [0])
        await transport.shutdown()
        await server.stop()
    }

    @Test func anAddressThatIsDownIsPassedOverAndRemembered() async throws {
        let server = try await ScriptedServer { _, _ in [.send(ScriptedServer.response("up"))] }
        let transport = try transport(try await closedPort(), server.port)
        for method in [HTTPMethod.POST, .GET] {
            #expect(try await transport.send(TransportRequest(method, "/x")).status == 200)
        }
        #expect(server.arrivals.count == 2)
        await transport.shutdown()
        await server.stop()
    }

    @Test func nobodyThereIsUnreachable() async throws {
        let port = try await closedPort()
        let transport = try transport(port)
        let error = await failure { try await transport.send(TransportRequest(.GET, "/x")) }
        #expect(error?.reason == .unreachable)
        #expect(error?.description == "http://127.0.0.1:\(port): cannot be reached: Connection refused")
        await transport.shutdown()
    }

    @Test(arguments: [(HTTPMethod.GET, 1), (.POST, 0)])
    func aLostReplyIsSoughtElsewhereOnlyIfThatIsSafe(_ method: HTTPMethod, _ expected: Int) async throws {
        let first = try await ScriptedServer { _, _ in [.close] }
        let second = try await ScriptedServer { _, _ in [.send(ScriptedServer.response("second"))] }
        let transport = try transport(first.port, second.port)
        let error = await failure { try await transport.send(TransportRequest(method, "/x")) }
        #expect(error?.reason == (expected == 1 ? nil : .cut))
        #expect(second.arrivals.count == expected)
        await transport.shutdown()
        await first.stop()
        await second.stop()
    }

    /// The server closed the connection while it lay in the pool, just as the next request went out on it.
    @Test func aPooledConnectionThatDiedIsReplacedForReads() async throws {
        let server = try await ScriptedServer { number, _ in
            number == 1 ? [.close] : [.send(ScriptedServer.response("ok"))]
        }
        let transport = try transport(server.port)
        _ = try await transport.send(TransportRequest(.GET, "/1"))
        #expect(try await transport.send(TransportRequest(.GET, "/2")).status == 200)
        #expect(server.arrivals.map(\.connection) == [0, 0, 1])
        await transport.shutdown()
        await server.stop()
    }

    @Test func aPooledConnectionThatDiedDoesNotMakeAWriteBeSentTwice() async throws {
        let server = try await ScriptedServer { number, _ in
            number == 1 ? [.close] : [.send(ScriptedServer.response("ok"))]
        }
        let transport = try transport(server.port)
        _ = try await transport.send(TransportRequest(.GET, "/1"))
        let error = await failure { try await transport.send(TransportRequest(.POST, "/2")) }
        #expect(error?.reason == .cut)
        #expect(server.arrivals.count == 2)
        await transport.shutdown()
        await server.stop()
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", TransportError.Reason.cut),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", .cut),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", .cut),
        ("SSH-2.0-OpenSSH_9.2\r\n", .malformed),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", .malformed),
    ])
    func whatIsNoWholeResponseIsAnError(_ text: String, _ expected: TransportError.Reason) async throws {
        let server = try await ScriptedServer { _, _ in [.send(text), .close] }
        let transport = try transport(server.port)
        let error = await failure { try await transport.send(TransportRequest(.POST, "/x")) }
        #expect(error?.reason == expected, "\(String(describing: error))")
        await transport.shutdown()
        await server.stop()
    }

    @Test func aStreamThatIsCutThrowsBehindWhatCame() async throws {
        let server = try await ScriptedServer { _, _ in
            [.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), .close]
        }
        let transport = try transport(server.port)
        let response = try await transport.stream(TransportRequest(.GET, "/x"))
        var text = ""
        let error = await failure { for try await part in response.body { text += String(buffer: part) } }
        #expect(text == "abc")
        #expect(error?.reason == .cut)
        await transport.shutdown()
        await server.stop()
    }

    @Test func aStreamOutlivesTheTimeOutOfItsHeadAndItsTransport() async throws {
        let server = try await ScriptedServer { _, arrival in
            arrival.text.contains("/end")
                ? [.send(ScriptedServer.response(""))]
                : [
                    .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
                ]
        }
        var request = TransportRequest(.GET, "/x")
        request.timeout = .milliseconds(300)
        var transport: ServerTransport? = try transport(server.port)
        let body = try #require(try await transport?.stream(request)).body
        transport = nil
        try await Task.sleep(for: .milliseconds(400))
        let text = try await body.collect(upTo: 10, by: .now + .seconds(5))
        #expect(String(buffer: text) == "abc")
        await server.stop()
    }

    @Test func aBodyMayNotBeLargerThanAllowed() async throws {
        let server = try await ScriptedServer { _, _ in
            [.send(ScriptedServer.response(String(repeating: "x", count: 100_000)))]
        }
        let transport = try transport(server.port)
        let error = await failure { try await transport.send(TransportRequest(.GET, "/x", bodyLimit: 99_999)) }
        #expect(error?.reason == .tooLarge)
        #expect(error?.message == "the response is larger than 99999 bytes")
        await transport.shutdown()
        await server.stop()
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
    func silenceEndsAtTheDeadlineOfTheTask(_ beginning: String) async throws {
        let server = try await ScriptedServer { _, _ in [.send(beginning), .hang] }
        let transport = try transport(server.port)
        let start = ContinuousClock.now
        let error = await failure {
            try await RequestDeadline.$current.withValue(.now + .milliseconds(200)) {
                try await transport.send(TransportRequest(.GET, "/x"))
            }
        }
        #expect(error?.reason == .timeout)
        #expect(ContinuousClock.now - start < .seconds(10))
        await transport.shutdown()
        await server.stop()
    }

    @Test func cancellingTheTaskEndsTheRequest() async throws {
        let server = try await ScriptedServer { _, _ in [.hang] }
        let transport = try transport(server.port)
        let task = Task { await failure { try await transport.send(TransportRequest(.GET, "/x")) } }
        while server.arrivals.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
        task.cancel()
        #expect(await task.value?.reason == .cancelled)
        await transport.shutdown()
        await server.stop()
    }

    @Test func aTransportThatNobodyShutDownIsLetGo() async throws {
        let server = try await ScriptedServer { _, _ in [.send(ScriptedServer.response("ok"))] }
        for _ in 0..<3 { _ = try await transport(server.port).send(TransportRequest(.GET, "/x")) }
        #expect(server.arrivals.count == 3)
        await server.stop()
    }

    @Test func anIPv6AddressIsUsed() async throws {
        let server = try await ScriptedServer(host: "::1") { _, _ in [.send(ScriptedServer.response("six"))] }
        let address = try #require(ServerAddress("http://[::1]:\(server.port)/prefix/"))
        let transport = try ServerTransport(addresses: [address], logger: Self.quiet)
        #expect(try await transport.send(TransportRequest(.GET, "/x")).status == 200)
        #expect(server.arrivals.first?.text.hasPrefix("GET /prefix/x HTTP/1.1\r\n") == true)
        await transport.shutdown()
        await server.stop()
    }
}

extension ServerTransportTests {
    @Test(arguments: [nil, "verified.example"])
    func anHTTPProxyIsAskedForTheServerWithItsCredentials(_ name: String?) async throws {
        let proxy = try await ScriptedServer { _, _ in
            [.send(ScriptedServer.response("", status: "407 Proxy Authentication Required"))]
        }
        let transport = try ServerTransport(
            addresses: [try #require(ServerAddress("https://10.1.2.3:6443"))],
            tls: TLSSettings(serverName: name),
            proxy: ProxyAddress("http://me:canary@127.0.0.1:\(proxy.port)"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        var message = ""
        do {
            _ = try await transport.send(TransportRequest(.GET, "/x"))
        } catch {
            message = "\(error)"
        }
        #expect(message == "https://10.1.2.3:6443: the proxy wants other credentials")
        let text = proxy.arrivals.first?.text ?? ""
        #expect(text.hasPrefix("CONNECT 10.1.2.3:6443 HTTP/1.1\r\n"), "\(text)")
        let credentials = Data("me:canary".utf8).base64EncodedString()
        #expect(text.lowercased().contains("proxy-authorization: basic \(credentials.lowercased())"))
        await transport.shutdown()
        await proxy.stop()
    }

    @Test func whatIsNoCertificateIsSaidAtOnce() throws {
        let address = try #require(ServerAddress("https://10.1.2.3:6443"))
        let identity = TLSSettings.ClientIdentity(certificateChain: Array("x".utf8), privateKey: Array("canary".utf8))
        for (tls, expected) in [
            (TLSSettings(certificateAuthorities: Array("x".utf8)), "certificate authority"),
            (TLSSettings(clientIdentity: identity), "client certificate"),
        ] {
            var message = ""
            do {
                _ = try ServerTransport(
                    addresses: [address],
                    tls: tls,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                )
            } catch {
                #expect(error.reason == .configuration)
                message = "\(error)"
            }
            #expect(message.contains(expected) && !message.contains("canary"))
        }
        var dumped = ""
        dump(TLSSettings(clientIdentity: identity), to: &dumped)
        #expect(!dumped.contains("99") && !dumped.contains("canary"))
    }
}
