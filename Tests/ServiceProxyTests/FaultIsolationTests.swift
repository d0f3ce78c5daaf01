import ClusterClient
import KubernetesAPI
import Logging
import NFTables
import NetworkTypes
import Synchronization
import Testing

@testable import ServiceProxy

/// One bad Service cannot stop the others: from objects to the kernel in memory.
@Suite struct FaultIsolationTests {
    private final class Events: ControllerObserver {
        let all = Mutex<[ProxyEvent]>([])

        func happened(_ event: ProxyEvent) { all.withLock { $0.append(event) } }
    }

    @Test func aServiceThatTheKernelRefusesIsSetAsideAndTriedAgain() async throws {
        let kernel = FakeKernel()
        let table = ServiceTable(family: .ipv4, options: NFTablesOptions())
        let events = Events()
        let controller = ServiceController(
            node: NodeFacts(name: "here"),
            planner: ServicePlanner(),
            awaiting: [.service],
            families: [.ipv4],
            retry: .init(refusedInterval: .milliseconds(20)),
            observers: [events],
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            makeBackend: { _ in
                NFTablesBackend(
                    kernel: kernel,
                    families: [.ipv4],
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                )
            }
        )
        func elementCount() throws -> Int { try kernel.elements(of: "no-endpoints", in: table.table).count }
        func reasons() -> [String] { events.all.withLock { $0.map(\.reason) } }

        try await withThrowingTaskGroup { group in
            group.addTask { await controller.run() }
            await controller.receive(ObjectBatch(synced: [.service]))
            try await eventually { (try? kernel.table(table.table)) != .some(nil) }

            // Someone else's element is in the way of one Service, whose table the others share.
            let bad = Frontend.Key.address(address("10.96.0.17"), .tcp, 80)
            let map = table.maps.service.noEndpoints
            var obstacle = Transaction(table: table.table)
            obstacle.add(Element(Key.frontend(bad), .verdict(.drop)), to: map)
            try kernel.commit(obstacle)
            let services = (1...40).map { service("s\($0)", clusterIPs: ["10.96.0.\($0)"]) }
            await controller.receive(ObjectBatch(changes: services.map { .set(.service($0)) }))
            try await eventually { reasons().contains("FailedToProgramFrontend") }
            #expect(try elementCount() == 40)
            let event = try #require(events.all.withLock { $0.first })
            #expect(event.subject == .service(ObjectName(namespace: "default", name: "s17"), uid: ""))
            #expect(event.note.hasPrefix("10.96.0.17:80/TCP is not served as wanted: "))
            #expect(!reasons().contains("FrontendProgrammed"))

            var removal = Transaction(table: table.table)
            removal.delete(Element(Key.frontend(bad), .verdict(.drop)), from: map)
            try kernel.commit(removal)
            try await eventually { reasons().last == "FrontendProgrammed" }
            #expect(try elementCount() == 40)
            group.cancelAll()
            try await group.waitForAll()
        }
        #expect(Set(reasons()) == ["FailedToProgramFrontend", "FrontendProgrammed"])
        #expect(events.all.withLock { Set($0.map(\.subject)).count } == 1)
    }
}
