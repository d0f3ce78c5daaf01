import ClusterClient
import Foundation
import IPAM
import KubernetesAPI
import NetworkTypes
import TestAPIServer
import TestSupport
import Testing

@testable import Stores

/// `swiftletctl` commands that explain, collect, split and draw, on each store.
@Suite struct ControlProgramInsightTests {
    private static func json(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(text)")
    }

    @Test(arguments: ControlledStore.Kind.allCases)
    func leaksAreCollected(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        let store = try place.store()
        try await MigrationTests.fill(store)
        // One of the containers is in use; of another the record says nothing by which that could be told.
        let used = try await Allocator(datastore: store, host: "node-a").addresses(ofHandle: "pods.5").map(\.address)
        let key = RecordKey.resource(.workloadEndpoints, namespace: "shop", name: "node--a-k8s-cart-eth0")
        let endpoint = try #require(try await store.get(key))
        let networks = used.map { "\"\($0.hostPrefix)\"" }.joined(separator: ",")
        let value = #"{"kind":"WorkloadEndpoint","spec":{"pod":"cart","endpoint":"eth0","ipNetworks":[\#(networks)]}}"#
        _ = try await store.commit([.update(key, Data(value.utf8), endpoint.revision)])
        let usage = try await IPAMUsage.read(from: place.store())
        let looked = try await place.run("ipam", "gc", "--dry-run", "-o", "json")
        #expect(looked.status == 0, "\(looked.errors)")
        let found = try #require(try Self.json(looked.output)["addresses"] as? [[String: Any]])
        #expect(!found.isEmpty && found.allSatisfy { $0["state"] as? String != "collected" }, "\(looked.output)")
        #expect(try await IPAMUsage.read(from: place.store()) == usage)

        let collected = try await place.run("ipam", "gc", "--grace", "1", "-o", "json")
        #expect(collected.status == 0, "\(collected.errors)")
        let addresses = try #require(try Self.json(collected.output)["addresses"] as? [[String: Any]])
        #expect(addresses.count == found.count && addresses.allSatisfy { $0["state"] as? String == "collected" })
        for address in addresses {
            let ip = try #require(address["ip"] as? String)
            #expect(try await place.run("ipam", "show", "--ip", ip).status == 4)
        }
        let allocator = Allocator(datastore: store, host: "node-a")
        #expect(try await allocator.addresses(ofHandle: "pods.5").map(\.address) == used && used.count == 2)
        let check = ConsistencyCheck(try await IPAMRecords.read(from: store), now: .now)
        #expect(check.leaks.map(\.handle) == ["pods.b"])
        #expect(check.leakedHandles == [] && check.missingHandles == [] && check.invalidBlocks == [])
        withExtendedLifetime(place) {}
    }

    @Test(arguments: ControlledStore.Kind.allCases)
    func poolsAreSplitUnderLock(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        try await MigrationTests.fill(place.store())
        let before = try await IPAMUsage.read(from: place.store())
        let refused = try await place.run("ipam", "split", "4", "--name", "four")
        #expect(refused.status == 1 && refused.errors.contains("not locked"), "\(refused.errors)")
        #expect(try await place.run("ipam", "split", "3", "--name", "four").status == 2)
        #expect(try await place.run("ipam", "split", "2").status == 2)
        let planned = try await place.run("ipam", "split", "2", "--cidr", "10.80.0.0/24", "--dry-run")
        #expect(planned.output.hasPrefix("would create split-four-0 with CIDR 10.80.0.0/25\n"), "\(planned.errors)")
        #expect(try await place.run("datastore", "migrate", "lock").status == 0)
        let split = try await place.run("ipam", "split", "2", "--cidr", "10.80.0.0/24")
        #expect(
            split.output == """
                IP Pool four was successfully split into 2 smaller pools.
                Created split-four-0 with CIDR 10.80.0.0/25.
                Created split-four-1 with CIDR 10.80.0.128/25.
                You may now unlock the data store.

                """,
            "\(split.errors)"
        )
        #expect(try await place.run("datastore", "migrate", "unlock").status == 0)
        let after = try await IPAMUsage.read(from: place.store())
        func others(_ usage: IPAMUsage) -> [String] {
            usage.pools.map(\.name).filter { $0 != "four" && !$0.hasPrefix("split-four-") }
        }
        func inUse(_ usage: IPAMUsage) -> UInt128 { usage.pools.map(\.counts.inUse).reduce(0, +) }
        #expect(others(after) == others(before))
        #expect(inUse(after) == inUse(before))
        #expect(after.orphanBlocks == before.orphanBlocks)
        withExtendedLifetime(place) {}
    }

    /// More parts than etcd changes in one transaction.
    @Test func aPoolIsSplitIntoManyInEtcd() async throws {
        let place = try await ControlledStore(.etcdv3)
        let administration = IPAMAdministration(datastore: try place.store())
        let pool = IPPool(name: "wide", spec: .init(cidr: try #require(CIDR("10.96.0.0/16"))))
        try await administration.put(.pool(pool), existing: .refuse)
        #expect(try await place.run("datastore", "migrate", "lock").status == 0)
        let split = try await place.run("ipam", "split", "128", "--name", "wide")
        #expect(split.status == 0, "\(split.errors)")
        #expect(try await administration.resources(.pool).count == 128)
        withExtendedLifetime(place) {}
    }

    @Test(arguments: ControlledStore.Kind.allCases)
    func aPodIsExplained(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        let directory = try TemporaryDirectory()
        let file = directory.path + "/pools.yaml"
        try """
        apiVersion: projectcalico.org/v3
        kind: IPPool
        metadata: {name: core}
        spec: {cidr: 10.80.0.0/24}
        ---
        apiVersion: projectcalico.org/v3
        kind: IPPool
        metadata: {name: edge}
        spec: {cidr: 10.81.0.0/24, nodeSelector: 'zone == "edge"', disabled: true}
        """.write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try await place.run("apply", "-f", file).status == 0)
        let text = try await place.run("ipam", "explain", "--pod", "shop/cart", "--node", "node-a")
        #expect(text.status == 0, "\(text.errors)")
        #expect(text.output.contains("IPv4: the next address comes from a new block"), "\(text.output)")
        #expect(text.output.contains("edge is refused: it is disabled."))
        #expect(text.output.contains(#"edge is refused: nodeSelector zone == "edge" does not match the node"#))
        let asked = try await place.run(
            "ipam",
            "explain",
            "--pod",
            "shop/cart",
            "--node",
            "node-a",
            "--pool",
            "edge",
            "-o",
            "json"
        )
        let families = try #require(try Self.json(asked.output)["families"] as? [[String: Any]])
        let pools = try #require(families.first?["pools"] as? [[String: Any]])
        func codes(_ name: String) -> [String] {
            let pool = pools.first { $0["name"] as? String == name }
            return (pool?["refusals"] as? [[String: Any]] ?? []).compactMap { $0["code"] as? String }
        }
        #expect(codes("edge") == ["disabled"] && codes("core") == ["notRequested"])
        #expect((families.first?["source"] as? [String: Any])?["kind"] as? String == "none")
        let unknown = try await place.run("ipam", "explain", "--pod", "shop/unknown")
        #expect(unknown.status == 1 && unknown.errors.contains("shop/unknown"), "\(unknown.errors)")
        #expect(try await place.run("ipam", "explain", "--pod", "cart").status == 2)
        withExtendedLifetime((place, directory)) {}
    }

    /// In a cluster the Pod and its Namespace say what matters.
    @Test func aClusterSaysWhatMatters() async throws {
        let server = try await TestAPIServer()
        let directory = try TemporaryDirectory()
        try server.writeKubeconfig(to: directory.path + "/kubeconfig")
        let environment = ["DATASTORE_TYPE": "kubernetes", "KUBECONFIG": directory.path + "/kubeconfig"]
        try server.put(
            #"""
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "cart"},
             "spec": {"nodeName": "node-b", "containers": [{"name": "c", "image": "i"}]}}
            """#
        )
        try server.put(
            #"""
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"tier": "front"},
             "annotations": {"cni.projectcalico.org/ipv4pools": "[\"front\"]"}}}
            """#
        )
        try server.put(#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-b","labels":{"zone":"b"}}}"#)
        for (name, cidr) in [("back", "10.81.0.0/24"), ("front", "10.80.0.0/24")] {
            try server.put(
                #"""
                {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": {"name": "\#(name)"},
                 "spec": {"cidr": "\#(cidr)", "blockSize": 26}}
                """#
            )
        }
        let outcome = try await ControlledStore.run(
            environment,
            ["ipam", "explain", "--pod", "shop/cart", "-o", "json"]
        )
        #expect(outcome.status == 0, "\(outcome.errors)")
        let json = try Self.json(outcome.output)
        #expect(json["node"] as? String == "node-b")
        #expect(json["nodeLabels"] as? [String: String] == ["zone": "b"])
        #expect(json["namespaceLabels"] as? [String: String] == ["tier": "front"])
        let pools = (json["families"] as? [[String: Any]])?.first?["pools"] as? [[String: Any]]
        #expect(pools?.map { $0["usable"] as? Bool } == [true, false])
        #expect(pools?.first?["name"] as? String == "front")

        // A Pod that is only thought of needs a node; its namespace counts all the same.
        let absent = try await ControlledStore.run(environment, ["ipam", "explain", "--pod", "shop/new"])
        #expect(absent.status == 1 && absent.errors.contains("no Pod shop/new"), "\(absent.errors)")
        let planned = try await ControlledStore.run(
            environment,
            ["ipam", "explain", "--pod", "shop/new", "--node", "node-b", "-o", "json"]
        )
        #expect(planned.status == 0, "\(planned.errors)")
        #expect(try Self.json(planned.output)["namespaceLabels"] as? [String: String] == ["tier": "front"])
        // As the plugin reads them: an empty annotation says nothing, one without names is a mistake.
        for (value, status) in [("", 0), ("[]", 1), (#"[\"\"]"#, 1), ("[1]", 1), (#"[\"back\"]"#, 0)]
            as [(String, Int32)]
        {
            try server.put(
                #"""
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "cart",
                  "annotations": {"cni.projectcalico.org/ipv4pools": "\#(value)"}},
                 "spec": {"nodeName": "node-b", "containers": [{"name": "c", "image": "i"}]}}
                """#
            )
            let told = try await ControlledStore.run(environment, ["ipam", "explain", "--pod", "shop/cart"])
            #expect(told.status == status, "\(value): \(told.errors)")
        }
        await server.stop()
        withExtendedLifetime(directory) {}
    }
}
