import ClusterClient
import Foundation
import IPAM
import JSON
import NetworkTypes
import Stores
import TestAPIServer
import TestSupport
import Testing

/// The custom resource definitions agree with what the programs write, member by member.
@Suite(.enabled(if: ClusterUnderTest.hasKubectl, "kubectl is not installed"))
struct DefinitionTests {
    /// Every resource with every member that it can have.
    private static let resources = """
        apiVersion: projectcalico.org/v3
        kind: IPPool
        metadata: {name: full, labels: {a: b}, annotations: {c: d}}
        spec:
          cidr: 10.80.0.0/24
          blockSize: 28
          ipipMode: Never
          vxlanMode: CrossSubnet
          natOutgoing: true
          disabled: false
          disableBGPExport: true
          nodeSelector: all()
          namespaceSelector: all()
          allowedUses: [Workload, Tunnel]
          assignmentMode: Automatic
        ---
        apiVersion: projectcalico.org/v3
        kind: IPPool
        metadata: {name: least}
        spec: {cidr: "fd80::/64"}
        ---
        apiVersion: projectcalico.org/v3
        kind: IPPool
        metadata: {name: closed}
        spec: {cidr: 10.90.0.0/24, disabled: true}
        ---
        apiVersion: projectcalico.org/v3
        kind: IPReservation
        metadata: {name: gateways}
        spec: {reservedCIDRs: [10.80.0.0/30]}
        ---
        apiVersion: projectcalico.org/v3
        kind: IPAMConfiguration
        metadata: {name: default}
        spec:
          strictAffinity: true
          autoAllocateBlocks: true
          maxBlocksPerHost: 5
          kubeVirtVMAddressPersistence: Enabled
          ipCooldownSeconds: 30
        """

    /// Members that Calico writes and we only keep.
    private static let calicos: [String: Set<String>] = [
        "IPAMBlock": ["hostAffinity"], "ClusterInformation": ["calicoVersion", "variant"],
    ]

    @Test func whatIsWrittenIsWhatIsDefined() async throws {
        let cluster = try await ClusterUnderTest.installed()
        let environment = ["DATASTORE_TYPE": "kubernetes", "KUBECONFIG": cluster.directory.path + "/admin"]
        let file = cluster.directory.path + "/resources.yaml"
        try Self.resources.write(toFile: file, atomically: true, encoding: .utf8)
        let applied = try await Command.run(
            ChildProcess.sibling("swiftletctl"),
            ["apply", "-f", file],
            environment: environment
        )
        #expect(applied.status == 0, "\(applied.output) \(applied.errors)")
        let store = try StoreSelection(environment: environment).open(environment: environment, program: "test/1")
        let allocator = Allocator(datastore: store, host: "node-a")
        _ = try await allocator.assign(request("stays", ipv4: 2, ipv6: 1))
        _ = try await allocator.assign(request("goes"))
        // It cools down, so that its attribute says since when.
        try await allocator.release(handle: "goes")

        var seen: [String: Set<String>] = [:]
        for definition in try await cluster.objects("customresourcedefinitions").values {
            let names = definition["spec"]["names"]
            let version = definition["spec"]["versions"].array[0]
            let schema = Schema(value: version["schema"]["openAPIV3Schema"])
            #expect(definition["spec"]["group"] == "crd.projectcalico.org" && version["name"] == "v1")
            let name = "\(names["plural"].text).crd.projectcalico.org"
            #expect(definition["metadata"]["name"].text == name)
            let objects = try await cluster.objects(name)
            #expect(!objects.isEmpty, "\(name)")
            for (name, object) in objects {
                #expect(schema.problems(with: object) == [], "\(names["kind"].text) \(name): \(object.text())")
                seen[names["kind"].text, default: []].formUnion(object["spec"].members.map(\.key))
            }
            // And nothing is defined that nobody writes.
            let written = seen[names["kind"].text, default: []].union(Self.calicos[names["kind"].text] ?? [])
            #expect(written == schema.property("spec").properties, "\(name)")
        }
        #expect(
            Set(seen.keys) == Set(ResourceType.calico.map(\.kind)),
            "\(seen.keys.sorted())"
        )
        // Of the attributes too: owners, and since when an address cools down.
        let blocks = try await cluster.objects("ipamblocks.crd.projectcalico.org").values
        let members = Set(blocks.flatMap { $0["spec"]["attributes"].array }.flatMap(\.members).map(\.key))
        #expect(members == ["handle_id", "secondary", "releasedAt"])
        await cluster.server.stop()
    }

    /// What the schema refuses is refused by swiftletctl before it is sent.
    @Test(arguments: [
        ("assignmentMode: Sometimes", "Sometimes"), ("blockSize: many", "blockSize"),
        ("natOutgoing: perhaps", "natOutgoing"),
        ("colour: red", "colour"),
    ])
    func whatIsNotDefinedIsRefused(_ member: String, _ word: String) async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/pool.yaml"
        try """
        apiVersion: projectcalico.org/v3
        kind: IPPool
        metadata: {name: a}
        spec:
          cidr: 10.80.0.0/24
          \(member)
        """.write(toFile: file, atomically: true, encoding: .utf8)
        let refused = try await Command.run(
            ChildProcess.sibling("swiftletctl"),
            ["apply", "-f", file],
            environment: ["SWIFTLET_DATA_DIR": directory.path]
        )
        #expect(refused.status == 1 && refused.errors.contains(word), "\(refused.errors)")
    }
}
