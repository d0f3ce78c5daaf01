import CNI
import Foundation
import Testing

@testable import CNIPlugin

/// What has to be ready before a pod gets a network (1.1).
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct ReadinessGateTests {
    let bench: Bench
    let pod: String

    init() throws {
        bench = try Bench()
        pod = try bench.pod()
    }

    private func expectNothing() async throws {
        #expect(try bench.hostLinks() == [])
        #expect(try bench.ip("link", in: pod).count == 1)
        #expect(try await bench.assignedAddresses() == [])
    }

    @Test func whatIsReadyLetsPodsIn() async throws {
        let server = try GateServer(bench, ["ok": 200, "empty": 204, "moved": 302])
        let configuration = bench.configuration(extra: server.member("ok?full=1", "empty", "moved"))
        let added = try await bench.call("ADD", "c1", namespace: pod, configuration)
        #expect(added.status == 0, "\(added.output) \(added.log)")
        #expect(server.asked.sorted() == ["/empty", "/moved", "/ok?full=1"])
        #expect(try await bench.run(["CNI_COMMAND": "STATUS"], stdin: configuration).status == 0)
    }

    @Test func whatGetsReadyIsWaitedFor() async throws {
        let server = try GateServer(bench, ["ok": 200, "late": 503])
        let configuration = bench.configuration(extra: server.member("ok", "late"))
        async let adding = bench.call("ADD", "c1", namespace: pod, configuration)
        let deadline = ContinuousClock.now + .seconds(20)
        while !server.asked.contains("/late"), ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        try await expectNothing()
        try server.answer("late", with: 200)
        let added = try await adding
        #expect(added.status == 0, "\(added.output) \(added.log)")
        // Who was ready is not asked again.
        #expect(server.asked.sorted() == ["/late", "/late", "/ok"])
    }

    @Test func whatIsNotReadyIsCode11() async throws {
        let server = try GateServer(bench, ["ok": 200, "no": 500])
        let (gate, port) = (server.url("no"), server.port)
        for gates in [server.member("ok", "no"), #", "readiness_gates": ["http://127.0.0.1:\#(port == 1 ? 2 : 1)"]"#] {
            let configuration = bench.configuration(extra: gates + #", "add_timeout_seconds": 2"#)
            let refused = try await bench.call("ADD", "c1", namespace: pod, configuration)
            #expect(refused.code == 11, "\(refused.output) \(refused.log)")
            try await expectNothing()
            let status = try await bench.run(["CNI_COMMAND": "STATUS"], stdin: configuration)
            #expect(status.code == 50, "\(status.output)")
            // What ends a pod does not depend on them.
            #expect(try await bench.call("DEL", "c1", namespace: pod, configuration).status == 0)
            if gates.contains(gate) {
                #expect(refused.output.contains("\(gate) answers 500") && !refused.output.contains("/ok"))
            }
        }
    }

    @Test(arguments: [
        (#"["ftp://127.0.0.1/"]"#, 7), (#"["127.0.0.1:9099/readiness"]"#, 7), (#"[""]"#, 7), (#"["http://"]"#, 7),
        (#"["http://a b/"]"#, 7), (#"["http://h:99999/"]"#, 7), (#"["http://h/", 3]"#, 6), (#""http://h/""#, 6),
    ])
    func whatIsNoURLIsRefused(_ gates: String, _ code: Int) async throws {
        let configuration = bench.configuration(extra: #", "readiness_gates": \#(gates)"#)
        let refused = try await bench.call("ADD", "c1", namespace: pod, configuration)
        #expect(refused.code == code, "\(refused.output)")
        #expect(refused.output.contains("readiness_gates"), "\(refused.output)")
        try await expectNothing()
    }

    @Test(arguments: [
        ("http://localhost:9099/readiness", "localhost", 9099, "/readiness"),
        ("https://[fd00::1]/a/?b=/c#d", "fd00::1", 443, "/a/?b=/c"), ("http://h?x", "h", 80, "/?x"),
        ("HTTP://h", "h", 80, "/"),
    ])
    func urls(_ url: String, _ host: String, _ port: Int, _ target: String) throws {
        let gate = try #require(ReadinessGates.Gate(url))
        #expect(gate.server.host == host && gate.server.port == port && gate.target == target)
    }
}
