import JSON
import TestAPIServer
import Testing

/// Faults hit the requests that they name, as often as they say, and do to the bytes what they say.
struct FaultTests {
    private static let services = "/api/v1/services"

    private static func server(_ fault: Fault) async throws -> TestAPIServer {
        let server = try await TestAPIServer.plain()
        for index in 0..<20 { try server.put(Workload(services: 20, endpoints: 1, nodes: 1).service(index)) }
        server.addFault(FaultRule(fault, path: "/api/v1"))
        return server
    }

    /// All that comes of one list, and how the connection ends.
    private static func list(_ server: TestAPIServer) async throws -> ([UInt8], Connection.End) {
        let connection = try Connection(server.port)
        try connection.send(TestAPIServer.request("GET", services))
        return await connection.receive()
    }

    @Test func rulesCountSkipAndMatch() async throws {
        let server = try await TestAPIServer.plain()
        let id = server.addFault(
            FaultRule(
                .status(503, retryAfter: 2),
                method: "GET",
                path: Self.services,
                query: "limit=5",
                skip: 1,
                count: 2
            )
        )
        var statuses: [Int] = []
        for _ in 0..<4 { statuses.append(try await server.exchange("GET", "\(Self.services)?limit=5").status) }
        #expect(statuses == [200, 503, 503, 200])
        #expect(try await server.exchange("GET", "\(Self.services)?limit=6").status == 200)
        #expect(try await server.exchange("GET", "/api/v1/nodes?limit=5").status == 200)
        #expect(server.hits(of: id) == 2)
        await server.stop()
    }

    @Test func watchRulesSpareLists() async throws {
        let server = try await Self.server(.status(500))
        server.removeFaults()
        server.addFault(FaultRule(.status(500), path: Self.services, watch: true))
        #expect(try await server.exchange("GET", Self.services).status == 200)
        #expect(try await server.exchange("GET", "\(Self.services)?watch=1").status == 500)
        await server.stop()
    }

    @Test(arguments: [(429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable"), (410, "Expired")])
    func errorsAreStatuses(_ code: Int, _ reason: String) async throws {
        let server = try await Self.server(.status(code, retryAfter: 3))
        let response = try await server.exchange("GET", Self.services)
        #expect(response.status == code)
        #expect(response.headers["retry-after"] == "3")
        let status = try JSONValue(response.body)
        #expect(status["kind"] == "Status")
        #expect(status["reason"] == .string(reason))
        #expect(status["code"] == .number(code))
        await server.stop()
    }

    @Test func delayComesBeforeTheResponse() async throws {
        let server = try await Self.server(.delay(.milliseconds(150)))
        let clock = ContinuousClock()
        var response: HTTPResponse?
        let time = try await clock.measure { response = try await server.exchange("GET", Self.services) }
        #expect(response?.status == 200)
        #expect(time >= .milliseconds(150))
        await server.stop()
    }

    @Test(arguments: [Fault.Ending.reset, .close])
    func cutEndsTheConnection(_ ending: Fault.Ending) async throws {
        let server = try await Self.server(.cut(afterBytes: 700, ending))
        let (bytes, end) = try await Self.list(server)
        #expect(end == (ending == .reset ? .reset : .orderly))
        #expect(bytes.count == 700)
        #expect(HTTPResponse(bytes)?.isComplete == false)
        // It was the only one.
        #expect(try await server.exchange("GET", Self.services).isComplete)
        await server.stop()
    }

    @Test func stallKeepsTheConnectionOpen() async throws {
        let server = try await Self.server(.stall(afterBytes: 100))
        let connection = try Connection(server.port)
        try connection.send(TestAPIServer.request("GET", Self.services))
        let (bytes, _) = await connection.receive { $0.count >= 100 }
        #expect(bytes.count == 100)
        // Another connection is served meanwhile, and the stalled one is still there afterwards.
        #expect(try await server.exchange("GET", Self.services).status == 200)
        #expect(try await eventually { server.metrics.connections == 1 })
        await server.stop()
    }

    @Test func dripSendsAllInTheEnd() async throws {
        let server = try await Self.server(.drip(bytes: 512, every: .milliseconds(1)))
        let response = try await server.exchange("GET", Self.services)
        #expect(response.isComplete)
        #expect(try JSONValue(response.body)["items"]?.elements?.count == 20)
        await server.stop()
    }

    @Test func lostReplyIsCommitted() async throws {
        let server = try await Self.server(.loseReply())
        let connection = try Connection(server.port)
        let node = #"{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}"#
        try connection.send(TestAPIServer.request("POST", "/api/v1/nodes", node))
        let (bytes, end) = await connection.receive()
        #expect(bytes.isEmpty)
        #expect(end == .reset)
        #expect(server.object(.nodes, name: "n1") != nil)
        await server.stop()
    }

    @Test func refusedWriteIsNotCommitted() async throws {
        let server = try await Self.server(.refuse(.close))
        let connection = try Connection(server.port)
        let node = #"{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}"#
        try connection.send(TestAPIServer.request("POST", "/api/v1/nodes", node))
        #expect(await connection.receive().0.isEmpty)
        #expect(server.object(.nodes, name: "n1") == nil)
        await server.stop()
    }

    @Test func garbageAndGiantBodies() async throws {
        let server = try await Self.server(.body(Array("{\"kind\":".utf8)))
        #expect(try await server.exchange("GET", Self.services).text == "{\"kind\":")
        server.addFault(FaultRule(.giant(bytes: 1_000_000)))
        let giant = try await server.exchange("GET", Self.services)
        #expect(giant.isComplete)
        #expect(giant.body.count == 1_000_000)
        server.addFault(FaultRule(.endless(Array("x".utf8))))
        let connection = try Connection(server.port)
        try connection.send(TestAPIServer.request("GET", Self.services))
        let (bytes, _) = await connection.receive { $0.count > 5_000_000 }
        #expect(bytes.count > 5_000_000)
        await server.stop()
    }

    @Test func suspendedServerRefusesConnections() async throws {
        let server = try await TestAPIServer.plain()
        let port = server.port
        await server.suspend()
        #expect(throws: Connection.Failure.self) { try Connection(port) }
        try await server.resume()
        #expect(server.port == port)
        #expect(try await server.exchange("GET", "/version").status == 200)
        await server.stop()
    }
}
