import ClusterClient
import KubernetesAPI
import Logging
import NetworkTypes
import Synchronization
import Testing

@testable import ServiceProxy

/// What is waited for before the first rule (1.6).
@Suite struct NodeGateTests {
    /// Takes what comes through the gate.
    private final class Consumer: Sendable {
        let batches = Mutex<[ObjectBatch]>([])

        var synced: Set<ObjectKind> { batches.withLock { $0.reduce(into: []) { $0.formUnion($1.synced) } } }
        var changes: Int { batches.withLock { $0.reduce(0) { $0 + $1.changes.count } } }
    }

    private static func node(_ addresses: [String] = [], podCIDRs: [String] = []) -> ObjectChange {
        .set(
            .node(
                Node(
                    metadata: ObjectMeta(name: "here"),
                    internalIPs: addresses.map { address($0) },
                    podCIDRs: podCIDRs.map { CIDR($0)! }
                )
            )
        )
    }

    private func withGate(
        mode: String = "",
        patience: NodeGate.Patience = NodeGate.Patience(node: .seconds(60)),
        _ body: (NodeGate, Consumer, @escaping @Sendable () -> String?) async throws -> Void
    ) async throws {
        var configuration = KubeProxyConfiguration()
        configuration.detectLocalMode = mode
        let consumer = Consumer()
        let gate = NodeGate(
            name: "here",
            configuration: configuration,
            families: Set(IPFamily.allCases),
            patience: patience,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            consumer: { batch in consumer.batches.withLock { $0.append(batch) } }
        )
        let failure = FailureBox()
        let run = Task {
            do {
                try await gate.run()
            } catch let error as NodeGate.Failure {
                failure.text.withLock { $0 = error.description }
            }
        }
        try await body(gate, consumer, { failure.text.withLock { $0 } })
        run.cancel()
        try await run.value
    }

    private final class FailureBox: Sendable {
        let text = Mutex<String?>(nil)
    }

    @Test func opensWhenTheNodeHasAnAddress() async throws {
        try await withGate { gate, consumer, _ in
            await gate.receive(ObjectBatch(synced: [.service, .node]))
            #expect(consumer.synced == [.service])
            await gate.receive(ObjectBatch(changes: [Self.node()]))
            await gate.receive(ObjectBatch(changes: [.set(.node(Node(metadata: ObjectMeta(name: "there"))))]))
            // What comes is passed on at once all the same.
            #expect(consumer.changes == 2)
            #expect(consumer.synced == [.service])
            await gate.receive(ObjectBatch(changes: [Self.node(["172.16.0.1"])]))
            #expect(consumer.synced == [.service, .node])
        }
    }

    @Test func isOpenAtOnceForANodeThatIsThere() async throws {
        try await withGate(mode: "NodeCIDR") { gate, consumer, _ in
            let batch = ObjectBatch(changes: [Self.node(["fd16::1"], podCIDRs: ["fd09::/64"])], synced: [.node])
            await gate.receive(batch)
            #expect(consumer.batches.withLock { $0 } == [batch])
        }
    }

    @Test func goesOnWithoutTheNodeInTheEnd() async throws {
        try await withGate(patience: .init(node: .milliseconds(50))) { gate, consumer, failure in
            await gate.receive(ObjectBatch(synced: [.node]))
            #expect(consumer.synced == [])
            try await eventually { consumer.synced == [.node] }
            #expect(failure() == nil)
        }
    }

    @Test func doesNotWaitWhereNoNodeNeedBe() async throws {
        try await withGate(patience: .withoutNode) { gate, consumer, _ in
            await gate.receive(ObjectBatch(synced: [.node]))
            #expect(consumer.synced == [.node])
        }
    }

    @Test func waitsForPrefixesWhereTheyAreNeeded() async throws {
        try await withGate(
            mode: "NodeCIDR",
            patience: .init(node: .milliseconds(20), podCIDRs: .seconds(60))
        ) { gate, consumer, failure in
            await gate.receive(ObjectBatch(changes: [Self.node(["172.16.0.1"])], synced: [.node]))
            try await Task.sleep(for: .milliseconds(60))
            #expect(consumer.synced == [] && failure() == nil)
            await gate.receive(ObjectBatch(changes: [Self.node(["172.16.0.1"], podCIDRs: ["10.9.0.0/24"])]))
            #expect(consumer.synced == [.node])
        }
    }

    @Test(arguments: [
        (["172.16.0.1"], [], "Node here: spec.podCIDRs of the Node is still missing after 0.04 seconds"),
        (["172.16.0.1"], ["fd09::/64"], "Node here: spec.podCIDRs of the Node has only IPv6 addresses"),
    ])
    func endsWithoutPrefixesOfItsFamily(_ addresses: [String], _ podCIDRs: [String], _ reason: String) async throws {
        try await withGate(
            mode: "NodeCIDR",
            patience: .init(node: .milliseconds(20), podCIDRs: .milliseconds(20))
        ) { gate, consumer, failure in
            await gate.receive(ObjectBatch(changes: [Self.node(addresses, podCIDRs: podCIDRs)], synced: [.node]))
            try await eventually { failure() != nil }
            #expect(failure()?.hasPrefix(reason) == true, "\(failure() ?? "")")
            #expect(consumer.synced == [])
        }
    }
}
