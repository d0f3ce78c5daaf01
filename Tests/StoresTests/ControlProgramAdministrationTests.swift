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
        #expect(try await store.run("create", "-f", file).errors == "\(file):1: IPPool default exists already\n")
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

    /// Nothing has gone wrong with the store itself.
    @Test func aStoreThatWasNeverUsedHasNothingToLock() async throws {
        let place = try await ControlledStore(.local)
        let outcome = try await place.run("datastore", "migrate", "lock")
        #expect(outcome.status == 1 && outcome.errors.contains("create a pool first"), "\(outcome.errors)")
        withExtendedLifetime(place) {}
    }

    @Test(arguments: ControlledStore.Kind.allCases)
    func settingsChange(_ kind: ControlledStore.Kind) async throws {
        let store = try await ControlledStore(kind)
        let set = try await store.run("ipam", "configure", "--strictaffinity", "true", "--max-blocks-per-host", "4")
        #expect(set.output == "Successfully set StrictAffinity to: true\nSuccessfully set MaxBlocksPerHost to: 4\n")
        let apart = try await store.run("ipam", "configure", "--strictaffinity", "false")
        #expect(apart.status == 1 && apart.errors.contains("set both at once"), "\(apart.errors)")
        #expect(try await store.run("ipam", "configure").status == 2)
        #expect(
            try await store.run("ipam", "configure", "--strictaffinity=1").output
                == "Successfully set StrictAffinity to: true\n"
        )
        // Seen before the store is asked (7.5).
        for arguments in [
            ["--max-blocks-per-host=-5"], ["--ip-cooldown-seconds", "9999"], ["--strictaffinity", "maybe"],
        ] {
            let refused = try await ControlledStore.run(store.environment, ["ipam", "configure"] + arguments)
            #expect(refused.status == 2, "\(refused.errors)")
        }
        let shown = try await store.run("ipam", "show", "--show-configuration", "-o", "json").output
        #expect(shown.contains(#""maxBlocksPerHost": 4"#) && shown.contains(#""strictAffinity": true"#), "\(shown)")
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
        // 7.4: --force does not make up for a report of the present state.
        let stale = try await store.run("ipam", "release", "--from-report", directory.path + "/a.json", "--force")
        #expect(stale.status == 1 && stale.errors.contains("no report is of the present state"), "\(stale.errors)")
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
        // fill leaves no handle without addresses: no key, no signs.
        #expect(released.output.contains("Deleting 0 handles...\nReleased 0 handles; 0 skipped; 0 errors.\n"))
        #expect(try await store.run("datastore", "migrate", "unlock").status == 0)
        let repaired = try await store.run("ipam", "check", "--repair")
        let after = try await store.run("ipam", "check")
        #expect(after.output.contains("Found 0 IPs that are allocated"), "\(repaired.output) \(after.output)")
        withExtendedLifetime((store, directory)) {}
    }

    /// 7.4: what was assigned just now may be of a pod that is starting; while the store is locked that has an end.
    @Test func aLeakOfTheLastMinuteIsReleasedFromALockedStore() async throws {
        let place = try await ControlledStore(.local)
        let directory = try TemporaryDirectory()
        let report = directory.path + "/report.json"
        let store = try place.store()
        let pool = IPPool(name: "default", spec: .init(cidr: try #require(CIDR("10.80.0.0/24"))))
        try await IPAMAdministration(datastore: store).put(.pool(pool), existing: .refuse)
        let allocator = Allocator(datastore: store, host: "node-a")
        let timestamp = Date.now.ISO8601Format()
        for name in ["starting", "leaked"] {
            _ = try await allocator.assign(request(name) { $0.attributes["timestamp"] = timestamp })
        }
        let found = try await place.run("ipam", "check", "-o", report)
        #expect(found.status == 3 && found.output.contains("Found 2 IPs that are allocated"), "\(found.output)")
        #expect(try await place.run("ipam", "check", "--release").output.contains("2 problems are left."))
        #expect(try await place.run("datastore", "migrate", "lock").status == 0)
        _ = try await place.run("ipam", "check", "-o", report)
        async let outcome = place.run("ipam", "release", "--from-report", report)
        let address = try #require(try await allocator.addresses(ofHandle: "starting").first).address
        let endpoint = RecordKey.resource(.workloadEndpoints, namespace: "default", name: "e")
        let json = #"{"metadata":{"name":"e"},"spec":{"pod":"a","node":"node-a","ipNetworks":["\#(address)"]}}"#
        _ = try await store.commit([.create(endpoint, Data(json.utf8))])
        let released = try await outcome
        #expect(released.output.contains("Released 1 IPs successfully\n"), "\(released.output) \(released.errors)")
        #expect(released.output.contains("1 addresses are in use by now"), "\(released.output)")
        #expect(try await allocator.addresses(ofHandle: "leaked").isEmpty)
        #expect(try await allocator.addresses(ofHandle: "starting").map(\.address) == [address])
        withExtendedLifetime((place, directory)) {}
    }

    /// A1, A5, G6: affinities without their block, as others leave them behind that write the two apart. With one of them a
    /// block may be about to be claimed (A2).
    @Test(arguments: [ControlledStore.Kind.etcdv3, .kubernetes])
    func affinitiesWithoutTheirBlockAreDeleted(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        let store = try place.store()
        try await MigrationTests.fill(store)
        let before = try await store.looseAffinities().map(\.key)
        let cidr = try #require(CIDR("10.80.255.0/26"))
        for (host, state) in [("gone", BlockAffinity.State.confirmed), ("new", .pending)] {
            _ = try await store.commit([.create(.blockAffinity(.host(host), cidr), BlockAffinity(state).json)])
        }
        let planned = try await place.run("ipam", "check", "--repair", "--dry-run").output
        #expect(planned.contains("would delete the affinity of host:gone for \(cidr)\n"), "\(planned)")
        let repaired = try await place.run("ipam", "check", "--repair").output
        #expect(repaired.contains("deleted the affinity of host:gone for \(cidr)\n"), "\(repaired)")
        #expect(!planned.contains("host:new") && !repaired.contains("host:new"))
        let new = RecordKey.blockAffinity(.host("new"), cidr)
        #expect(try await Set(store.looseAffinities().map(\.key)) == Set(before + [new]))
        let collected = try await place.run("ipam", "gc", "--grace", "1")
        #expect(collected.output.contains("affinity of host:new for \(cidr) is without its block\n"), "\(collected)")
        #expect(try await store.get(new) == nil)
        withExtendedLifetime(place) {}
    }

    /// 7.4: a sign for each handle; one that was written since the report is skipped.
    @Test(arguments: ControlledStore.Kind.allCases)
    func handlesAreDeletedWithSigns(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        let directory = try TemporaryDirectory()
        let store = try place.store()
        try await MigrationTests.fill(store)
        let block = try #require(CIDR("10.80.0.0/28"))
        let keys = (0..<3).map { RecordKey.handle("net.orphan-\($0)") }
        for key in keys { _ = try await store.commit([.create(key, Handle(blocks: [block: 1]).json)]) }
        let report = directory.path + "/report.json"
        // Left over by a program that was killed, and to be read by all.
        _ = FileManager.default.createFile(
            atPath: report + ".part",
            contents: nil,
            attributes: [.posixPermissions: 0o644]
        )
        #expect(try await place.run("ipam", "check", "-o", report).status == 3)
        let mode = try FileManager.default.attributesOfItem(atPath: report)[.posixPermissions]
        #expect(mode as? Int == 0o600)
        let record = try #require(try await store.get(keys[0]))
        _ = try await store.commit([.update(keys[0], Handle(blocks: [block: 2]).json, record.revision)])
        let released = try await place.run("ipam", "release", "--from-report", report, "--force")
        let signs = "Deleting 3 handles...\nKey: '.' = Deleted OK; 'x' = skip, handle missing/changed.\nx..\n"
        #expect(
            released.output.contains(signs + "Released 2 handles; 1 skipped; 0 errors.\n"),
            "\(released.output) \(released.errors)"
        )
        #expect(released.errors.contains("WARNING: the datastore is not locked"), "\(released.errors)")
        withExtendedLifetime((place, directory)) {}
    }

    /// On stdout the report stands alone; names of formats are none of files.
    @Test func reportsOnStandardOutput() async throws {
        let place = try await ControlledStore(.local)
        try await MigrationTests.fill(place.store())
        for target in ["-", "/dev/stdout"] {
            let outcome = try await place.run("ipam", "check", "-o", target)
            let text = target == "-" ? outcome.output : String(outcome.output.drop { $0 != "{" })
            let json = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            #expect(outcome.status == 3 && json?["allocations"] != nil, "\(outcome.errors)")
        }
        for format in ["json", "yaml"] {
            let outcome = try await place.run("ipam", "check", "-o", format)
            #expect(outcome.status == 2 && outcome.errors.contains("-o ./\(format)"), "\(outcome.errors)")
        }
        let away = try await place.run("ipam", "check", "-o", "/nowhere/report.json")
        #expect(away.status == 1 && away.errors.hasPrefix("cannot write /nowhere/report.json.part: "), "\(away.errors)")
        withExtendedLifetime(place) {}
    }

    /// C18: why, and then it is theirs.
    @Test(arguments: [ControlledStore.Kind.local, .etcdv3])
    func whatIsInUseIsAssigned(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        let store = try place.store()
        let allocator = Allocator(datastore: store, host: "node-a")
        try await allocator.ensurePools([
            IPPool(name: "four", spec: .init(cidr: try #require(CIDR("10.80.0.0/24")), blockSize: 28))
        ])
        let endpoint = #"""
            {"kind":"WorkloadEndpoint","metadata":{"name":"e","annotations":{"swiftlet.io/network":"net"}},
             "spec":{"pod":"cart","node":"node-a","containerID":"c1","endpoint":"eth0","ipNetworks":["10.80.0.9/32"]}}
            """#
        let key = RecordKey.resource(.workloadEndpoints, namespace: "shop", name: "node--a-k8s-cart-eth0")
        _ = try await store.commit([.create(key, Data(endpoint.utf8))])
        let found = try await place.run("ipam", "check", "--show-problem-ips")
        #expect(found.status == 3)
        #expect(
            found.output.contains(
                "  10.80.0.9 in use by shop/cart on node-a and in active IPAM pool but has no IPAM allocation: there is no block 10.80.0.0/28\n"
            ),
            "\(found.output)"
        )
        let planned = try await place.run("ipam", "check", "--repair", "--dry-run")
        #expect(planned.output.hasSuffix("would assign 10.80.0.9 to shop/cart on node-a\n"), "\(planned.output)")
        let repaired = try await place.run("ipam", "check", "--repair")
        #expect(repaired.status == 0 && repaired.output.hasSuffix("0 problems are left.\n"), "\(repaired.errors)")
        #expect(try await allocator.addresses(ofHandle: "net.c1").map(\.address) == [IPAddress("10.80.0.9")])
        withExtendedLifetime(place) {}
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
