import Foundation
import Testing

/// The program on the stores that the nodes of a cluster share.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct ClusterAttachmentTests {
    @Test(arguments: ClusterStore.allCases)
    func lifeOfAPod(_ kind: ClusterStore) async throws {
        let cluster = try await ClusterBench(kind)
        let bench = cluster.bench
        let pod = try bench.pod()
        let pods = try cluster.schedule("web-0", container: "c1")
        let status = try await cluster.status()
        #expect(status.status == 0, "\(status.output) \(status.log)")

        let added = try await cluster.call("ADD", "c1", namespace: pod, arguments: pods)
        try #require(added.status == 0, "\(added.output) \(added.log)")
        #expect(added.addresses.count == 2)
        #expect(zip(added.addresses, ["10.80.0.", "fd80::"]).allSatisfy { $0.hasPrefix($1) }, "\(added.addresses)")
        #expect(try Set(bench.podAddresses(pod)) == Set(added.addresses))
        #expect(try Set(bench.hostRoutes()) == Set(added.addresses))
        #expect(try await cluster.recordedAddresses() == added.addresses.sorted())
        #expect(try await cluster.assignedAddresses() == added.addresses.sorted())

        let again = try await cluster.call("ADD", "c1", namespace: pod, arguments: pods)
        #expect(again.status == 0, "\(again.output) \(again.log)")
        #expect(again.output == added.output)
        #expect(try await cluster.assignedAddresses() == added.addresses.sorted())

        let previous = cluster.configuration(extra: #", "prevResult": \#(added.output)"#)
        let checked = try await cluster.call("CHECK", "c1", namespace: pod, arguments: pods, previous)
        #expect(checked.status == 0, "\(checked.output) \(checked.log)")
        #expect(checked.output == "")

        for _ in 1...2 {
            let deleted = try await cluster.call("DEL", "c1", namespace: pod, arguments: pods)
            #expect(deleted.status == 0, "\(deleted.output) \(deleted.log)")
            #expect(deleted.output == "")
            try await cluster.expectNothingLeft()
        }
        #expect(try await cluster.call("CHECK", "c1", namespace: pod, arguments: pods, previous).code == 3)
        #expect(try bench.podAddresses(pod) == [])
    }

    /// The runtime lost its Pod's namespace, and the API server has the Pod no more.
    /// K4: in Kubernetes an attachment is recorded at its Pod.
    @Test func withoutAPodThereIsNoRecord() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        for arguments in ["", "K8S_POD_NAME=web-0", "K8S_POD_NAME=;K8S_POD_NAMESPACE=shop"] {
            let refused = try await cluster.call("ADD", "c1", namespace: pod, arguments: arguments)
            #expect(refused.code == 4 && refused.output.contains("K8S_POD_NAME"), "\(refused.output)")
            #expect(try await cluster.call("DEL", "c1", namespace: pod, arguments: arguments).status == 0)
        }
        #expect(try await cluster.assignedAddresses() == [])
        #expect(try cluster.bench.hostLinks() == [])
    }

    @Test func aPodThatIsGoneIsDetached() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        let pods = try cluster.schedule("web-0", container: "c1")
        #expect(try await cluster.call("ADD", "c1", namespace: pod, arguments: pods).status == 0)
        #expect(try cluster.server.delete(.pods, namespace: "shop", name: "web-0"))
        let deleted = try await cluster.call("DEL", "c1", namespace: nil, arguments: pods)
        #expect(deleted.status == 0, "\(deleted.output) \(deleted.log)")
        try await cluster.expectNothingLeft()
    }

    /// What Calico's agents and `kubectl` see at a Pod (K4).
    @Test func calicosAnnotationsAreAtThePod() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        let pods = try cluster.schedule("web-0", container: "c1")
        let added = try await cluster.call("ADD", "c1", namespace: pod, arguments: pods)
        func annotations() throws -> [String: String] {
            let text = try #require(try cluster.server.object(.pods, namespace: "shop", name: "web-0"))
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            return ((object?["metadata"] as? [String: Any])?["annotations"] as? [String: String]) ?? [:]
        }
        let found = try annotations()
        #expect(found["cni.projectcalico.org/containerID"] == "c1")
        #expect(found["cni.projectcalico.org/podIP"] == added.addresses.first.map { $0 + "/32" })
        #expect(found["cni.projectcalico.org/podIPs"]?.split(separator: ",").count == 2)
        #expect(try await cluster.call("DEL", "c1", namespace: pod, arguments: pods).status == 0)
        #expect(try annotations()["cni.projectcalico.org/podIP"] == "")
    }

    @Test(arguments: ClusterStore.allCases)
    func garbageIsCollected(_ kind: ClusterStore) async throws {
        let cluster = try await ClusterBench(kind)
        var addresses: [String: [String]] = [:]
        for name in ["kept", "stale"] {
            let pods = try cluster.schedule(name, container: name)
            let added = try await cluster.call("ADD", name, namespace: cluster.bench.pod(), arguments: pods)
            #expect(added.status == 0, "\(added.output) \(added.log)")
            addresses[name] = added.addresses.sorted()
        }
        let collected = try await cluster.collect(valid: ["kept"])
        #expect(collected.status == 0, "\(collected.output) \(collected.log)")
        #expect(try await cluster.assignedAddresses() == addresses["kept"])
        #expect(try await cluster.recordedAddresses() == addresses["kept"])
        #expect(try cluster.bench.hostRoutes().sorted() == addresses["kept"])
        #expect(try await cluster.collect(valid: []).status == 0)
        try await cluster.expectNothingLeft()
    }

    /// Several plugins at once, as when a node starts: every one gets addresses of its own.
    @Test(arguments: ClusterStore.allCases)
    func manyPodsAtOnce(_ kind: ClusterStore) async throws {
        let cluster = try await ClusterBench(kind)
        let pods = try (0..<6).map { (try cluster.bench.pod(), try cluster.schedule("p\($0)", container: "c\($0)")) }
        let outcomes = try await withThrowingTaskGroup(of: Bench.Outcome.self) { group in
            for (index, (namespace, arguments)) in pods.enumerated() {
                group.addTask {
                    try await cluster.call("ADD", "c\(index)", namespace: namespace, arguments: arguments)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        for outcome in outcomes { #expect(outcome.status == 0, "\(outcome.output) \(outcome.log)") }
        let addresses = outcomes.flatMap(\.addresses)
        #expect(Set(addresses).count == 12)
        #expect(try await cluster.assignedAddresses() == addresses.sorted())
        for (index, (namespace, arguments)) in pods.enumerated() {
            #expect(try await cluster.call("DEL", "c\(index)", namespace: namespace, arguments: arguments).status == 0)
        }
        try await cluster.expectNothingLeft()
    }
}
