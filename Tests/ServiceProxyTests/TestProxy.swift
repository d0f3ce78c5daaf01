import ClusterClient
import KubernetesAPI
import NFTables
import NetworkTypes
import Synchronization

@testable import ServiceProxy

/// The parts of a proxy, put together as the program does, for a ``TestNode``.
struct TestProxy: Sendable {
    let controller: ServiceController
    private let cleaner: ConntrackCleaner
    private let plans: Plans

    /// What was programmed last.
    private final class Plans: ControllerObserver {
        let plans = Mutex<[Catalog.ServiceID: ServicePlan]>([:])

        func committed(_ commit: CommitReport) {
            guard commit.succeeded else { return }
            plans.withLock { $0.merge(commit.plans) { _, new in new } }
        }
    }

    init(on node: TestNode) {
        let (namespace, pods) = (node.node, TestNode.podNetworks)
        let plans = Plans()
        let cleaner = ConntrackCleaner(
            table: KernelConntrackTable(namespace: namespace),
            localAddresses: { (try? namespace.run { LocalNode.addresses() }) ?? nil },
            logger: silent
        )
        self.cleaner = cleaner
        self.plans = plans
        controller = ServiceController(
            node: NodeFacts(name: "here"),
            planner: ServicePlanner(familiesWithLocalDetection: [.ipv4, .ipv6]),
            awaiting: [.service, .endpointSlice],
            observers: [cleaner, plans],
            logger: silent
        ) { surroundings in
            NFTablesBackend(
                kernel: try NetfilterSocket(in: namespace),
                options: NFTablesOptions(localSources: pods, nodePortAddresses: surroundings.nodePorts),
                logger: silent
            )
        }
    }

    /// Runs it with these objects to begin with, until `body` is done; the rules stay.
    func run(
        _ changes: [ClusterClient.ObjectChange],
        _ body: () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { await controller.run() }
            group.addTask { await cleaner.run() }
            await controller.receive(ObjectBatch(changes: changes, synced: [.service, .endpointSlice]))
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    func receive(_ changes: [ClusterClient.ObjectChange]) async {
        await controller.receive(ObjectBatch(changes: changes))
    }

    /// Where the first frontend of a Service leads, as programmed.
    func backends(of service: Catalog.ServiceID) -> [Backend] {
        plans.plans.withLock { $0[service]?.frontends.first?.route.backends ?? [] }
    }
}
