import KubernetesAPI
import Logging
import NetworkTypes
import Synchronization
import Testing

@testable import ServiceProxy

/// What listeners there are, in memory.
private final class Listeners: Sendable {
    struct Refused: Error, CustomStringConvertible {
        let description = "address in use"
    }

    struct State {
        var open: [String: @Sendable () -> HealthCheckAnswer] = [:]
        var refused: Set<String> = []
        var attempts = 0
        var events: [ProxyEvent] = []
    }

    let state = Mutex(State())

    func listen(
        _ socket: HealthCheckSocket,
        _ answer: @escaping @Sendable () -> HealthCheckAnswer
    ) throws -> Listener {
        try state.withLock { state in
            state.attempts += 1
            let name = "\(socket)"
            guard !state.refused.contains(name), state.open[name] == nil else { throw Refused() }
            state.open[name] = answer
            return Listener(name: name, listeners: self)
        }
    }

    struct Listener: HealthCheckListener {
        let name: String
        let listeners: Listeners

        func stop() async {
            listeners.state.withLock { $0.open[name] = nil }
        }
    }

    var open: Set<String> { state.withLock { Set($0.open.keys) } }
    var events: [ProxyEvent] { state.withLock { $0.events } }

    func answer(_ name: String) -> HealthCheckAnswer? { state.withLock { $0.open[name] }?() }
}

/// Rules HC-1, HC-6 and HC-7.
@Suite struct HealthCheckPortsTests {
    private func withPorts(
        retry: HealthCheckPorts.RetryPolicy = .init(pause: .zero, interval: .seconds(60)),
        isHealthy: @escaping @Sendable () -> Bool = { true },
        _ body: (HealthCheckPorts, Listeners) async throws -> Void
    ) async throws {
        let listeners = Listeners()
        let ports = HealthCheckPorts(
            isHealthy: isHealthy,
            report: { event in listeners.state.withLock { $0.events.append(event) } },
            retry: retry,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            listen: { try listeners.listen($0, $1) }
        )
        try await withThrowingTaskGroup { group in
            group.addTask { await ports.run() }
            try await body(ports, listeners)
            group.cancelAll()
            try await group.waitForAll()
        }
        #expect(listeners.open == [])
    }

    private func commit(
        _ checks: [String: HealthCheck?] = [:],
        _ family: IPFamily = .ipv4,
        succeeded: Bool = true,
        on nodePorts: NodePortSelections = [.ipv4: .all, .ipv6: .all]
    ) -> CommitReport {
        var plans: [Catalog.ServiceID: ServicePlan] = [:]
        for (name, check) in checks {
            var plan = ServicePlan.empty
            plan.healthCheck = check
            plans[Catalog.ServiceID(ObjectName(namespace: "default", name: name), family)] = plan
        }
        var report = CommitReport(
            isWhole: false,
            duration: .zero,
            succeeded: succeeded,
            hasMore: false,
            plans: plans
        )
        report.nodePorts = nodePorts
        return report
    }

    @Test func portsFollowCommits() async throws {
        try await withPorts { ports, listeners in
            ports.committed(commit(["web": HealthCheck(port: 31000, localEndpoints: 1)], succeeded: false))
            ports.committed(commit(["web": HealthCheck(port: 31001, localEndpoints: 1)]))
            ports.committed(commit(["web": HealthCheck(port: 31001, localEndpoints: 1)], .ipv6))
            try await eventually { listeners.open == ["0.0.0.0:31001", "[::]:31001"] }
            #expect(listeners.answer("0.0.0.0:31001")?.code == 200)

            // Counts change without another socket, each family for itself.
            let attempts = listeners.state.withLock { $0.attempts }
            ports.committed(commit(["web": HealthCheck(port: 31001, localEndpoints: 0)]))
            #expect(listeners.answer("0.0.0.0:31001")?.code == 503)
            #expect(listeners.answer("[::]:31001")?.weight == 1)
            #expect(listeners.state.withLock { $0.attempts } == attempts)

            // Another port, other addresses, another Service on the old port, the end.
            ports.committed(commit(["web": HealthCheck(port: 31002, localEndpoints: 0)]))
            try await eventually { listeners.open == ["0.0.0.0:31002", "[::]:31001"] }
            let selections: NodePortSelections = [
                .ipv4: .only([address("192.0.2.1"), address("192.0.2.2")]), .ipv6: .only([]),
            ]
            ports.committed(commit(["shop": HealthCheck(port: 31001, localEndpoints: 3)], on: selections))
            try await eventually {
                listeners.open
                    == ["192.0.2.1:31002", "192.0.2.2:31002", "192.0.2.1:31001", "192.0.2.2:31001"]
            }
            #expect(listeners.answer("192.0.2.2:31001")?.weight == 3)
            ports.committed(commit(["web": nil], on: selections))
            try await eventually { listeners.open == ["192.0.2.1:31001", "192.0.2.2:31001"] }
            #expect(listeners.events == [])
        }
    }

    @Test func aPortThatIsTakenIsReportedAndTriedAgain() async throws {
        try await withPorts { ports, listeners in
            listeners.state.withLock { $0.refused = ["0.0.0.0:31000"] }
            let checks = [
                "web": HealthCheck(port: 31000, localEndpoints: 1, uid: "u1"),
                "shop": HealthCheck(port: 31001, localEndpoints: 1),
            ]
            ports.committed(commit(checks))
            try await eventually { listeners.events.count == 1 && listeners.open == ["0.0.0.0:31001"] }
            let event = try #require(listeners.events.first)
            #expect(event.subject == .service(ObjectName(namespace: "default", name: "web"), uid: "u1"))
            #expect((event.reason, event.action) == ("FailedToStartServiceHealthcheck", "Listen"))
            #expect(event.isWarning)
            #expect(event.note.contains("0.0.0.0:31000") && event.note.contains("address in use"))
            // Not by a commit that fails, and by any that succeeds.
            listeners.state.withLock { $0.refused = [] }
            ports.committed(commit(succeeded: false))
            ports.committed(commit())
            try await eventually { listeners.open == ["0.0.0.0:31000", "0.0.0.0:31001"] }
        }
    }

    @Test func aFailureIsTriedAgainWithoutCommits() async throws {
        try await withPorts(retry: .init(pause: .zero, interval: .milliseconds(5))) { ports, listeners in
            listeners.state.withLock { $0.refused = ["0.0.0.0:31000"] }
            ports.committed(commit(["web": HealthCheck(port: 31000, localEndpoints: 1)]))
            try await eventually { listeners.events.count >= 2 }
            listeners.state.withLock { $0.refused = [] }
            try await eventually { listeners.open == ["0.0.0.0:31000"] }
        }
    }

    @Test func twoServicesWithOnePortAreServedOnce() async throws {
        try await withPorts { ports, listeners in
            ports.committed(
                commit([
                    "b": HealthCheck(port: 31000, localEndpoints: 2), "a": HealthCheck(port: 31000, localEndpoints: 1),
                ])
            )
            try await eventually { listeners.events.count == 1 }
            #expect(listeners.answer("0.0.0.0:31000")?.weight == 1)
            ports.committed(commit(["a": nil]))
            try await eventually { listeners.answer("0.0.0.0:31000")?.weight == 2 }
        }
    }

    @Test func aSickProxyWantsNoTraffic() async throws {
        let isHealthy = Mutex(true)
        try await withPorts(isHealthy: { isHealthy.withLock { $0 } }) { ports, listeners in
            ports.committed(commit(["web": HealthCheck(port: 31000, localEndpoints: 1)]))
            try await eventually { listeners.answer("0.0.0.0:31000")?.code == 200 }
            isHealthy.withLock { $0 = false }
            #expect(listeners.answer("0.0.0.0:31000")?.code == 503)
        }
    }

    @Test func servicesWithoutHealthChecksCostNothing() {
        var sockets = HealthCheckSockets()
        let none = sockets.take(commit(["web": nil]))
        #expect(!none)
        #expect(sockets.checks.isEmpty)
        let elsewhere = sockets.take(commit(on: [.ipv4: .only([])]))
        #expect(!elsewhere)
        let faulty = sockets.take(commit(["web": HealthCheck(port: 0, localEndpoints: 1)]))
        #expect(faulty)
        #expect(sockets.wanted.isEmpty)
        #expect(sockets.withoutPort.count == 1)
    }
}
