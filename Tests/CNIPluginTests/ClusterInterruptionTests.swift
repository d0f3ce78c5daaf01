import Foundation
import Testing

/// Plugins that are killed while they write to a shared store, and Pods that the store does not know.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct ClusterInterruptionTests {
    /// What a killed ADD left is finished by the next ADD, or removed by the DEL that a runtime sends (X6).
    @Test(arguments: ClusterStore.allCases)
    func aKilledAddIsFinishedOrRemoved(_ kind: ClusterStore) async throws {
        let cluster = try await ClusterBench(kind)
        for round in 0..<8 {
            let pod = try cluster.bench.pod()
            let container = "c\(round)"
            let pods = try cluster.schedule("web-\(round)", container: container)
            _ = try await cluster.bench.run(
                cluster.bench.environment("ADD", container, namespace: pod, arguments: pods),
                stdin: cluster.configuration(),
                killAfter: .milliseconds(20 + 25 * round)
            )
            if round.isMultiple(of: 2) {
                let added = try await cluster.call("ADD", container, namespace: pod, arguments: pods)
                #expect(added.status == 0, "\(round): \(added.output) \(added.log)")
                #expect(try await cluster.assignedAddresses() == added.addresses.sorted(), "\(round)")
                #expect(try await cluster.recordedAddresses() == added.addresses.sorted(), "\(round)")
            }
            // Without transactions the handle may count what the killed ADD did not write any more. When one interface is
            // taken back, that is left, as the ADD of another interface may have counted it; a further DEL takes it away.
            for _ in 1...(kind == .kubernetes ? 2 : 1) {
                let deleted = try await cluster.call("DEL", container, namespace: pod, arguments: pods)
                #expect(deleted.status == 0, "\(round): \(deleted.output) \(deleted.log)")
                #expect(try await cluster.assignedAddresses() == [], "\(round)")
                #expect(try await cluster.recordedAddresses() == [], "\(round)")
                #expect(try cluster.bench.hostLinks() == [], "\(round)")
            }
            try await cluster.expectNothingLeft()
        }
    }

    /// Attachments are recorded at Pods there, so that one without a Pod cannot be, and is told why.
    @Test func kubernetesNeedsAPod() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        let nameless = try await cluster.call("ADD", "c1", namespace: pod, arguments: "IgnoreUnknown=1")
        #expect(nameless.status == 1)
        #expect(nameless.output.contains("K8S_POD_NAME"), "\(nameless.output)")
        try await cluster.expectNothingLeft()
        #expect(try cluster.bench.podAddresses(pod) == [])

        let unknown = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=nobody"
        let refused = try await cluster.call("ADD", "c1", namespace: pod, arguments: unknown)
        #expect(refused.status == 1)
        #expect(refused.output.contains("shop/nobody"), "\(refused.output)")
        try await cluster.expectNothingLeft()
        #expect(try cluster.bench.podAddresses(pod) == [])
    }
}
