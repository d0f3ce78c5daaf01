import JSON
import TestAPIServer
import Testing

/// Watches and lists beyond what was recorded.
struct WatchTests {
    private static func pod(_ name: String, _ node: String, labels: String = "{}") -> String {
        """
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"\(name)","namespace":"default","labels":\(labels)},\
        "spec":{"nodeName":"\(node)"},"status":{"phase":"Running"}}
        """
    }

    /// The events of a watch that ends by itself, as `TYPE name`.
    private static func events(_ response: HTTPResponse) throws -> [String] {
        try response.body.split(separator: UInt8(ascii: "\n")).map { line in
            let event = try JSONValue(Array(line))
            return "\(event["type"]?.string ?? "") \(event["object.metadata.name"]?.string ?? "")"
        }
    }

    @Test func objectsEnterAndLeaveASelector() async throws {
        let server = try await TestAPIServer.plain()
        try server.put(Self.pod("a", "n1"))
        try server.put(Self.pod("b", "n2"))
        let version = server.resourceVersion
        try server.put(Self.pod("b", "n1"))
        try server.put(Self.pod("a", "n2"))
        try server.put(Self.pod("b", "n1", labels: #"{"x":"y"}"#))
        try server.put(Self.pod("c", "n3"))
        server.delete(.pods, namespace: "default", name: "b")
        let response = try await server.exchange(
            "GET",
            "/api/v1/pods?watch=1&resourceVersion=\(version)&timeoutSeconds=1&fieldSelector=spec.nodeName%3Dn1"
        )
        #expect(try Self.events(response) == ["ADDED b", "DELETED a", "MODIFIED b", "DELETED b"])
        await server.stop()
    }

    @Test(arguments: [
        ("a=1", ["p", "q"]), ("a==1,b=2", ["q"]), ("a!=1", ["r", "s"]), ("a in (1,2)", ["p", "q", "r"]),
        ("a notin (1)", ["r", "s"]), ("b", ["q"]), ("!a", ["s"]), ("!b,a", ["p", "r"]), ("n>1", ["r"]), ("n<2", ["p"]),
        ("", ["p", "q", "r", "s"]), ("a=", []),
    ])
    func labelSelectors(_ selector: String, _ names: [String]) async throws {
        let server = try await TestAPIServer.plain()
        for (name, labels) in [
            ("p", #"{"a":"1","n":"1"}"#), ("q", #"{"a":"1","b":"2"}"#), ("r", #"{"a":"2","n":"2"}"#), ("s", "{}"),
        ] {
            try server.put(Self.pod(name, "n1", labels: labels))
        }
        let query = selector.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let list = try JSONValue(try await server.exchange("GET", "/api/v1/pods?labelSelector=\(query)").body)
        #expect(list["items"]?.elements?.compactMap { $0["metadata.name"]?.string } == names)
        await server.stop()
    }

    @Test(arguments: ["a b", "a in 1", "a in (1", "(", "a,,b", "=1"])
    func brokenSelectorsAreRefused(_ selector: String) async throws {
        let server = try await TestAPIServer.plain()
        let query = selector.replacing(" ", with: "+")
        #expect(try await server.exchange("GET", "/api/v1/pods?labelSelector=\(query)").status == 400)
        await server.stop()
    }

    @Test func pagesShowOneVersionWhileObjectsChange() async throws {
        let server = try await TestAPIServer.plain()
        for name in ["a", "b", "c", "d"] { try server.put(Self.pod(name, "n1")) }
        let first = try JSONValue(try await server.exchange("GET", "/api/v1/pods?limit=2").body)
        #expect(first["metadata.remainingItemCount"] == 2)
        server.delete(.pods, namespace: "default", name: "c")
        try server.put(Self.pod("e", "n1"))
        let token = try #require(first["metadata.continue"]?.string)
        let second = try JSONValue(try await server.exchange("GET", "/api/v1/pods?limit=9&continue=\(token)").body)
        #expect(second["items"]?.elements?.compactMap { $0["metadata.name"]?.string } == ["c", "d"])
        #expect(second["metadata.resourceVersion"] == first["metadata.resourceVersion"])
        server.compact()
        let expired = try await server.exchange("GET", "/api/v1/pods?limit=9&continue=\(token)")
        #expect(expired.status == 410)
        // The token that comes with the error goes on with what is there now.
        let fresh = try #require(try JSONValue(expired.body)["metadata.continue"]?.string)
        let rest = try JSONValue(try await server.exchange("GET", "/api/v1/pods?limit=9&continue=\(fresh)").body)
        #expect(rest["items"]?.elements?.compactMap { $0["metadata.name"]?.string } == ["d", "e"])
        await server.stop()
    }

    @Test func bookmarksComeInTime() async throws {
        let server = try await TestAPIServer.plain { $0.bookmarkInterval = .milliseconds(20) }
        try server.put(#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}"#)
        let connection = try Connection(server.port)
        try connection.send(TestAPIServer.request("GET", "/api/v1/nodes?watch=1&allowWatchBookmarks=true"))
        let (bytes, _) = await connection.receive {
            String(decoding: $0, as: UTF8.self).split(separator: "BOOKMARK").count > 3
        }
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(
            text.contains(
                #""type":"BOOKMARK","object":{"kind":"Node","apiVersion":"v1","metadata":{"resourceVersion":"2"}"#
            )
        )
        await server.stop()
    }

    @Test func streamingListsCanBeRefused() async throws {
        let server = try await TestAPIServer.plain { $0.streamingLists = false }
        let response = try await server.exchange(
            "GET",
            "/api/v1/services?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1"
        )
        #expect(response.status == 422)
        #expect(try JSONValue(response.body)["details.causes.0.field"] == "sendInitialEvents")
        await server.stop()
    }

    @Test(arguments: [
        (WatchInterruption.end, "", true), (.expire, #""code":410"#, true), (.fail, #""code":500"#, true),
        (.cut(.reset), "", false), (.cut(.close), "", false),
    ])
    func openWatchesAreInterrupted(_ interruption: WatchInterruption, _ text: String, _ isComplete: Bool) async throws {
        let server = try await TestAPIServer.plain()
        let connection = try Connection(server.port)
        try connection.send(TestAPIServer.request("GET", "/api/v1/services?watch=1"))
        #expect(try await eventually { server.metrics.watches == 1 })
        #expect(await server.interruptWatches(interruption, of: .nodes) == 0)
        #expect(await server.interruptWatches(interruption, of: .services) == 1)
        let response = try #require(HTTPResponse(await connection.receive().0))
        #expect(response.isComplete == isComplete)
        #expect(text.isEmpty ? response.body.isEmpty : response.text.contains(text))
        #expect(try await eventually { server.metrics.watches == 0 })
        await server.stop()
    }

    @Test func connectionsAreUsedAgainAndRequestsLogged() async throws {
        let server = try await TestAPIServer.plain { $0.tokens["secret"] = User("alice") }
        server.setRules([AccessRule("alice", verbs: ["list"], resources: ["services"])])
        let connection = try Connection(server.port)
        for path in ["/api/v1/services?limit=1", "/api/v1/nodes"] {
            try connection.send(
                TestAPIServer.request("GET", path, headers: ["Authorization": "Bearer secret"], keepAlive: true)
            )
            _ = await connection.receive { HTTPResponse($0)?.isComplete == true }
        }
        let log = server.requests
        #expect(log.map(\.path) == ["/api/v1/services", "/api/v1/nodes"])
        #expect(log.map(\.user.name) == ["alice", "alice"])
        #expect(Set(log.map(\.connection)).count == 1)
        #expect(log[0].query == ["limit": "1"])
        #expect(log[0].headers["authorization"] == "Bearer")
        await server.stop()
    }

    @Test func requestsThatComeTogetherAreServedInOrder() async throws {
        let server = try await TestAPIServer.plain()
        let connection = try Connection(server.port)
        let watch = TestAPIServer.request("GET", "/api/v1/nodes?watch=1&timeoutSeconds=1", keepAlive: true)
        try connection.send(watch + TestAPIServer.request("GET", "/readyz"))
        let text = String(decoding: await connection.receive().0, as: UTF8.self)
        #expect(text.contains("0\r\n\r\nHTTP/1.1 200 OK"))
        #expect(text.hasSuffix("\r\n\r\nok"))
        await server.stop()
    }

    @Test func tokensComeAndGo() async throws {
        let server = try await TestAPIServer.plain { $0.plainUser = .anonymous }
        let header = ["Authorization": "Bearer t"]
        #expect(try await server.exchange("GET", "/api/v1/nodes", headers: header).status == 401)
        server.setToken("t", user: User("bob"))
        #expect(try await server.exchange("GET", "/api/v1/nodes", headers: header).status == 403)
        server.setRules([AccessRule("bob", verbs: ["list"])])
        #expect(try await server.exchange("GET", "/api/v1/nodes", headers: header).status == 200)
        server.setToken("t", user: nil)
        #expect(try await server.exchange("GET", "/api/v1/nodes", headers: header).status == 401)
        await server.stop()
    }
}
