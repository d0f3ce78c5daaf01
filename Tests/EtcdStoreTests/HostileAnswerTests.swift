import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import EtcdStore

/// Servers that are not etcd, or not in their right mind.
@Suite struct HostileAnswerTests {
    /// Every one is reported as a store that does not answer: in time, without a crash, and with the server's name.
    static let garbage = [
        "", "null", "[]", "true", "\"text\"", "{", "<html>Bad gateway</html>", "{}", #"{"header":{}}"#,
        #"{"header":{"revision":"-1"}}"#, #"{"header":{"revision":"99999999999999999999"}}"#,
        #"{"header":{"revision":1.5}}"#, #"{"header":"x"}"#,
        #"{"header":{"revision":"5"},"kvs":{}}"#,
        #"{"header":{"revision":"5"},"kvs":[{}]}"#,
        #"{"header":{"revision":"5"},"kvs":[{"key":"not base64!","mod_revision":"1"}]}"#,
        #"{"header":{"revision":"5"},"kvs":[{"key":"/w==","mod_revision":"1"}]}"#,
        #"{"header":{"revision":"5"},"kvs":[{"key":"YQ==","mod_revision":"1"}]}"#,
        #"{"header":{"revision":"5"},"more":true}"#,
        String(repeating: "[", count: 100_000), #"{"a":"# + String(repeating: "{\"a\":", count: 100_000),
        #"{"header":{"revision":"5"},"kvs":[{"key":"\#(base64("/calico/ipam/v2/handle/a"))","value":"%%%","mod_revision":"1"}]}"#,
        #"{"header":{"revision":"5"},"kvs":[{"key":"\#(base64("/calico/ipam/v2/handle/a"))","value":"e30="}]}"#,
        #"{"header":{"revision":"5"},"succeeded":true,"responses":[{},{},{}]}"#,
        "{\"header\":{\"revision\":\"5\"}}{\"header\":{\"revision\":\"5\"}}", "\u{0}\u{1}\u{2}",
    ]

    @Test(arguments: garbage)
    func garbageIsNoAnswer(_ text: String) async throws {
        let server = try await ScriptedServer { _ in .json(text) }
        let store = try store(server.endpoint, timeLimit: .milliseconds(100))
        for body in [
            { try await store.list(.handles) as Any }, { try await store.keys(.handles) as Any },
            { try await store.commit([.create(.handle("a"), empty), .create(.handle("b"), empty)]) as Any },
        ] as [() async throws -> Any] {
            // An empty collection is what an answer with nothing but a revision says.
            if text.contains("\"succeeded\"") { continue }
            let error = try await storeError(body)
            #expect(error.reason == .unavailable, "\(text.prefix(80))")
            #expect(error.message.contains(server.endpoint))
            #expect(error.message.utf8.count < 1000)
        }
    }

    static let refusals: [(Int, String, DatastoreError.Reason, String)] = [
        (404, "404 page not found", .failed, "etcd 3.4 or newer"),
        (502, "<html>", .unavailable, "502"), (429, "slow down", .unavailable, "429"), (302, "", .unavailable, "302"),
        (503, #"{"error":"etcdserver: no leader","code":14}"#, .unavailable, "no leader"),
        (503, #"{"error":"etcdserver: leader changed","code":14}"#, .unavailable, "leader changed"),
        (503, #"{"error":"etcdserver: request timed out","code":14}"#, .unavailable, "timed out"),
        (429, #"{"error":"etcdserver: too many requests","code":8}"#, .unavailable, "too many requests"),
        (429, #"{"error":"etcdserver: mvcc: database space exceeded","code":8}"#, .failed, "defragment"),
        (400, #"{"error":"etcdserver: request is too large","code":3}"#, .failed, "--max-request-bytes"),
        (403, #"{"error":"etcdserver: permission denied","code":7}"#, .failed, "/calico/"),
        (400, #"{"error":"etcdserver: user name is empty","code":3}"#, .failed, "etcd_username"),
        (401, #"{"error":"etcdserver: invalid auth token","code":16}"#, .failed, "etcd_username"),
        (400, #"{"error":"\#(String(repeating: "x", count: 5000))","code":3}"#, .failed, "xxx"),
    ]

    @Test(arguments: refusals.indices)
    func refusalsAreNamed(_ index: Int) async throws {
        let (status, text, reason, word) = Self.refusals[index]
        let server = try await ScriptedServer { _ in .json(text, status: status) }
        let store = try store(server.endpoint, timeLimit: .milliseconds(500))
        let error = try await storeError { try await store.commit([.create(.handle("a"), empty)]) }
        #expect(error.reason == reason)
        #expect(error.message.contains(word) && error.message.contains(server.endpoint))
        #expect(error.message.utf8.count < 1000)
    }

    @Test func anEndlessAnswerIsCutOff() async throws {
        let server = try await ScriptedServer { _ in
            .endless(Array(#"{"header":{"revision":"5"},"kvs":[{"key":""#.utf8))
        }
        let store = try EtcdDatastore(
            configuration(server.endpoint),
            timeLimit: .seconds(20),
            prefix: "/calico",
            answerLimit: 4 << 20,
            logger: quiet
        )
        let error = try await storeError { try await store.list(.handles) }
        #expect(error.reason == .failed && error.message.contains("larger than"))
    }

    /// A watch line without an end is not gathered without end.
    @Test func anEndlessLineOfAWatchIsCutOff() async throws {
        let server = try await ScriptedServer { request in
            request.path == "/v3/watch" ? .endless([]) : .json(#"{"header":{"revision":"5"}}"#)
        }
        let store = try store(server.endpoint)
        let watch = store.watch(.collection(.handles))
        var events = watch.makeAsyncIterator()
        #expect(try await events.next() == .snapshot([]))
        try await eventually { server.requests.filter { $0.path == "/v3/watch" }.count >= 2 }
        withExtendedLifetime(events) {}
    }

    @Test func silenceEndsAtTheDeadline() async throws {
        let server = try await ScriptedServer { _ in .silence }
        let store = try store(server.endpoint)
        let start = ContinuousClock.now
        let error = try await RequestDeadline.$current.withValue(start + .milliseconds(300)) {
            try await storeError { try await store.list(.handles) }
        }
        #expect(error.reason == .unavailable)
        #expect(start.duration(to: .now) < .seconds(2))
    }

    /// Not even when the server says them.
    @Test func secretsAreNotRepeated() async throws {
        let server = try await ScriptedServer { request in
            request.path == "/v3/auth/authenticate"
                ? .json(#"{"token":"tok.12345"}"#)
                : .json(#"{"error":"bad hunter2 and tok.12345\u001b[31m","code":3}"#, status: 400)
        }
        let credentials = EtcdCredentials(username: "root", password: "hunter2")
        let configuration = try configuration(server.endpoint, credentials: credentials)
        let store = try EtcdDatastore(configuration, logger: quiet)
        let error = try await storeError { try await store.list(.handles) }
        #expect(server.requests.last?.headers["Authorization"] == ["tok.12345"])
        for text in ["\(error)", "\(configuration)", String(reflecting: configuration), "\(credentials)"] {
            #expect(!text.contains("hunter2") && !text.contains("tok.12345") && !text.contains("\u{1b}"))
        }
    }

    /// A login's answer goes into a header: nothing gets into the request with it.
    @Test(arguments: [#"{"token":"a\r\nX-Evil: 1"}"#, #"{"token":""}"#, "{}", "x", #"{"token":5}"#])
    func aStrangeTokenIsNotUsed(_ answer: String) async throws {
        let server = try await ScriptedServer { _ in .json(answer) }
        let credentials = EtcdCredentials(username: "root", password: "hunter2")
        let store = try EtcdDatastore(
            configuration(server.endpoint, credentials: credentials),
            timeLimit: .milliseconds(100),
            logger: quiet
        )
        #expect(try await storeError { try await store.list(.handles) }.reason == .unavailable)
        #expect(server.requests.allSatisfy { $0.path == "/v3/auth/authenticate" })
    }
}
