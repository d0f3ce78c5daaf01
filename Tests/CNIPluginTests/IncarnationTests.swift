import Foundation
import TestAPIServer
import Testing

/// 1.2: a Pod is deleted and made again under its name, which the runtime and the API server learn at different times.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct IncarnationTests {
    private static let pods = "/api/v1/namespaces/shop/pods/web-0"

    private func put(_ cluster: ClusterBench, uid: String, _ annotations: String = "{}") throws {
        try cluster.server.put(
            #"""
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "web-0", "uid": "\#(uid)",
             "annotations": \#(annotations)}, "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "i"}]}}
            """#
        )
    }

    private func annotations(_ cluster: ClusterBench) throws -> [String: String] {
        let text = try #require(try cluster.server.object(.pods, namespace: "shop", name: "web-0"))
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return ((object?["metadata"] as? [String: Any])?["annotations"] as? [String: String]) ?? [:]
    }

    private func arguments(_ uid: String) -> String {
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=\(uid)"
    }

    /// Whether the annotations come from the API or from the runtime.
    @Test(arguments: [true, false])
    func anotherPodsAnnotationsDoNotCount(_ fromRuntime: Bool) async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        let asked = #"{"cni.projectcalico.org/ipAddrs": "[\"10.80.0.77\"]"}"#
        try put(cluster, uid: "old", asked)
        let given = fromRuntime ? #", "runtimeConfig": {"io.kubernetes.cri.pod-annotations": {}}"# : ""
        let configuration = cluster.configuration(ipv6: false, extra: given)
        let refused = try await cluster.call("ADD", "c1", namespace: pod, arguments: arguments("new"), configuration)
        #expect(refused.code == 11, "\(refused.output) \(refused.log)")
        #expect(refused.output.contains("old") && refused.output.contains("new"), "\(refused.output)")
        try await cluster.expectNothingLeft()
        #expect(try annotations(cluster) == ["cni.projectcalico.org/ipAddrs": #"["10.80.0.77"]"#])
        // The runtime tries again, and the API server has caught up.
        try put(cluster, uid: "new")
        let added = try await cluster.call("ADD", "c1", namespace: pod, arguments: arguments("new"), configuration)
        #expect(added.status == 0, "\(added.output) \(added.log)")
        #expect(added.addresses.count == 1 && added.addresses != ["10.80.0.77"])
        #expect(try annotations(cluster)["cni.projectcalico.org/containerID"] == "c1")
    }

    /// It is replaced after it was looked at, while its record is on the way.
    @Test func anotherPodGetsNoRecord() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        try put(cluster, uid: "first")
        _ = try cluster.server.addFault(.init(.delay(.seconds(2)), method: "PATCH", path: Self.pods))
        async let adding = cluster.call("ADD", "c1", namespace: pod, arguments: arguments("first"))
        let deadline = ContinuousClock.now + .seconds(20)
        while try cluster.bench.podAddresses(pod).isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        _ = try cluster.server.delete(.pods, namespace: "shop", name: "web-0")
        try put(cluster, uid: "second")
        let refused = try await adding
        #expect(refused.code == 11, "\(refused.output) \(refused.log)")
        #expect(try annotations(cluster) == [:])
        try await cluster.expectNothingLeft()
    }

    /// The kubelet has another UID for a static Pod than its mirror in the API has.
    @Test(arguments: ["kubernetes.io/config.mirror", "kubernetes.io/config.hash"])
    func aStaticPodIsItsMirror(_ annotation: String) async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        try put(cluster, uid: "mirror", #"{"\#(annotation)": "static"}"#)
        let added = try await cluster.call("ADD", "c1", namespace: pod, arguments: arguments("static"))
        #expect(added.status == 0, "\(added.output) \(added.log)")
        // Whom a runtime does not tell apart is not told apart.
        let unnamed = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"
        let again = try await cluster.call("ADD", "c1", namespace: pod, arguments: unnamed)
        #expect(again.output == added.output, "\(again.log)")
    }

    /// The same while its record is being taken back.
    @Test func aPodThatIsReplacedDuringItsDelete() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        try put(cluster, uid: "old")
        #expect(try await cluster.call("ADD", "c1", namespace: pod, arguments: arguments("old")).status == 0)
        let fault = try cluster.server.addFault(.init(.delay(.seconds(2)), method: "PATCH", path: Self.pods))
        async let deleting = cluster.call("DEL", "c1", namespace: pod, arguments: arguments("old"))
        let deadline = ContinuousClock.now + .seconds(20)
        while try cluster.server.hits(of: fault) == 0, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        _ = try cluster.server.delete(.pods, namespace: "shop", name: "web-0")
        try put(cluster, uid: "new", #"{"theirs": "stays"}"#)
        let deleted = try await deleting
        #expect(deleted.status == 0, "\(deleted.output) \(deleted.log)")
        #expect(try annotations(cluster) == ["theirs": "stays"])
        try await cluster.expectNothingLeft()
    }

    /// The end of a Pod takes nothing from the next of its name.
    @Test func aDeleteIsOfItsOwnPod() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let (old, new) = (try cluster.bench.pod(), try cluster.bench.pod())
        try put(cluster, uid: "old")
        #expect(try await cluster.call("ADD", "c1", namespace: old, arguments: arguments("old")).status == 0)
        _ = try cluster.server.delete(.pods, namespace: "shop", name: "web-0")
        try put(cluster, uid: "new")
        let added = try await cluster.call("ADD", "c2", namespace: new, arguments: arguments("new"))
        #expect(added.status == 0, "\(added.output) \(added.log)")
        let before = try annotations(cluster)
        #expect(try await cluster.call("DEL", "c1", namespace: old, arguments: arguments("old")).status == 0)
        #expect(try annotations(cluster) == before)
        #expect(try await cluster.assignedAddresses() == added.addresses.sorted())
        #expect(try cluster.bench.hostRoutes().sorted() == added.addresses.sorted())
    }
}
