import ClusterClient
import KubernetesAPI
import Logging
import NetworkTypes
import Synchronization
import TestSupport
import Testing

import class Netlink.NetworkNamespace

@testable import ServiceProxy

/// Has what it was told to have, and fails, refuses or takes its time on demand.
private final class MemoryBackend: ServiceBackend {
    struct Failure: Error {}

    struct State {
        var programmed: [Frontend.Key: Frontend] = [:]
        var commits: [Int] = []
        var starts = 0
        /// What the backend was made for, each time.
        var nodePorts: [NodePortSelections] = []
        /// Whether it takes other surroundings, and those that it took.
        var adapts = false
        var adapted: [NodePortSelections] = []
        var failuresLeft = 0
        var refusedKeys: Set<Frontend.Key> = []
        /// Held until someone lets it go.
        var gate: CheckedContinuation<Void, Never>?
        var holdsNextCommit = false
        /// Changes that do not fit what is programmed.
        var misfits: [FrontendChange] = []
    }

    let state = Mutex(State())

    var holdsConnections: Bool { state.withLock { $0.adapts } }

    func adapt(to surroundings: Surroundings) async throws -> Bool {
        state.withLock { state in
            if state.adapts { state.adapted.append(surroundings.nodePorts) }
            return state.adapts
        }
    }

    func start(with frontends: [Frontend]) async throws -> BackendStart {
        try state.withLock { state in
            state.starts += 1
            try Self.failIfAsked(&state)
            state.programmed = [:]
            state.commits.append(frontends.count)
            return BackendStart(refused: Self.carryOut(frontends.map { .add($0) }, &state))
        }
    }

    func apply(_ changes: [FrontendChange]) async throws -> [RefusedFrontend] {
        if state.withLock({ $0.holdsNextCommit }) {
            await withCheckedContinuation { gate in
                state.withLock { ($0.gate, $0.holdsNextCommit) = (gate, false) }
            }
        }
        return try state.withLock { state in
            try Self.failIfAsked(&state)
            state.commits.append(changes.count)
            return Self.carryOut(changes, &state)
        }
    }

    private static func carryOut(_ changes: [FrontendChange], _ state: inout State) -> [RefusedFrontend] {
        var refused: [RefusedFrontend] = []
        for change in changes {
            if state.programmed[change.key] != change.old { state.misfits.append(change) }
            if state.refusedKeys.contains(change.key) {
                refused.append(RefusedFrontend(change: change, reason: "test"))
                continue
            }
            switch change {
            case .add(let new), .replace(_, let new): state.programmed[new.key] = new
            case .remove(let old): state.programmed[old.key] = nil
            }
        }
        return refused
    }

    func cleanup() async throws {}

    private static func failIfAsked(_ state: inout State) throws {
        guard state.failuresLeft > 0 else { return }
        state.failuresLeft -= 1
        throw Failure()
    }
}

@Suite struct ServiceControllerTests {
    private func withController(
        awaiting: Set<ObjectKind> = [],
        nodePortAddresses: NodePortAddresses = .primary,
        localAddresses: @escaping @Sendable () -> Set<IPAddress>? = { [] },
        observers: [any ControllerObserver] = [],
        _ body: (ServiceController, MemoryBackend) async throws -> Void
    ) async throws {
        let backend = MemoryBackend()
        let controller = ServiceController(
            node: NodeFacts(name: "here"),
            planner: ServicePlanner(),
            awaiting: awaiting.union([.service]),
            nodePortAddresses: nodePortAddresses,
            localAddresses: localAddresses,
            retry: .init(
                firstDelay: .milliseconds(1),
                longestDelay: .milliseconds(10),
                refusedInterval: .milliseconds(20),
                addressInterval: .milliseconds(5)
            ),
            observers: observers,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            makeBackend: { surroundings in
                backend.state.withLock { $0.nodePorts.append(surroundings.nodePorts) }
                return backend
            }
        )
        try await withThrowingTaskGroup { group in
            group.addTask { await controller.run() }
            try await body(controller, backend)
            group.cancelAll()
            try await group.waitForAll()
        }
        #expect(backend.state.withLock { $0.misfits } == [])
    }

    private func keys(_ backend: MemoryBackend) -> Set<String> {
        backend.state.withLock { Set($0.programmed.keys.map(\.description)) }
    }

    @Test func nothingIsWrittenBeforeEverythingIsKnown() async throws {
        try await withController(awaiting: [.endpointSlice]) { controller, backend in
            await controller.receive(ObjectBatch(changes: [.set(.service(service()))], synced: [.service]))
            try await Task.sleep(for: .milliseconds(30))
            #expect(backend.state.withLock { $0.starts } == 0)
            await controller.receive(
                ObjectBatch(changes: [.set(.endpointSlice(slice("s", ["10.9.0.1"])))], synced: [.endpointSlice])
            )
            try await eventually { keys(backend) == ["10.96.0.10:80/TCP", "[fd96::10]:80/TCP"] }
            #expect(backend.state.withLock { $0.commits } == [2])
        }
    }

    @Test func anEmptyClusterIsProgrammedToo() async throws {
        try await withController { controller, backend in
            await controller.receive(ObjectBatch(synced: [.service]))
            try await eventually { backend.state.withLock { $0.starts } == 1 }
        }
    }

    @Test func changesQueueWhileACommitRuns() async throws {
        try await withController { controller, backend in
            await controller.receive(ObjectBatch(changes: [.set(.service(service()))], synced: [.service]))
            try await eventually { keys(backend).count == 2 }
            backend.state.withLock { $0.holdsNextCommit = true }
            await controller.receive(ObjectBatch(changes: [.set(.endpointSlice(slice("s", ["10.9.0.1"])))]))
            try await eventually { backend.state.withLock { $0.gate != nil } }
            for last in 2...50 {
                let change = ObjectChange.set(.endpointSlice(slice("s", ["10.9.0.\(last)"])))
                await controller.receive(ObjectBatch(changes: [change]))
            }
            await controller.receive(
                ObjectBatch(changes: [.delete(ObjectKey(.service, ObjectName(namespace: "default", name: "web")))])
            )
            await controller.receive(ObjectBatch(changes: [.set(.service(service()))]))
            backend.state.withLock { $0.gate?.resume() }
            try await eventually {
                backend.state.withLock { state in
                    state.programmed.values.contains { $0.route.backends.first?.address == address("10.9.0.50") }
                }
            }
            #expect(backend.state.withLock { $0.commits } == [2, 1, 1])
        }
    }

    @Test func failuresAreMadeUpFor() async throws {
        try await withController { controller, backend in
            backend.state.withLock { $0.failuresLeft = 3 }
            await controller.receive(ObjectBatch(changes: [.set(.service(service()))], synced: [.service]))
            try await eventually { keys(backend).count == 2 }
            #expect(backend.state.withLock { $0.starts } == 4)
            // After a failed change everything is compared again.
            backend.state.withLock { $0.failuresLeft = 2 }
            await controller.receive(
                ObjectBatch(changes: [.set(.service(service("other", clusterIPs: ["10.96.0.11"])))])
            )
            try await eventually { keys(backend).count == 3 }
            #expect(backend.state.withLock { $0.starts } == 6)
        }
    }

    @Test func whatIsRefusedIsTriedAgainAndHindersNobody() async throws {
        let bad = Frontend.Key.address(address("10.96.0.66"), .tcp, 80)
        try await withController { controller, backend in
            backend.state.withLock { $0.refusedKeys = [bad] }
            let changes = [
                ObjectChange.set(.service(service("bad", clusterIPs: ["10.96.0.66"]))),
                .set(.service(service("good", clusterIPs: ["10.96.0.11"]))),
            ]
            await controller.receive(ObjectBatch(changes: changes, synced: [.service]))
            try await eventually { keys(backend) == ["10.96.0.11:80/TCP"] }
            // It changes, and is refused again; it goes, which needs no change, and comes back.
            let slices = [slice("s", of: "bad", ["10.9.0.1"])]
            await controller.receive(ObjectBatch(changes: slices.map { .set(.endpointSlice($0)) }))
            let name = ObjectName(namespace: "default", name: "bad")
            await controller.receive(ObjectBatch(changes: [.delete(ObjectKey(.service, name))]))
            await controller.receive(ObjectBatch(changes: [.set(.service(service("bad", clusterIPs: ["10.96.0.66"])))]))
            try await eventually { backend.state.withLock { $0.commits.count } > 3 }
            #expect(keys(backend) == ["10.96.0.11:80/TCP"])
            backend.state.withLock { $0.refusedKeys = [] }
            try await eventually { keys(backend) == ["10.96.0.11:80/TCP", "10.96.0.66:80/TCP"] }
            #expect(backend.state.withLock { $0.programmed[bad]?.route.backends.count } == 1)
        }
    }

    @Test func nodePortsFollowTheNodeObject() async throws {
        try await withController { controller, backend in
            await controller.receive(ObjectBatch(changes: [.set(.service(service()))], synced: [.service]))
            try await eventually { backend.state.withLock { $0.starts } == 1 }
            let node = Node(metadata: ObjectMeta(name: "here"), internalIPs: [address("172.16.0.1")])
            await controller.receive(ObjectBatch(changes: [.set(.node(node))]))
            try await eventually { backend.state.withLock { $0.starts } == 2 }
            #expect(
                backend.state.withLock { $0.nodePorts }
                    == [[.ipv4: .all, .ipv6: .all], [.ipv4: .only([address("172.16.0.1")]), .ipv6: .all]]
            )
        }
    }

    @Test(.enabled(if: isRoot)) func interfacesTellWhenTheirAddressesChange() async throws {
        let namespace = try NetworkNamespace.makeContainer()
        let watch = try AddressWatch(in: namespace)
        var changes = watch.changes.makeAsyncIterator()
        for text in ["10.0.0.1/32", "fd00::1/128"] {
            try namespace.ip("address", "add", text, "dev", "lo")
            #expect(await changes.next() != nil)
            try namespace.ip("address", "del", text, "dev", "lo")
            #expect(await changes.next() != nil)
        }
    }

    @Test func aBackendThatHoldsConnectionsStaysThoughEverythingIsUncertain() async throws {
        let local = Mutex<Set<IPAddress>?>([address("10.0.0.1")])
        try await withController(
            nodePortAddresses: .within([CIDR("10.0.0.0/8")!]),
            localAddresses: { local.withLock { $0 } }
        ) { controller, backend in
            backend.state.withLock { $0.adapts = true }
            await controller.receive(ObjectBatch(changes: [.set(.service(service()))], synced: [.service]))
            try await eventually { backend.state.withLock { $0.starts } == 1 }
            backend.state.withLock { $0.failuresLeft = 1_000_000 }
            await controller.receive(
                ObjectBatch(changes: [.set(.service(service("other", clusterIPs: ["10.96.0.77"])))])
            )
            try await eventually { backend.state.withLock { $0.starts } > 1 }
            local.withLock { $0 = [address("10.0.0.2")] }
            try await eventually { backend.state.withLock { !$0.adapted.isEmpty } }
            backend.state.withLock { $0.failuresLeft = 0 }
            try await eventually { keys(backend).contains { $0.contains("10.96.0.77") } }
            #expect(backend.state.withLock { $0.adapted.map { $0[.ipv4] } } == [.only([address("10.0.0.2")])])
            #expect(backend.state.withLock { $0.nodePorts.count } == 1)
        }
    }

    @Test func nodePortsFollowTheInterfaces() async throws {
        let local = Mutex<Set<IPAddress>?>([address("10.0.0.1")])
        try await withController(
            nodePortAddresses: .within([CIDR("10.0.0.0/8")!]),
            localAddresses: { local.withLock { $0 } }
        ) { controller, backend in
            await controller.receive(ObjectBatch(changes: [.set(.service(service()))], synced: [.service]))
            try await eventually { backend.state.withLock { $0.starts } == 1 }
            local.withLock { $0 = nil }
            try await Task.sleep(for: .milliseconds(30))
            local.withLock { $0 = [address("10.0.0.2"), address("192.0.2.1")] }
            try await eventually { backend.state.withLock { $0.starts } == 2 }
            #expect(
                backend.state.withLock { $0.nodePorts.map { $0[.ipv4] } }
                    == [.only([address("10.0.0.1")]), .only([address("10.0.0.2")])]
            )
        }
    }
}

/// Keeps what it is told.
private final class Witness: ControllerObserver {
    struct State {
        var events: [ProxyEvent] = []
        var commits: [CommitReport] = []
        var queued: [Bool] = []
    }

    let state = Mutex(State())

    func happened(_ event: ProxyEvent) { state.withLock { $0.events.append(event) } }

    func committed(_ commit: CommitReport) { state.withLock { $0.commits.append(commit) } }

    func received(services: Int, endpoints: Int, isQueued: Bool) { state.withLock { $0.queued.append(isQueued) } }
}

/// What observers hear.
extension ServiceControllerTests {
    /// HZ-2 counts from the moment when all is known.
    @Test func nothingIsQueuedBeforeAllIsKnown() async throws {
        let witness = Witness()
        try await withController(awaiting: [.endpointSlice], observers: [witness]) { controller, backend in
            await controller.receive(ObjectBatch(changes: [.set(.service(service()))], synced: [.service]))
            #expect(witness.state.withLock { $0.queued } == [false])
            await controller.receive(ObjectBatch(changes: [], synced: [.endpointSlice]))
            #expect(witness.state.withLock { $0.queued } == [false, true])
            try await eventually { backend.state.withLock { $0.starts } == 1 }
        }
    }

    @Test func faultsAndConflictsAreEvents() async throws {
        let bad = Frontend.Key.address(address("10.96.0.66"), .tcp, 80)
        let witness = Witness()
        func events(_ reason: String) -> [ProxyEvent] {
            witness.state.withLock { $0.events.filter { $0.reason == reason } }
        }
        try await withController(observers: [witness]) { controller, backend in
            backend.state.withLock { $0.refusedKeys = [bad] }
            let shared = address("203.0.113.1")
            let services = [
                service("bad", clusterIPs: ["10.96.0.66"]) { $0.metadata.uid = "u-bad" },
                service("old", clusterIPs: ["10.96.0.11"], created: 1) { $0.externalIPs = [shared] },
                service("new", clusterIPs: ["10.96.0.12"], created: 2) {
                    $0.externalIPs = [shared]
                    $0.metadata.uid = "u-new"
                },
            ]
            await controller.receive(
                ObjectBatch(changes: services.map { .set(.service($0)) }, synced: [.service])
            )
            try await eventually { events("FailedToProgramFrontend").count > 0 }
            let refused = try #require(events("FailedToProgramFrontend").first)
            #expect(refused.subject == .service(ObjectName(namespace: "default", name: "bad"), uid: "u-bad"))
            #expect(refused.isWarning)
            let conflict = try #require(events("FrontendConflict").first)
            #expect(conflict.subject == .service(ObjectName(namespace: "default", name: "new"), uid: "u-new"))
            #expect(conflict.note.contains("default/old"))
            #expect(events("FrontendConflict").count == 1)
            let counted = try #require(witness.state.withLock { $0.commits.last })
            #expect(counted.frontends[.clusterIP, .ipv4] == 3)
            #expect(counted.frontends[.externalIP, .ipv4] == 1)
            #expect(counted.refusedFrontends == [.ipv4: 1])
            #expect(counted.nodePorts == [.ipv4: .all, .ipv6: .all])

            backend.state.withLock { $0.refusedKeys = [] }
            try await eventually { events("FrontendProgrammed").count == 1 }
            #expect(events("FrontendProgrammed").first?.isWarning == false)
            try await eventually { witness.state.withLock { $0.commits.last?.refusedFrontends } == [:] }
        }
    }

    @Test func otherNodePortAddressesAreFollowed() async throws {
        let witness = Witness()
        try await withController(
            localAddresses: { [address("10.0.0.1"), address("192.0.2.1")] },
            observers: [witness]
        ) { controller, backend in
            await controller.receive(ObjectBatch(changes: [.set(.service(service()))], synced: [.service]))
            try await eventually { backend.state.withLock { $0.starts } == 1 }
            await controller.reconfigure(
                .init(refusedInterval: .milliseconds(20), addressInterval: .milliseconds(5)),
                nodePortAddresses: .within([CIDR("10.0.0.0/8")!])
            )
            try await eventually { backend.state.withLock { $0.starts } == 2 }
            let last = backend.state.withLock { $0.nodePorts.last?[.ipv4] }
            #expect(last == .only([address("10.0.0.1")]))
            try await eventually {
                witness.state.withLock { $0.commits.last?.nodePorts[.ipv4] } == .only([address("10.0.0.1")])
            }
            // The surroundings are the same, but not what the backend is to do there.
            await controller.reconfigure(
                .init(refusedInterval: .milliseconds(20), addressInterval: .milliseconds(5)),
                nodePortAddresses: .within([CIDR("10.0.0.0/8")!]),
                needsNewBackend: true
            )
            try await eventually { backend.state.withLock { $0.starts } == 3 }
        }
    }
}
