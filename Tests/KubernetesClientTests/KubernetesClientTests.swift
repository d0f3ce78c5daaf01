import ClusterClient
import Foundation
import JSON
import NIOCore
import ServerTransport
import TestAPIServer
import TestSupport
import Testing

@testable import KubernetesClient

/// Requests against a server over real TLS.
@Suite(.timeLimit(.minutes(1)))
struct KubernetesClientTests {
    private static let service = ByteBuffer(
        string: #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}}"#
    )

    private func object(_ bytes: ByteBuffer) throws -> JSONObject {
        guard case .object(let object) = try JSONValue(parsing: Array(bytes.readableBytesView).span) else {
            throw KubernetesError(.badRequest, "no object")
        }
        return object
    }

    @Test func anObjectIsMadeReadChangedAndDeleted() async throws {
        let server = try await TestAPIServer()
        let client = try kubernetesClient(server)
        let made = try object(try await client.create(.services, namespace: "default", Self.service))
        let uid = try #require(made.object("metadata")?.text("uid"))
        let version = try #require(made.object("metadata")?.text("resourceVersion"))
        let exists = await failure { try await client.create(.services, namespace: "default", Self.service) }
        #expect(exists?.reason == .alreadyExists)

        let patch = ByteBuffer(string: #"{"metadata":{"labels":{"a":"b"}}}"#)
        _ = try await client.patch(.services, namespace: "default", name: "web", .merge, patch)
        let read = try object(try await client.get(.services, namespace: "default", name: "web"))
        #expect(read.object("metadata")?.object("labels")?.text("a") == "b")

        let stale = await failure {
            try await client.delete(
                .services,
                namespace: "default",
                name: "web",
                preconditions: Preconditions(uid: uid, resourceVersion: version)
            )
        }
        #expect(stale?.reason == .conflict)
        try await client.delete(
            .services,
            namespace: "default",
            name: "web",
            preconditions: Preconditions(uid: uid)
        )
        let gone = await failure { try await client.get(.services, namespace: "default", name: "web") }
        #expect(gone?.reason == .notFound)
        #expect(gone?.status?.details?.name == "web")
        #expect(gone?.message == "get services \"default/web\" at \(server.url): 404: services \"web\" not found")
        await client.shutdown()
        await server.stop()
    }

    @Test func requestsShareOneConnectionAndSayWhoAsks() async throws {
        let server = try await TestAPIServer()
        let client = try kubernetesClient(server)
        for _ in 0..<4 { _ = try await client.list(.services) }
        #expect(Set(server.requests.map(\.connection)).count == 1)
        #expect(server.requests.allSatisfy { $0.user.name == "admin" })
        #expect(server.requests.first?.headers.first { $0.key.lowercased() == "user-agent" }?.value == "test/1")
        await client.shutdown()
        await server.stop()
    }

    @Test func aTokenThatIsRefusedIsReadAgainFromItsFile() async throws {
        let server = try await TestAPIServer()
        server.setToken("canary-old", user: .administrator)
        let directory = try TemporaryDirectory()
        let token = "\(directory.path)/token"
        try "canary-old\n".write(toFile: token, atomically: true, encoding: .utf8)
        var configuration = KubernetesConfiguration(
            servers: [try #require(ServerAddress(server.url))],
            certificateAuthority: .data(Array(server.certificateAuthorityPEM.utf8)),
            credentials: Credentials(authorization: .token(.file(token)))
        )
        configuration.origin = "the test"
        let log = LogRecord()
        let client = try KubernetesClient(configuration, userAgent: "test/1", rateLimit: nil, logger: log.logger())
        _ = try await client.list(.services)

        server.setToken("canary-old", user: nil)
        server.setToken("canary-new", user: .administrator)
        try "canary-new".write(toFile: token, atomically: true, encoding: .utf8)
        _ = try await client.list(.services)

        server.setToken("canary-new", user: nil)
        let error = await failure { try await client.list(.services) }
        #expect(error?.reason == .unauthorized)
        #expect(error?.message.contains("credentials of the test (token of \(token)): renew them") == true)
        #expect(!log.text.contains("canary") && error?.message.contains("canary") == false)
        await client.shutdown()
        await server.stop()
    }

    @Test func aCertificateThatWasReplacedIsUsedWhileAnOldStreamGoesOn() async throws {
        let server = try await TestAPIServer()
        let old = try server.clientCertificate(User("old", groups: ["system:masters"]))
        let new = try server.clientCertificate(User("new", groups: ["system:masters"]))
        let directory = try TemporaryDirectory()
        let (chain, key) = ("\(directory.path)/crt", "\(directory.path)/key")
        func write(_ certificate: ClientCertificate) throws {
            try certificate.certificatePEM.write(toFile: chain, atomically: true, encoding: .utf8)
            try certificate.keyPEM.write(toFile: key, atomically: true, encoding: .utf8)
        }
        try write(old)
        let configuration = KubernetesConfiguration(
            servers: [try #require(ServerAddress(server.url))],
            certificateAuthority: .data(Array(server.certificateAuthorityPEM.utf8)),
            credentials: Credentials(certificate: .init(chain: .file(chain), key: .file(key)))
        )
        let client = try KubernetesClient(
            configuration,
            userAgent: "test/1",
            rateLimit: nil,
            logger: LogRecord().logger()
        )
        let watch = ResourceRequest(.GET, .services, query: [("watch", "1")])
        let stream = try await client.stream(watch)
        try write(new)
        let deadline = ContinuousClock.now + .seconds(20)
        while server.requests.last?.user.name != "new", ContinuousClock.now < deadline {
            _ = try await client.list(.services)
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(server.requests.last?.user.name == "new")
        _ = try server.put(#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"x","namespace":"default"}}"#)
        var body = stream.body.makeAsyncIterator()
        #expect(try await body.next().map { String(buffer: $0).contains("ADDED") } == true)
        await client.shutdown()
        await server.stop()
    }

    @Test func busyServersAreAskedAgainWithinTheDeadline() async throws {
        let server = try await TestAPIServer()
        let client = try kubernetesClient(server)
        _ = server.addFault(FaultRule(.tooManyRequests(retryAfter: 0), count: 2))
        _ = try await client.list(.services)
        #expect(server.requests.count == 3)

        _ = server.addFault(FaultRule(.tooManyRequests(retryAfter: 60), count: nil))
        let start = ContinuousClock.now
        let error = await failure { try await client.list(.services) }
        #expect(error?.reason == .tooManyRequests)
        #expect(error?.retryAfter == .seconds(60))
        #expect(error?.message.hasSuffix("429: Too many requests, please try again later.") == true)
        #expect(ContinuousClock.now - start < .seconds(20))
        await client.shutdown()
        await server.stop()
    }

    /// X-rows of calico.md 2.14: the reply to a write is lost after it was done.
    @Test func aWriteWhoseReplyIsLostIsNotSentTwice() async throws {
        let server = try await TestAPIServer()
        let client = try kubernetesClient(server)
        _ = server.addFault(FaultRule(.loseReply(), method: "POST"))
        let error = await failure { try await client.create(.services, namespace: "default", Self.service) }
        #expect(error?.reason == .transport(.cut), "\(String(describing: error))")
        #expect(server.requests.count { $0.method == "POST" } == 1)
        _ = server.addFault(FaultRule(.loseReply(), method: "GET"))
        _ = try await client.get(.services, namespace: "default", name: "web")
        await client.shutdown()
        await server.stop()
    }

    @Test func aStrangersCertificateIsNotTrusted() async throws {
        let server = try await TestAPIServer()
        let stranger = try await TestAPIServer()
        let configuration = KubernetesConfiguration(
            servers: [try #require(ServerAddress(server.url))],
            certificateAuthority: .data(Array(stranger.certificateAuthorityPEM.utf8))
        )
        let client = try KubernetesClient(
            configuration,
            userAgent: "test/1",
            rateLimit: nil,
            logger: LogRecord().logger()
        )
        let error = await failure { try await client.list(.services) }
        #expect(error?.reason == .transport(.handshake))
        #expect(error?.message.contains("certificate is not trusted") == true, "\(String(describing: error))")
        await client.shutdown()
        await server.stop()
        await stranger.stop()
    }

    @Test(arguments: [("kubernetes", true), ("elsewhere.example", false)])
    func theServersNameIsVerified(_ name: String, _ isRight: Bool) async throws {
        // An address that the certificate does not name.
        var options = TestAPIServer.Options()
        options.host = "127.0.0.2"
        let server = try await TestAPIServer(options)
        let configuration = KubernetesConfiguration(
            servers: [try #require(ServerAddress(server.url))],
            certificateAuthority: .data(Array(server.certificateAuthorityPEM.utf8)),
            serverName: name
        )
        let client = try KubernetesClient(
            configuration,
            userAgent: "test/1",
            rateLimit: nil,
            logger: LogRecord().logger()
        )
        let error = await failure { try await client.list(.services) }
        // Without credentials the server is reached, and says no.
        #expect(error?.reason == (isRight ? .forbidden : .transport(.handshake)), "\(String(describing: error))")
        await client.shutdown()
        await server.stop()
    }

    @Test func eventsThatComeAgainBecomeASeries() async throws {
        let server = try await TestAPIServer()
        let log = LogRecord()
        let client = try kubernetesClient(server, log: log)
        let recorder = EventRecorder(
            client: client,
            controller: "swiftlet.io/test",
            instance: "n",
            logger: log.logger()
        )
        let run = Task { await recorder.run() }
        let event = Event(
            regarding: .init(kind: "Service", namespace: "default", name: "web"),
            type: .warning,
            reason: "PortTaken",
            action: "Listen",
            note: "port 80 is taken"
        )
        for _ in 0..<3 { recorder.record(event) }
        let deadline = ContinuousClock.now + .seconds(10)
        while server.requests.count < 2, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        #expect(server.requests.map(\.method) == ["POST", "PATCH"], "\(log.text)")
        let list = try object(try await client.list(.events, namespace: "default"))
        let stored = try #require(list.objects("items").first)
        #expect(stored.object("series")?.integer("count") == 2)
        #expect(stored.text("reportingController") == "swiftlet.io/test" && stored.text("type") == "Warning")
        run.cancel()
        await client.shutdown()
        await server.stop()
    }
}
