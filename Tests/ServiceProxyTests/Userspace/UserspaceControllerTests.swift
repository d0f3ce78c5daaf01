import ClusterClient
import KubernetesAPI
import Logging
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// From objects to real connections through the proxy's sockets.
@Suite(.enabled(if: isRoot), .timeLimit(.minutes(2)))
struct UserspaceControllerTests {
    private static func changes(_ pods: [Int]) -> [ObjectChange] {
        let web = service(
            "web",
            type: .nodePort,
            clusterIPs: ["10.96.0.10"],
            ports: [Service.Port(port: 80, nodePort: 30080)]
        ) { $0.metadata.annotations = ["swiftlet.io/load-balancing": "round-robin"] }
        return [.set(.service(web)), .set(.endpointSlice(slice("web-1", pods.map { "10.9.\($0).2 here" })))]
    }

    @Test
    func servicesAndTheirWishesReachTheSockets() async throws {
        let node = try TestNode()
        let controller = ServiceController(
            node: NodeFacts(name: "here", addresses: TestNode.nodeAddresses),
            planner: ServicePlanner(),
            awaiting: [.service],
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { surroundings in
            var options = UserspaceBackendTests.options(on: node)
            options.surroundings = surroundings
            return UserspaceBackend(options: options)
        }
        let run = Task { await controller.run() }
        await controller.receive(ObjectBatch(changes: Self.changes([1, 2, 3]), synced: [.service]))
        func pod(_ destination: String = "10.96.0.10", _ port: UInt16 = 80) -> String? {
            try? dial(.tcp, from: node.outside.namespace, to: address(destination), port: port, timeout: 300).pod
        }
        try await eventually { pod() != nil }
        // Chance would hardly take turns for so long.
        for _ in 0..<5 { #expect(Set((0..<3).map { _ in pod() }) == ["pod1", "pod2", "pod3"]) }
        #expect(pod("192.0.2.1", 30080) != nil)

        await controller.receive(ObjectBatch(changes: Self.changes([2])))
        try await eventually { (0..<3).allSatisfy { _ in pod() == "pod2" } }
        let gone = ObjectKey(.service, ObjectName(namespace: "default", name: "web"))
        await controller.receive(ObjectBatch(changes: [.delete(gone)]))
        try await eventually { pod() == nil && pod("192.0.2.1", 30080) == nil }
        run.cancel()
        await run.value
    }
}
