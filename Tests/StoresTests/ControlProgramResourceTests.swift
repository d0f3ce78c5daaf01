import ClusterClient
import Foundation
import IPAM
import NetworkTypes
import TestSupport
import Testing

@testable import Stores

/// The documents that `swiftletctl apply`, `create` and `delete` take, and what they say of those that they do not.
@Suite struct ControlProgramResourceTests {
    private static func pool(_ name: String, _ cidr: String, _ more: String = "") -> String {
        """
        apiVersion: projectcalico.org/v3
        kind: IPPool
        metadata: {name: \(name)}
        spec: {cidr: "\(cidr)"\(more)}

        """
    }

    private static func indented(_ text: String) -> String {
        text.split(separator: "\n").enumerated().map { ($0 == 0 ? "- " : "  ") + $1 }.joined(separator: "\n") + "\n"
    }

    @Test(arguments: ControlledStore.Kind.allCases)
    func directoriesListsAndStandardInput(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        let directory = try TemporaryDirectory()
        func write(_ text: String, _ name: String) throws {
            try text.write(toFile: "\(directory.path)/\(name)", atomically: true, encoding: .utf8)
        }
        try write(Self.pool("b", "10.81.0.0/24") + "---\n" + Self.pool("a", "10.80.0.0/24"), "1.yaml")
        try write(
            #"""
            {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "projectcalico.org/v3",
             "kind": "IPReservation", "metadata": {"name": "r"}, "spec": {"reservedCIDRs": ["10.80.0.1"]}}]}
            """#,
            "2.json"
        )
        try write("no document", "notes.txt")
        let applied = try await place.run("apply", "-f", directory.path)
        #expect(
            applied.output == "ippool/b created\nippool/a created\nipreservation/r created\n",
            "\(applied.errors)"
        )
        // A list as `get` prints it, whose items need not say what they are.
        let list = try await place.run("get", "ippools", "-o", "yaml").output
        let input = list.replacing("- apiVersion: projectcalico.org/v3\n  kind: IPPool\n  metadata", with: "- metadata")
        #expect(input != list)
        let again = try await ControlledStore.run(place.environment, ["apply", "-f", "-"], input: input)
        #expect(again.output == "ippool/a unchanged\nippool/b unchanged\n", "\(again.errors) \(input)")
        // A bare list, as calicoctl takes it too.
        let bare = Self.indented(Self.pool("a", "10.80.0.0/24")) + Self.indented(Self.pool("b", "10.80.0.0/24"))
        let refused = try await ControlledStore.run(place.environment, ["create", "-f", "-"], input: bare)
        #expect(refused.errors == "stdin:1: [0]: IPPool a exists already\n", "\(refused.output)")
        // One that exists keeps the others from being created.
        let reservation = """
            apiVersion: projectcalico.org/v3
            kind: IPReservation
            metadata: {name: r}
            spec: {reservedCIDRs: []}
            """
        let half = Self.pool("new", "10.99.0.0/24") + "---\n" + reservation
        let halted = try await ControlledStore.run(place.environment, ["create", "-f", "-"], input: half)
        #expect(halted.status == 1 && halted.output.isEmpty, "\(halted.output)")
        #expect(halted.errors == "stdin:5: IPReservation r exists already\n")
        let kept = try await place.run("create", "-f", directory.path, "--skip-exists")
        #expect(kept.status == 0 && kept.output.hasPrefix("ippool/b exists already\n"), "\(kept.errors)")

        let some = try await place.run("get", "ippool", "a", "c", "b", "-o", "csv")
        #expect(some.status == 1 && some.errors == "IPPool c does not exist\n")
        #expect(some.output.split(separator: "\n").dropFirst().map { $0.prefix(2) } == ["a,", "b,"])
        #expect(try await place.run("get", "ippools", "-o", "wide").output.contains("VXLANMODE"))

        let deleted = try await place.run("delete", "-f", directory.path)
        #expect(deleted.output == "ippool/b deleted\nippool/a deleted\nipreservation/r deleted\n", "\(deleted.errors)")
        #expect(try await place.run("delete", "-f", directory.path).status == 1)
        #expect(try await place.run("delete", "-f", directory.path, "--skip-not-exists").status == 0)
        withExtendedLifetime((place, directory)) {}
    }

    /// Each names the file, the line, the item, the object and the field, and nothing is changed.
    @Test func mistakesAreNamed() async throws {
        let place = try await ControlledStore(.local)
        let good = Self.pool("good", "10.90.0.0/24") + "---\n"
        let cases: [(String, String)] = [
            (good + Self.pool("x", "10.80.0.0/33"), #"stdin:5: IPPool x: spec.cidr: "10.80.0.0/33" is not a CIDR"#),
            (good + Self.pool("x", "10.80.0.1/24"), "stdin:5: IPPool x: 10.80.0.1/24 has host bits; "),
            (
                Self.pool("x", "10.80.0.0/24", ", blockSize: '26'"),
                "stdin:1: IPPool x: spec.blockSize: expected a whole"
            ),
            (Self.pool("x", "10.80.0.0/24", ", blokSize: 26"), #"stdin:1: IPPool x: spec: unknown field "blokSize""#),
            (
                "kind: IPPoolList\nitems:\n"
                    + Self.indented(Self.pool("a", "10.80.0.0/24")) + Self.indented(Self.pool("X_Y", "10.81.0.0/24")),
                #"stdin:1: items[1]: IPPool X_Y: "X_Y" is no valid name"#
            ),
            (good + Self.pool("good", "10.91.0.0/24"), "stdin:5: IPPool good stands at stdin:1 already"),
            (
                "apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: default}\n"
                    + "spec: {strictAffinity: maybe}\n",
                "stdin:1: IPAMConfiguration default: spec.strictAffinity: expected true or false"
            ),
            (
                "apiVersion: projectcalico.org/v3\nkind: IPReservation\nmetadata: {name: r}\n"
                    + "spec: {reservedCIDRs: [10.0.0.0/99]}\n",
                #"stdin:1: IPReservation r: spec.reservedCIDRs: "10.0.0.0/99" is not a CIDR"#
            ),
            (
                good + Self.pool("other", "10.90.0.0/25"),
                "stdin:5: IP pool other: 10.90.0.0/25 overlaps 10.90.0.0/24 of pool good"
            ),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", "stdin:1: kind Pod is none of IPPool, "),
            ("a: [b\n", "stdin: line 2: not valid YAML"), ("", "no resource in -"),
        ]
        for (input, problem) in cases {
            let outcome = try await ControlledStore.run(place.environment, ["apply", "-f", "-"], input: input)
            #expect(outcome.status == 1 && outcome.output.isEmpty, "\(input)")
            #expect(outcome.errors.hasPrefix(problem), "\(outcome.errors)")
        }
        // What only the store can tell is told with its place, too.
        _ = try await ControlledStore.run(place.environment, ["apply", "-f", "-"], input: good)
        let overlap = try await ControlledStore.run(
            place.environment,
            ["apply", "-f", "-"],
            input: Self.pool("other", "10.90.0.0/16")
        )
        #expect(overlap.errors.hasPrefix("stdin:1: IP pool other: 10.90.0.0/16 overlaps"), "\(overlap.errors)")
        let immutable = try await ControlledStore.run(
            place.environment,
            ["apply", "-f", "-"],
            input: Self.pool("new", "10.95.0.0/24") + "---\n" + Self.pool("good", "10.96.0.0/24")
        )
        #expect(immutable.status == 1 && immutable.output.isEmpty, "\(immutable.output)")
        #expect(immutable.errors.hasPrefix("stdin:5: IP pool good: it exists already, and its cidr is 10.90.0.0/24"))
        #expect(try await place.run("get", "ippools", "-o", "csv").output.split(separator: "\n").count == 2)
        for usage in [
            ["apply"], ["delete"], ["delete", "ippool"], ["get", "thing"], ["delete", "ippool", "a", "-f", "b"],
        ] {
            #expect(try await ControlledStore.run(place.environment, usage).status == 2, "\(usage)")
        }
        let nowhere = try await place.run("apply", "-f", "/nowhere.yaml")
        #expect(nowhere.status == 1 && nowhere.errors == "cannot read /nowhere.yaml: No such file or directory\n")
        withExtendedLifetime(place) {}
    }

    /// Where Kubernetes has the nodes they are changed there, and a file with one changes nothing.
    @Test func nodesAreKubernetesOwn() async throws {
        let node = "---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n, labels: {zone: a}}\n"
        let input = Self.pool("a", "10.80.0.0/24") + node
        let cluster = try await ControlledStore(.kubernetes)
        let refused = try await ControlledStore.run(cluster.environment, ["apply", "-f", "-"], input: input)
        #expect(refused.status == 1 && refused.output.isEmpty)
        #expect(refused.errors.hasPrefix("stdin:5: nodes are Kubernetes' own; "), "\(refused.errors)")
        #expect(try await cluster.run("delete", "node", "n").status == 1)
        let local = try await ControlledStore(.local)
        let applied = try await ControlledStore.run(local.environment, ["apply", "-f", "-"], input: input)
        #expect(applied.output == "ippool/a created\nnode/n created\n", "\(applied.errors)")
        #expect(try await local.run("get", "nodes").output == "NAME   LABELS\nn      zone=a\n")
        withExtendedLifetime((cluster, local)) {}
    }

    /// A file of calicoctl says which store is meant, and the environment does not any more.
    @Test func settingsFilesOfCalicoctl() async throws {
        let place = try await ControlledStore(.etcdv3)
        let directory = try TemporaryDirectory()
        let file = directory.path + "/calicoctl.cfg"
        func write(_ spec: String) throws {
            try "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata:\nspec:\n\(spec)"
                .write(toFile: file, atomically: true, encoding: .utf8)
        }
        let endpoint = try #require(place.environment["ETCD_ENDPOINTS"])
        try write("  datastoreType: etcdv3\n  etcdEndpoints: \(endpoint)\n")
        try await MigrationTests.fill(place.store())
        let elsewhere = ["DATASTORE_TYPE": "local", "SWIFTLET_DATA_DIR": "/nowhere"]
        let shown = try await ControlledStore.run(elsewhere, ["ipam", "show", "-c", file])
        #expect(shown.status == 0 && shown.output.contains("10.80.0.0/24"), "\(shown.errors)")
        for (spec, problem) in [
            ("  etcdEndpoint: x\n", "spec.etcdEndpoint is not supported; there are calicoAPIGroup, "),
            ("  etcdEndpoints: [x]\n", "spec.etcdEndpoints is an array, not a string"),
            ("  datastoreType: paper\n", #"DATASTORE_TYPE is "paper", which is no store"#),
        ] {
            try write(spec)
            let outcome = try await ControlledStore.run(elsewhere, ["ipam", "show", "--config", file])
            #expect(outcome.status == 1 && outcome.errors.hasPrefix("\(file): \(problem)"), "\(outcome.errors)")
        }
        try "kind: Secret\n".write(toFile: file, atomically: true, encoding: .utf8)
        let other = try await ControlledStore.run(elsewhere, ["ipam", "show", "-c", file])
        #expect(other.errors == "\(file): kind is to be CalicoAPIConfig\n")
        withExtendedLifetime((place, directory)) {}
    }
}
