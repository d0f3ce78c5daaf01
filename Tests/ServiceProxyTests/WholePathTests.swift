import ClusterClient
import Foundation
import KubernetesAPI
import KubernetesClient
import KubernetesSource
import Logging
import NFTables
import NetworkTypes
import ServerTransport
import Synchronization
import TestAPIServer
import TestSupport
import Testing

@testable import ServiceProxy

/// From the API server to the table, with everything that goes wrong on the way: after any history, the table is the
/// one that a proxy would make that started only now.
@Suite(.timeLimit(.minutes(2))) struct WholePathTests {
    private static let trouble: [Fault] = [
        .status(500), .status(401), .status(410), .tooManyRequests(retryAfter: 0), .refuse(), .loseReply(),
        .cut(afterBytes: 600), .cut(afterBytes: 1500, .close), .stall(afterBytes: 900), .body(Array("<html>".utf8)),
        .delay(.milliseconds(30)), .drip(bytes: 300, every: .milliseconds(1)),
    ]
    private static let interruptions: [WatchInterruption] = [
        .end, .expire, .fail, .cut(.reset), .cut(.close), .stall, .insert(Array("{]".utf8)),
    ]

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func anyHistoryWithFaultsEndsInTheSameTable(_ seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var options = TestAPIServer.Options()
        options.security = .plain
        options.bookmarkInterval = .milliseconds(50)
        options.streamingLists = Bool.random(using: &random)
        options.historyLimit = 40
        let server = try await TestAPIServer(options)
        try server.put(#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"here"}}"#)
        let proxy = try Proxy(server)
        for _ in 0..<200 {
            try await disturb(server, &random)
            for _ in 0..<Int.random(in: 1...3, using: &random) { try change(server, &random) }
            if Int.random(in: 0..<4, using: &random) == 0 { try await Task.sleep(for: .milliseconds(5)) }
        }
        server.removeFaults()

        let marker = try putMarker(server)
        let fresh = try Proxy(server)
        // The two kinds that the marker consists of have come through; what is known of the Node follows.
        try await poll {
            let (one, other) = (proxy.backend.frontends, fresh.backend.frontends)
            return other[marker]?.route.backends.isEmpty == false && one == other
        }
        #expect(proxy.backend.misfits == 0)
        await proxy.stop()
        await fresh.stop()
        // A start over what the first has left finds everything in place, and tidies up.
        let frontends = Array(fresh.backend.frontends.values)
        let successor = NFTablesBackend(kernel: proxy.kernel, logger: silent)
        #expect(try await successor.start(with: frontends).refused.isEmpty)
        #expect(try await successor.start(with: frontends).changes == 0)
        #expect(try tableHoldings(in: proxy.kernel) == tableHoldings(in: fresh.kernel))
        await server.stop()
    }

    private func change(_ server: TestAPIServer, _ random: inout SeededGenerator) throws {
        switch ObjectChange.random(&random) {
        case .set(.endpoints): break  // Not followed where there are slices.
        case .set(let object):
            try server.put(String(decoding: try JSONEncoder().encode(object), as: UTF8.self))
        case .delete(let key):
            let resource: ResourceType? =
                switch key.kind {
                case .service: .services
                case .endpointSlice: .endpointSlices
                default: nil
                }
            if let resource { server.delete(resource, namespace: key.name.namespace, name: key.name.name) }
        }
    }

    private func putMarker(_ server: TestAPIServer) throws -> Frontend.Key {
        let objects: [KubernetesObject] = [
            .service(service("marker", clusterIPs: ["10.96.0.250"])),
            .endpointSlice(slice("marker", of: "marker", ["10.9.2.1 there"])),
        ]
        for object in objects { try server.put(String(decoding: try JSONEncoder().encode(object), as: UTF8.self)) }
        return .address(address("10.96.0.250"), .tcp, 80)
    }

    private func disturb(_ server: TestAPIServer, _ random: inout SeededGenerator) async throws {
        switch Int.random(in: 0..<30, using: &random) {
        case 0..<3:
            guard let fault = Self.trouble.randomElement(using: &random) else { return }
            server.addFault(FaultRule(fault, path: "/api", skip: Int.random(in: 0...2, using: &random)))
        case 3..<5:
            guard let interruption = Self.interruptions.randomElement(using: &random) else { return }
            await server.interruptWatches(interruption)
        case 5: await server.endConnections()
        case 6:
            await server.suspend()
            try await Task.sleep(for: .milliseconds(20))
            try await server.resume()
        case 7: server.compact()
        default: break
        }
    }

    private func poll(_ condition: () -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while !condition() {
            guard ContinuousClock.now < deadline else {
                Issue.record("did not come about in 30 s", sourceLocation: sourceLocation)
                return
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

/// A proxy without its process: everything between the API server and the kernel, which is one in memory.
private final class Proxy: Sendable {
    let kernel = FakeKernel()
    let backend: RecordingBackend
    private let client: KubernetesClient
    private let task = Mutex<Task<Void, any Error>?>(nil)

    init(_ server: TestAPIServer) throws {
        client = try KubernetesClient(
            KubernetesConfiguration(servers: [try #require(ServerAddress(server.url))]),
            userAgent: "test",
            rateLimit: nil,
            logger: silent
        )
        var settings = KubernetesSource.Settings()
        settings.reflector.firstDelay = .milliseconds(5)
        settings.reflector.longestDelay = .milliseconds(50)
        settings.reflector.silence = .milliseconds(500)
        settings.reflector.initialEventsSilence = .milliseconds(500)
        settings.listTimeout = .seconds(1)
        let source = KubernetesSource(client, WatchedResource.proxy(node: "here"), settings: settings, logger: silent)
        let backend = RecordingBackend(NFTablesBackend(kernel: kernel, logger: silent))
        self.backend = backend
        let controller = ServiceController(
            node: NodeFacts(name: "here"),
            planner: ServicePlanner(),
            awaiting: source.kinds,
            nodePortAddresses: .within([]),
            localAddresses: { [] },
            logger: silent,
            makeBackend: { _ in backend }
        )
        let run = Task {
            async let controlling: Void = controller.run()
            try await source.run { await controller.receive($0) }
            await controlling
        }
        task.withLock { $0 = run }
    }

    func stop() async {
        let task = task.withLock { $0 }
        task?.cancel()
        try? await task?.value
        await client.shutdown()
    }
}

/// Passes everything on, and knows what was asked for.
private final class RecordingBackend: ServiceBackend {
    private struct State {
        var frontends: [Frontend.Key: Frontend] = [:]
        var misfits = 0
    }

    private let backend: NFTablesBackend
    private let state = Mutex(State())

    init(_ backend: NFTablesBackend) {
        self.backend = backend
    }

    var frontends: [Frontend.Key: Frontend] { state.withLock { $0.frontends } }
    /// Changes that did not fit what was there.
    var misfits: Int { state.withLock { $0.misfits } }

    func start(with frontends: [Frontend]) async throws -> BackendStart {
        let start = try await backend.start(with: frontends)
        state.withLock { state in
            state.frontends = Dictionary(uniqueKeysWithValues: frontends.map { ($0.key, $0) })
            state.misfits += start.refused.count
        }
        return start
    }

    func apply(_ changes: [FrontendChange]) async throws -> [RefusedFrontend] {
        let refused = try await backend.apply(changes)
        state.withLock { state in
            state.misfits += refused.count
            for change in changes {
                if state.frontends[change.key] != change.old { state.misfits += 1 }
                if case .remove = change {
                    state.frontends[change.key] = nil
                } else {
                    state.frontends[change.key] = change.new
                }
            }
        }
        return refused
    }

    func cleanup() async throws { try await backend.cleanup() }
}

extension FrontendChange {
    fileprivate var new: Frontend? {
        switch self {
        case .add(let frontend), .replace(_, let frontend): frontend
        case .remove: nil
        }
    }
}
