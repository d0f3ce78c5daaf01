import ClusterClient
import Foundation
import KubernetesAPI
import KubernetesWire
import TestAPIServer
import TestSupport
import Testing

@testable import KubernetesSource

@Suite(.timeLimit(.minutes(2))) struct KubernetesSourceTests {
    private static let services = "/api/v1/services"

    private func server(
        _ change: (inout TestAPIServer.Options) -> Void = { _ in }
    ) async throws -> TestAPIServer {
        var options = TestAPIServer.Options()
        options.security = .plain
        options.bookmarkInterval = .milliseconds(200)
        change(&options)
        return try await TestAPIServer(options)
    }

    /// How a list comes: encoding, and whether the server streams lists.
    struct Way: Sendable, CustomTestStringConvertible {
        let encoding: WireEncoding
        let streams: Bool
        var testDescription: String { "\(encoding), \(streams ? "streaming" : "pages")" }

        static let all = WireEncoding.allCases.flatMap { encoding in
            [true, false].map { Way(encoding: encoding, streams: $0) }
        }
    }

    @Test(arguments: Way.all) func followsWhatHappens(_ way: Way) async throws {
        let server = try await server { $0.streamingLists = way.streams }
        for index in 0..<25 { try server.put(serviceJSON("s\(index)")) }
        let source = try FollowedSource(server) {
            $0.encoding = way.encoding
            $0.reflector.pageSize = 10
        }
        await eventually { source.synced == [.service, .endpointSlice] }
        #expect(source.names(.service).count == 25)
        #expect(source.batches <= 2)
        try server.put(serviceJSON("s3", port: 81))
        try server.put(serviceJSON("new"))
        server.delete(.services, namespace: "default", name: "s0")
        await eventually {
            source.service("new") != nil && source.service("s0") == nil && source.service("s3")?.ports.first?.port == 81
        }
        let lists = server.requests.filter { !$0.isWatch && $0.path == Self.services }
        #expect(lists.count == (way.streams ? 0 : 3))
        let first = try #require(server.requests.first)
        #expect(first.headers["accept"]?.contains("protobuf") == (way.encoding == .protobuf))
        await source.stop()
        await server.stop()
    }

    @Test func asksForWhatAProxyNeeds() async throws {
        let server = try await server()
        try server.put(serviceJSON("mine"))
        try server.put(serviceJSON("others", labels: #""service.kubernetes.io/service-proxy-name":"x""#))
        for name in ["n1", "n2"] {
            try server.put(#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"\#(name)"}}"#)
        }
        let source = try FollowedSource(server, WatchedResource.proxy(node: "n1"))
        await eventually { source.synced == [.service, .endpointSlice, .node, .serviceCIDR] }
        // With slices, Endpoints are not even asked for.
        #expect(!server.requests.contains { $0.path.hasSuffix("/endpoints") })
        #expect(source.names(.service) == ["mine"])
        #expect(source.names(.node) == ["n1"])
        // A Service that another proxy takes over is gone, and comes back (1.1).
        try server.put(serviceJSON("mine", labels: #""service.kubernetes.io/service-proxy-name":"x""#))
        await eventually { source.names(.service) == [] }
        try server.put(serviceJSON("mine"))
        await eventually { source.names(.service) == ["mine"] }
        await source.stop()
        await server.stop()
    }

    /// What goes wrong with a request; afterwards the consumer must know everything.
    struct Trouble: Sendable, CustomTestStringConvertible {
        let name: String
        let fault: Fault
        var count = 3
        var testDescription: String { name }

        static let all = [
            Trouble(name: "500", fault: .status(500)), Trouble(name: "503", fault: .status(503)),
            Trouble(name: "401", fault: .status(401)), Trouble(name: "403", fault: .status(403)),
            Trouble(name: "404", fault: .status(404)), Trouble(name: "410", fault: .status(410)),
            Trouble(name: "429", fault: .tooManyRequests(retryAfter: 1), count: 1),
            Trouble(name: "refused", fault: .refuse()), Trouble(name: "lost reply", fault: .loseReply()),
            Trouble(name: "garbage", fault: .body(Array("}{ no list".utf8))),
            Trouble(name: "empty", fault: .body([])),
            Trouble(
                name: "garbage protobuf",
                fault: .body([0x6b, 0x38, 0x73, 0, 0xff, 0xff], contentType: "application/vnd.kubernetes.protobuf")
            ),
            Trouble(name: "HTML", fault: .body(Array("<html>".utf8), contentType: "text/html")),
            Trouble(name: "cut in the head", fault: .cut(afterBytes: 20)),
            Trouble(name: "cut in the body", fault: .cut(afterBytes: 1500)),
            Trouble(name: "closed in the body", fault: .cut(afterBytes: 1500, .close)),
            Trouble(name: "stalled in the body", fault: .stall(afterBytes: 1500), count: 2),
            Trouble(name: "slow drip", fault: .drip(bytes: 700, every: .milliseconds(20)), count: 1),
            Trouble(name: "endless", fault: .endless(Array("{\"type\":".utf8)), count: 1),
            Trouble(name: "one endless word", fault: .giant(bytes: 40 << 20), count: 1),
        ]
    }

    @Test(arguments: Trouble.all, [true, false]) func getsOverTrouble(_ trouble: Trouble, streams: Bool) async throws {
        let server = try await server { $0.streamingLists = streams }
        for index in 0..<40 { try server.put(serviceJSON("s\(index)")) }
        server.addFault(FaultRule(trouble.fault, path: Self.services, count: trouble.count))
        let source = try FollowedSource(server, [.services]) {
            $0.reflector.pageSize = 30
            $0.listTimeout = .seconds(2)
            $0.reflector.silence = .milliseconds(500)
            $0.reflector.initialEventsSilence = .milliseconds(500)
        }
        await eventually { source.synced == [.service] }
        #expect(source.names(.service).count == 40)
        // And the same with watches, while objects change.
        server.addFault(FaultRule(trouble.fault, path: Self.services, watch: true, count: trouble.count))
        await server.interruptWatches(.cut(.reset))
        try server.put(serviceJSON("s1", port: 81))
        server.delete(.services, namespace: "default", name: "s2")
        await eventually { source.service("s1")?.ports.first?.port == 81 && source.service("s2") == nil }
        #expect(source.names(.service).count == 39)
        await source.stop()
        await server.stop()
    }

    @Test(arguments: [
        WatchInterruption.end, .expire, .fail, .cut(.reset), .cut(.close), .stall, .insert(Array("garbage".utf8)),
    ]) func resumesAWatch(_ interruption: WatchInterruption) async throws {
        let server = try await server()
        for index in 0..<10 { try server.put(serviceJSON("s\(index)")) }
        let source = try FollowedSource(server, [.services]) { $0.reflector.silence = .milliseconds(600) }
        await eventually { source.synced == [.service] }
        let changes = source.changes
        #expect(await server.interruptWatches(interruption) == 1)
        try server.put(serviceJSON("new"))
        server.delete(.services, namespace: "default", name: "s0")
        await eventually { source.service("new") != nil && source.service("s0") == nil }
        #expect(source.changes == changes + 2)
        await source.stop()
        await server.stop()
    }

    @Test func tellsOnlyDifferencesAfterTheHistoryIsGone() async throws {
        let server = try await server()
        for index in 0..<10 { try server.put(serviceJSON("s\(index)")) }
        let source = try FollowedSource(server, [.services])
        await eventually { source.synced == [.service] }
        let changes = source.changes
        await server.suspend()
        try server.put(serviceJSON("s1", port: 81))
        server.delete(.services, namespace: "default", name: "s2")
        try server.put(serviceJSON("new"))
        server.compact()
        try await server.resume()
        await eventually { source.service("new") != nil }
        #expect(source.changes == changes + 3)
        #expect(source.service("s1")?.ports.first?.port == 81)
        #expect(source.service("s2") == nil)
        #expect(source.log.count("listed anew") == 1)
        await source.stop()
        await server.stop()
    }

    @Test func pagesStartOverWhenTheirTokenExpires() async throws {
        let server = try await server { $0.streamingLists = false }
        for index in 0..<30 { try server.put(serviceJSON("s\(index)")) }
        server.addFault(FaultRule(.status(410), path: Self.services, watch: false, skip: 1))
        let source = try FollowedSource(server, [.services]) { $0.reflector.pageSize = 10 }
        await eventually { source.synced == [.service] }
        #expect(source.names(.service).count == 30)
        let limits = server.requests.filter { !$0.isWatch }.map { $0.query["limit"] }
        #expect(limits == ["10", "10", nil])
        await source.stop()
        await server.stop()
    }

    @Test func saysOnceThatATokenIsRevokedAndGoesOnWithANewOne() async throws {
        let server = try await server { $0.tokens = ["secret-token-1": .administrator] }
        try server.put(serviceJSON("a"))
        let source = try FollowedSource(server, [.services], token: "secret-token-1")
        await eventually { source.synced == [.service] }
        server.setToken("secret-token-1", user: nil)
        await server.endConnections()
        await eventually { server.requests.count { $0.path == Self.services } > 6 }
        #expect(source.log.count("cannot be followed") <= 2)
        #expect(source.log.count("secret-token") == 0)
        #expect(source.service("a") != nil)
        server.setToken("secret-token-1", user: .administrator)
        try server.put(serviceJSON("b"))
        await eventually { source.service("b") != nil }
        #expect(source.log.count("followed again") >= 1)
        await source.stop()
        await server.stop()
    }

    @Test func namesAnObjectThatCannotBeUsedOnce() async throws {
        let server = try await server()
        try server.put(serviceJSON("good"))
        let source = try FollowedSource(server, [.services])
        await eventually { source.synced == [.service] }
        let bad = serviceJSON("good").replacingOccurrences(of: #""clusterIP":"10.96.0.10","#, with: "")
            .replacingOccurrences(of: #"["10.96.0.10"]"#, with: #"["not an address"]"#)
        try server.put(bad)
        await eventually { source.log.count("last good state stays") == 1 }
        #expect(source.log.lines.contains { $0.contains("Service default/good") && $0.contains("clusterIPs") })
        await server.interruptWatches(.expire)
        try server.put(serviceJSON("next"))
        await eventually { source.service("next") != nil }
        #expect(source.service("good") != nil)
        #expect(source.log.count("last good state stays") == 1)
        await source.stop()
        await server.stop()
    }

    @Test func waitsForItsConsumerAndMergesInTheMeantime() async throws {
        let server = try await server()
        try server.put(serviceJSON("a"))
        let gate = Gate()
        let source = try FollowedSource(server, [.services], consuming: { _ in await gate.pass() })
        await eventually { source.batches == 1 }
        for port in 100..<300 { try server.put(serviceJSON("a", port: port)) }
        try server.put(serviceJSON("short-lived"))
        server.delete(.services, namespace: "default", name: "short-lived")
        try server.put(serviceJSON("last"))
        // The source has read everything once it knows a bookmark; what it asks next shows that.
        await eventually { server.metrics.watches == 1 }
        try await Task.sleep(for: .milliseconds(500))
        #expect(source.batches == 1)
        await gate.open()
        await eventually { source.service("last") != nil }
        #expect(source.service("a")?.ports.first?.port == 299)
        #expect(source.changes <= 4)
        await source.stop()
        await server.stop()
    }

    @Test func losesNothingUnderRandomFaults() async throws {
        for encoding in WireEncoding.allCases {
            let server = try await server()
            let source = try FollowedSource(server, [.services, .endpointSlices]) {
                $0.encoding = encoding
                $0.listTimeout = .seconds(1)
                $0.reflector.silence = .milliseconds(600)
                $0.reflector.initialEventsSilence = .milliseconds(400)
                $0.reflector.pageSize = 5
            }
            var random = SeededGenerator(seed: 3)
            let faults: [Fault] = [
                .status(500), .status(410), .tooManyRequests(retryAfter: 0), .cut(afterBytes: 700), .refuse(),
                .body([1, 2, 3]), .stall(afterBytes: 900), .cut(afterBytes: 3000, .close), .status(422),
            ]
            let interruptions: [WatchInterruption] = [.end, .expire, .fail, .cut(.reset), .insert([0xff])]
            for _ in 0..<400 {
                let name = "s\(Int.random(in: 0..<20, using: &random))"
                switch Int.random(in: 0..<20, using: &random) {
                case 0...12: try server.put(serviceJSON(name, port: Int.random(in: 1...9, using: &random)))
                case 13...16: server.delete(.services, namespace: "default", name: name)
                case 17:
                    if let fault = faults.randomElement(using: &random) {
                        server.addFault(FaultRule(fault, path: Self.services))
                    }
                case 18:
                    if let interruption = interruptions.randomElement(using: &random) {
                        await server.interruptWatches(interruption)
                    }
                default:
                    if Bool.random(using: &random) { server.compact() }
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
            server.removeFaults()
            try server.put(serviceJSON("end"))
            await eventually { source.service("end") != nil }
            #expect(source.names(.service).count == server.count(.services))
            for (key, object) in source.objects {
                let json = try #require(server.object(.services, namespace: "default", name: key.name.name))
                guard case .service(let service) = object else { continue }
                #expect(json.contains("\"port\":\(service.ports[0].port)"))
            }
            await source.stop()
            await server.stop()
        }
    }

    @Test func stopsWhenCancelled() async throws {
        let server = try await server()
        let source = try FollowedSource(server)
        await eventually { source.synced.count == 2 }
        await source.stop()
        await eventually { server.metrics.watches == 0 }
        await server.stop()
    }
}

/// Holds up whoever wants to pass, until it is opened.
actor Gate {
    private var isOpen = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func pass() async {
        if isOpen { return }
        await withCheckedContinuation { waiting.append($0) }
    }

    func open() {
        isOpen = true
        for continuation in waiting { continuation.resume() }
        waiting = []
    }
}
