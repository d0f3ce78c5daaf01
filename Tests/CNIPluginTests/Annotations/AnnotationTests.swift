import CNI
import Foundation
import TestAPIServer
import Testing

/// Annotations as they reach a pod: through the runtime's capability, or from the API.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct AnnotationTests {
    private static let pods = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"
    private static let two =
        #"{"name": "four", "cidr": "10.80.0.0/24"}, {"name": "other", "cidr": "10.81.0.0/24"}, \#(Bench.pool6)"#

    /// The members of a configuration with which containerd passes annotations.
    private static func members(_ annotations: [String: String], _ more: String = "") throws -> String {
        let full = Dictionary(uniqueKeysWithValues: annotations.map { ("cni.projectcalico.org/" + $0.key, $0.value) })
        let text = String(decoding: try JSONEncoder().encode(full), as: UTF8.self)
        return #", "runtimeConfig": {"io.kubernetes.cri.pod-annotations": \#(text)\#(more)}"#
    }

    @Test func fromTheRuntime() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let configuration = bench.configuration(
            pools: Self.two,
            extra: try Self.members([
                "ipv4pools": #"["other"]"#, "ipv6pools": #"["fd80::/120"]"#, "ipFamilies": #"["IPv4", "IPv6"]"#,
                "hwAddr": "0a:58:00:00:00:09",
            ])
        )
        let added = try await bench.call("ADD", "c1", namespace: pod, arguments: Self.pods, configuration)
        #expect(added.status == 0, "\(added.output) \(added.log)")
        #expect(zip(added.addresses, ["10.81.0.", "fd80::"]).allSatisfy { $0.hasPrefix($1) }, "\(added.addresses)")
        #expect(added.addresses.count == 2)
        let link = try bench.ip("link", "show", "dev", "eth0", in: pod).first
        #expect(link?["address"] as? String == "0a:58:00:00:00:09")
        let again = try await bench.call("ADD", "c1", namespace: pod, arguments: Self.pods, configuration)
        #expect(again.output == added.output, "\(again.log)")
        #expect(try await bench.call("DEL", "c1", namespace: pod, arguments: Self.pods, configuration).status == 0)
        #expect(try await bench.assignedAddresses() == [])
    }

    @Test func theCapabilityOfTheAddressGoesFirst() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let configuration = bench.configuration(
            extra: try Self.members(
                ["ipAddrs": #"["10.80.0.9"]"#, "hwAddr": "0a:58:00:00:00:09"],
                #", "ips": ["10.80.0.8"], "mac": "0a:58:00:00:00:08""#
            )
        )
        let added = try await bench.call("ADD", "c1", namespace: pod, arguments: Self.pods, configuration)
        #expect(added.addresses == ["10.80.0.8"], "\(added.output)")
        let link = try bench.ip("link", "show", "dev", "eth0", in: pod).first
        #expect(link?["address"] as? String == "0a:58:00:00:00:08")
    }

    /// S4, C16: a pod that asks for an address gets it again when its sandbox is made again, and nobody else does.
    @Test func aRequestedAddressFollowsThePod() async throws {
        let bench = try Bench()
        let configuration = bench.configuration(extra: try Self.members(["ipAddrs": #"["10.80.0.9"]"#]))
        let (first, second, other) = (try bench.pod(), try bench.pod(), try bench.pod())
        func call(_ command: String, _ container: String, _ namespace: String, _ name: String) async throws
            -> Bench.Outcome
        {
            let arguments = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=\(name)"
            return try await bench.call(command, container, namespace: namespace, arguments: arguments, configuration)
        }
        #expect(try await call("ADD", "c1", first, "web-0").addresses == ["10.80.0.9"])
        #expect(try await call("ADD", "c3", other, "web-1").code == 101)
        let again = try await call("ADD", "c2", second, "web-0")
        #expect(again.addresses == ["10.80.0.9"], "\(again.output) \(again.log)")
        // The end of the first sandbox takes nothing from the second.
        #expect(try await call("DEL", "c1", first, "web-0").status == 0)
        #expect(try await bench.assignedAddresses() == ["10.80.0.9"])
        #expect(try bench.podAddresses(second) == ["10.80.0.9"])
        #expect(try bench.hostRoutes() == ["10.80.0.9"])
        #expect(try await call("DEL", "c2", second, "web-0").status == 0)
        #expect(try await bench.assignedAddresses() == [])
    }

    @Test func addressesWithoutIPAM() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let annotations = ["ipAddrsNoIpam": #"["192.0.2.7", "2001:db8::7"]"#]
        let refused = try await bench.call(
            "ADD",
            "c1",
            namespace: pod,
            bench.configuration(extra: try Self.members(annotations))
        )
        #expect(refused.code == 7, "\(refused.output)")
        #expect(refused.output.contains("ip_addrs_no_ipam"))
        let allowed = #", "feature_control": {"ip_addrs_no_ipam": true}"#
        let configuration = bench.configuration(extra: try Self.members(annotations) + allowed)
        let added = try await bench.call("ADD", "c1", namespace: pod, configuration)
        #expect(added.addresses == ["192.0.2.7", "2001:db8::7"], "\(added.output)")
        #expect(try await bench.assignedAddresses() == [])
        #expect(try bench.hostRoutes() == ["192.0.2.7", "2001:db8::7"])
        let again = try await bench.call("ADD", "c1", namespace: pod, configuration)
        #expect(again.output == added.output, "\(again.log)")
        let previous = bench.configuration(
            extra: try Self.members(annotations) + allowed + #", "prevResult": \#(added.output)"#
        )
        let checked = try await bench.call("CHECK", "c1", namespace: pod, previous)
        #expect(checked.status == 0, "\(checked.output)")
        #expect(try await bench.call("DEL", "c1", namespace: pod, configuration).status == 0)
        #expect(try bench.hostRoutes() == [])
        #expect(try await bench.recordedAddresses() == [])
    }

    /// 1.3: they are for the agent, which reads the record; a gate has to be open for the first.
    @Test func floatingAddressesAndSources() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let annotations = ["floatingIPs": #"["192.0.2.7"]"#, "allowedSourcePrefixes": #"["198.51.100.0/24"]"#]
        let members = try Self.members(annotations)
        let closed = try await bench.call("ADD", "c1", namespace: pod, bench.configuration(extra: members))
        #expect(closed.code == 7 && closed.output.contains("feature_control.floating_ips"), "\(closed.output)")
        let open = members + #", "feature_control": {"floating_ips": true}"#
        let added = try await bench.call("ADD", "c1", namespace: pod, bench.configuration(extra: open))
        #expect(added.status == 0, "\(added.output)")
        let record = try #require(try await bench.store.list(.resources(.workloadEndpoints)).first)
        let text = String(decoding: record.value, as: UTF8.self)
        #expect(text.contains(#""externalIP":"192.0.2.7""#) && text.contains("198.51.100.0"), "\(text)")
        // A repeated ADD has nothing to write.
        let again = try await bench.call("ADD", "c1", namespace: pod, bench.configuration(extra: open))
        #expect(again.output == added.output)
        #expect(try await bench.store.list(.resources(.workloadEndpoints)).map(\.revision) == [record.revision])
    }

    /// What cannot be done is refused with its code, and nothing is left of it.
    @Test(arguments: [
        (["ipAddrs": #"["10.80.0.9""#], 6), (["ipAddrs": #"["192.0.2.1"]"#], 101), (["ipv4pools": #"["nowhere"]"#], 7),
        (["hwAddr": "zz"], 6), (["ipFamilies": #"["IPv5"]"#], 7), (["ipAddrs": #"["0.0.0.0"]"#], 7),
        (["ipAddrs": #"["10.80.0.9"]"#, "ipAddrsNoIpam": #"["10.80.0.9"]"#], 7), (["floatingIPs": #"["x"]"#], 6),
        (["allowedSourcePrefixes": #"["10.0.0.0/33"]"#], 6), (["floatingIPs": #"["192.0.2.7"]"#], 7),
    ])
    func refusalsLeaveNothing(_ annotations: [String: String], _ code: Int) async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let configuration = bench.configuration(extra: try Self.members(annotations))
        let refused = try await bench.call("ADD", "c1", namespace: pod, arguments: Self.pods, configuration)
        #expect(refused.status == 1)
        #expect(refused.code == code, "\(refused.output)")
        #expect(try bench.hostLinks() == [])
        #expect(try bench.ip("link", in: pod).count == 1)
        #expect(try await bench.assignedAddresses() == [])
        #expect(try await bench.recordedAddresses() == [])
        // DEL asks for none of it.
        #expect(try await bench.call("DEL", "c1", namespace: pod, arguments: Self.pods, configuration).status == 0)
    }

    // MARK: From the API

    private func annotated(_ pairs: [String: String]) throws -> String {
        let full = Dictionary(uniqueKeysWithValues: pairs.map { ("cni.projectcalico.org/" + $0.key, $0.value) })
        return String(decoding: try JSONEncoder().encode(full), as: UTF8.self)
    }

    private func put(
        _ cluster: ClusterBench,
        pod: String,
        _ annotations: [String: String],
        namespace: [String: String] = [:]
    ) throws {
        try cluster.server.put(
            #"""
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"tier": "front"},
             "annotations": \#(annotated(namespace))}}
            """#
        )
        try cluster.server.put(
            #"""
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "\#(pod)",
             "annotations": \#(annotated(annotations))},
             "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "i"}]}}
            """#
        )
    }

    @Test func fromTheAPI() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        try cluster.server.put(
            #"""
            {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": {"name": "spare"},
             "spec": {"cidr": "10.81.0.0/24", "blockSize": 26, "nodeSelector": "!all()"}}
            """#
        )
        func add(_ name: String, _ members: String = "") async throws -> Bench.Outcome {
            let arguments = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=\(name)"
            return try await cluster.call(
                "ADD",
                "c-\(name)",
                namespace: cluster.bench.pod(),
                arguments: arguments,
                cluster.configuration(ipv6: false, extra: members)
            )
        }
        try put(cluster, pod: "a", ["ipAddrs": #"["10.80.0.77"]"#], namespace: ["ipv4pools": #"["spare"]"#])
        let first = try await add("a")
        #expect(first.addresses == ["10.80.0.77"], "\(first.output) \(first.log)")
        // The Namespace's pool, which no Node gets by itself.
        try put(cluster, pod: "b", [:], namespace: ["ipv4pools": #"["spare"]"#])
        let second = try await add("b")
        #expect(second.addresses.first?.hasPrefix("10.81.0.") == true, "\(second.output) \(second.log)")
        // The Pod's own goes first, and the runtime's word before the API's.
        try put(
            cluster,
            pod: "c",
            ["ipv4pools": #"["four"]"#, "ipFamilies": #"["IPv4", "IPv6"]"#],
            namespace: ["ipv4pools": #"["spare"]"#]
        )
        let third = try await add("c")
        #expect(third.addresses.count == 2, "\(third.output) \(third.log)")
        #expect(third.addresses.first?.hasPrefix("10.80.0.") == true)
        try put(cluster, pod: "d", ["ipAddrs": "nonsense"])
        let told = try await add("d", try Self.members(["ipAddrs": #"["10.80.0.88"]"#]))
        #expect(told.addresses == ["10.80.0.88"], "\(told.output) \(told.log)")
        try put(cluster, pod: "e", ["ipAddrs": "nonsense"])
        let refused = try await add("e")
        #expect(refused.code == 6, "\(refused.output)")
        #expect(refused.output.contains("cni.projectcalico.org/ipAddrs"))
    }

    /// 1.1: with `policy.type` `k8s` also where the records are kept elsewhere.
    @Test func fromTheAPIBesideAnotherStore() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let bench = cluster.bench
        try put(cluster, pod: "a", ["hwAddr": "0a:58:00:00:00:09"], namespace: ["ipv4pools": #"["other"]"#])
        func call(_ command: String, _ pod: String, _ members: String) async throws -> Bench.Outcome {
            try await bench.call(
                command,
                "c-\(pod)",
                namespace: command == "ADD" ? bench.pod() : nil,
                arguments: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=\(pod)",
                bench.configuration(pools: Self.two, extra: members)
            )
        }
        let access = #", "kubernetes": {"kubeconfig": "\#(bench.directory)/kubeconfig"}"#
        let asking = access + #", "policy": {"type": "k8s"}"#
        let added = try await call("ADD", "a", asking)
        #expect(added.addresses.first?.hasPrefix("10.81.0.") == true, "\(added.output) \(added.log)")
        #expect(added.output.contains("0a:58:00:00:00:09"))
        #expect(try await bench.recordedAddresses() == added.addresses)
        let missing = try await call("ADD", "b", asking)
        #expect(missing.code == 11 && missing.output.contains("shop/b"), "\(missing.output)")
        // Without that word nobody is asked.
        let unasked = try await call("ADD", "b", access)
        #expect(unasked.addresses.count == 1, "\(unasked.output) \(unasked.log)")
        try cluster.lose(hanging: false)
        let away = try await call("ADD", "d", asking)
        #expect(away.code == 11, "\(away.output)")
        // What ends a pod does not depend on the API.
        let deleted = try await call("DEL", "a", asking)
        #expect(deleted.status == 0, "\(deleted.output)")
        #expect(try await bench.assignedAddresses() == unasked.addresses)
    }

    /// 1.1: the way to the API, and who we are there, in the configuration itself.
    @Test func credentialsInTheConfiguration() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let bench = cluster.bench
        try put(cluster, pod: "a", ["ipAddrs": #"["10.80.0.77"]"#])
        try cluster.server.setToken("inline-token", user: User("plugin"))
        try cluster.server.setRules([AccessRule("plugin", verbs: ["get"], resources: ["pods", "namespaces"])])
        let authority = bench.directory + "/ca.crt"
        try cluster.server.certificateAuthorityPEM.write(toFile: authority, atomically: true, encoding: .utf8)
        func add(_ token: String) async throws -> Bench.Outcome {
            let policy =
                #"{"type": "k8s", "k8s_api_root": "\#(try cluster.server.url)", "k8s_auth_token": "\#(token)","#
                + #""k8s_certificate_authority": "\#(authority)"}"#
            return try await bench.call(
                "ADD",
                "c1",
                namespace: bench.pod(),
                arguments: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=a",
                bench.configuration(extra: #", "policy": \#(policy), "log_level": "debug""#)
            )
        }
        let refused = try await add("wrong-token")
        #expect(refused.status == 1 && [5, 11].contains(refused.code), "\(refused.output)")
        #expect(!(refused.output + refused.log).contains("wrong-token"))
        let added = try await add("inline-token")
        #expect(added.addresses == ["10.80.0.77"], "\(added.output) \(added.log)")
        #expect(!added.log.contains("inline-token"))
    }

    /// P4: a pool that selects namespaces serves those.
    @Test func aPoolSelectsNamespaces() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        for (name, cidr, selector) in [
            ("a-back", "10.82.0.0/24", "tier == 'back'"), ("b-front", "10.81.0.0/24", "tier == 'front'"),
        ] {
            try cluster.server.put(
                #"""
                {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": {"name": "\#(name)"},
                 "spec": {"cidr": "\#(cidr)", "blockSize": 26, "namespaceSelector": "\#(selector)"}}
                """#
            )
        }
        try put(cluster, pod: "a", [:])
        let added = try await cluster.call(
            "ADD",
            "c1",
            namespace: cluster.bench.pod(),
            arguments: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=a",
            cluster.configuration(ipv6: false)
        )
        #expect(added.addresses.first?.hasPrefix("10.81.0.") == true, "\(added.output) \(added.log)")
    }
}
