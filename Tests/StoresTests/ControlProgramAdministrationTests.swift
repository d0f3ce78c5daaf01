import ClusterClient
import Foundation
import IPAM
import NetworkTypes
import TestAPIServer
import TestSupport
import Testing

@testable import Stores

/// What `swiftletctl` changes, on each store.
@Suite struct ControlProgramAdministrationTests {
    private static let pools = """
        apiVersion: projectcalico.org/v3
        kind: IPPool
        metadata: {name: default}
        spec: {cidr: 10.80.0.0/16, natOutgoing: true}
        ---
        apiVersion: projectcalico.org/v3
        kind: IPReservation
        metadata: {name: gateways}
        spec: {reservedCIDRs: [10.80.0.0/30]}
        """

    @Test(arguments: ControlledStore.Kind.allCases)
    func resourcesComeAndGo(_ kind: ControlledStore.Kind) async throws {
        let store = try await ControlledStore(kind)
        let directory = try TemporaryDirectory()
        let file = directory.path + "/pools.yaml"
        try Self.pools.write(toFile: file, atomically: true, encoding: .utf8)
        let applied = try await store.run("apply", "-f", file)
        #expect(applied.status == 0, "\(applied.errors)")
        #expect(applied.output == "ippool/default created\nipreservation/gateways created\n")
        #expect(
            try await store.run("apply", "-f", file).output
                == "ippool/default unchanged\nipreservation/gateways unchanged\n"
        )
        #expect(try await store.run("create", "-f", file).errors == "IPPool default exists already\n")
        #expect(try await store.run("get", "ippools").output.contains("default   10.80.0.0/16   26"))

        let shown = try await store.run("get", "ippool", "default", "-o", "yaml")
        let changed = shown.output.replacingOccurrences(of: "natOutgoing: true", with: "natOutgoing: false")
        try changed.write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try await store.run("apply", "-f", file).output == "ippool/default configured\n", "\(changed)")
        #expect(try await !store.run("get", "ippool", "default", "-o", "json").output.contains("natOutgoing\": true"))

        #expect(try await store.run("delete", "ippool", "default").output == "ippool/default deleted\n")
        #expect(try await store.run("delete", "ippool", "default").status == 1)
        #expect(try await store.run("delete", "ippool", "default", "--ignore-not-found").status == 0)
        withExtendedLifetime(store) {}
    }

    @Test(arguments: ControlledStore.Kind.allCases)
    func settingsChange(_ kind: ControlledStore.Kind) async throws {
        let store = try await ControlledStore(kind)
        let set = try await store.run("ipam", "configure", "--strictaffinity", "true", "--max-blocks-per-host", "4")
        #expect(set.output == "Successfully set StrictAffinity to: true\nSuccessfully set MaxBlocksPerHost to: 4\n")
        #expect(try await store.run("ipam", "configure", "--strictaffinity", "false").status == 1)
        #expect(try await store.run("ipam", "configure").status == 2)
        let shown = try await store.run("ipam", "show", "--show-configuration", "-o", "json").output
        #expect(shown.contains(#""maxBlocksPerHost" : 4"#) && shown.contains(#""strictAffinity" : true"#), "\(shown)")
        withExtendedLifetime(store) {}
    }

    /// Addresses without endpoints have leaked: found, listed, released; then all is well.
    @Test(arguments: ControlledStore.Kind.allCases)
    func leaksAreFoundAndReleased(_ kind: ControlledStore.Kind) async throws {
        let store = try await ControlledStore(kind)
        let directory = try TemporaryDirectory()
        try await MigrationTests.fill(store.store())
        let found = try await store.run("ipam", "check", "--show-problem-ips", "-o", directory.path + "/a.json")
        #expect(found.status == 3, "\(found.errors)")
        let leaks = found.output.split(separator: "\n").filter { $0.contains(" leaked; attrs ") }
        #expect(!leaks.isEmpty, "\(found.output)")
        let mode = try FileManager.default.attributesOfItem(atPath: directory.path + "/a.json")[.posixPermissions]
        #expect(mode as? Int == 0o600)

        let first = String(try #require(leaks.first).split(separator: " ")[0])
        #expect(
            try await store.run("ipam", "release", "--ip", first).output
                == "Successfully released IP address \(first)\n"
        )
        #expect(try await store.run("ipam", "release", "--ip", first).status == 4)

        let unlocked = try await store.run("ipam", "release", "--from-report", directory.path + "/a.json")
        #expect(unlocked.status == 1)
        #expect(unlocked.errors.contains("the datastore is not locked"), "\(unlocked.errors)")
        #expect(try await store.run("datastore", "migrate", "lock").status == 0)
        _ = try await store.run("ipam", "check", "-o", directory.path + "/b.json")
        let released = try await store.run(
            "ipam",
            "release",
            "--from-report",
            directory.path + "/a.json",
            "--from-report",
            directory.path + "/b.json"
        )
        #expect(released.status == 0, "\(released.errors)")
        #expect(released.output.contains("Released \(leaks.count - 1) IPs successfully"), "\(released.output)")
        #expect(released.output.hasSuffix("You may now unlock the data store.\n"))
        #expect(try await store.run("datastore", "migrate", "unlock").status == 0)
        let repaired = try await store.run("ipam", "check", "--repair")
        let after = try await store.run("ipam", "check")
        #expect(after.output.contains("Found 0 IPs that are allocated"), "\(repaired.output) \(after.output)")
        withExtendedLifetime((store, directory)) {}
    }

    /// In a cluster an address is in use when a Pod has it by its status, for check and release too.
    @Test func whatAPodHasIsNotReleased() async throws {
        let server = try await TestAPIServer()
        let directory = try TemporaryDirectory()
        try server.writeKubeconfig(to: directory.path + "/kubeconfig")
        let environment = ["DATASTORE_TYPE": "kubernetes", "KUBECONFIG": directory.path + "/kubeconfig"]
        let store = try StoreSelection(environment: environment).open(environment: environment, program: "test/1")
        let pool = IPPool(name: "default", spec: .init(cidr: try #require(CIDR("10.80.0.0/24")), blockSize: 28))
        try await IPAMAdministration(datastore: store).put(.pool(pool), existing: .refuse)
        let address = try await Allocator(datastore: store, host: "node-a").assign(request("kept"))[0].address
        let early = directory.path + "/early.json"
        #expect(try await ControlledStore.run(environment, ["ipam", "check", "-o", early]).status == 3)
        try server.put(
            """
            {"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"shop","name":"kept"},
             "spec":{"nodeName":"node-a","containers":[{"name":"c","image":"i"}]},
             "status":{"phase":"Running","podIP":"\(address)","podIPs":[{"ip":"\(address)"}]}}
            """
        )
        let checked = try await ControlledStore.run(environment, ["ipam", "check", "--release"])
        #expect(checked.status == 0, "\(checked.output) \(checked.errors)")
        let refused = try await ControlledStore.run(environment, ["ipam", "release", "--ip", "\(address)"])
        #expect(refused.status == 1 && refused.errors.contains("in use by a Pod"), "\(refused.errors)")
        // Found leaked before the Pod had its address.
        let released = try await ControlledStore.run(
            environment,
            ["ipam", "release", "--from-report", early, "--force"]
        )
        #expect(released.output.contains("1 addresses are in use by now"), "\(released.output) \(released.errors)")
        #expect(try await Allocator(datastore: store, host: "node-a").addresses(ofHandle: "kept").count == 1)
        await server.stop()
        withExtendedLifetime(directory) {}
    }
}
