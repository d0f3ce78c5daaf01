import ClusterClient
import Foundation
import IPAM
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import Stores

/// What `swiftletctl ipam show` and `top` show, and in which form, on each store.
@Suite struct ControlProgramViewTests {
    /// 7.2 [BEAT]: whose a block is, in a table and for other programs.
    @Test(arguments: ControlledStore.Kind.allCases)
    func wideAndSeparatedByCommas(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        try await MigrationTests.fill(place.store())
        let wide = try await place.run("ipam", "show", "--show-blocks", "-o", "wide")
        #expect(wide.status == 0, "\(wide.errors)")
        #expect(wide.output.contains("| POOL | OWNER       | NODE   | STATE     |"), "\(wide.output)")
        #expect(wide.output.contains("| four | host:node-a | node-a | confirmed |"), "\(wide.output)")
        let csv = try await place.run("ipam", "show", "--show-blocks", "-o", "csv")
        let rows = csv.output.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false) }
        #expect(rows.allSatisfy { $0.count == 10 }, "\(csv.output)")
        #expect(rows.first?.joined(separator: ",").hasSuffix("IPS FREE,POOL,OWNER,NODE,STATE") == true)
        #expect(rows.contains { $0[0] == "IP Pool" && $0[2] == "256" && $0[3] == "20" && $0[6] == "four" })
        let settings = try await place.run("ipam", "show", "--show-configuration", "-o", "wide")
        #expect(settings.output.contains("0 (effective 20)"), "\(settings.output)")
        withExtendedLifetime(place) {}
    }

    @Test(arguments: ControlledStore.Kind.allCases)
    func filtersLeaveRowsOut(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        try await MigrationTests.fill(place.store())
        func rows(_ arguments: String...) async throws -> [String] {
            let outcome = try await ControlledStore.run(
                place.environment,
                ["ipam", "show", "--show-blocks", "-o", "csv"] + arguments
            )
            #expect(outcome.status == 0, "\(outcome.errors)")
            return outcome.output.split(separator: "\n").dropFirst().map(String.init)
        }
        let all = try await rows()
        let six = try await rows("--pool", "six")
        #expect(six.first?.hasPrefix("IP Pool,fd80::/120,") == true && six.count < all.count)
        #expect(try await rows("--pool", "fd80::/120") == six)
        let ofNode = try await rows("--node", "node-a")
        #expect(ofNode.filter { $0.hasPrefix("Block") }.allSatisfy { $0.contains("host:node-a") }, "\(ofNode)")
        // The one address of node-b is not of a pod in a namespace.
        let ofNamespace = try await rows("--namespace", "shop").filter { $0.hasPrefix("Block") }
        #expect(!ofNamespace.isEmpty && ofNamespace.allSatisfy { $0.contains("host:node-a") && !$0.contains(",0,0,") })
        #expect(try await rows("--node", "nobody").isEmpty)
        let unknown = try await place.run("ipam", "show", "--pool", "seven")
        #expect(unknown.status == 1 && unknown.errors == "there is no IP pool seven\n", "\(unknown.errors)")
        #expect(try await place.run("ipam", "show", "--ip", "10.80.0.1", "--node", "a").status == 2)
        #expect(try await place.run("ipam", "show", "--show-configuration", "--pool", "a").status == 2)
        let map = try await place.run("ipam", "show", "--map", "--pool", "four")
        #expect(map.output.contains("four 10.80.0.0/24:") && !map.output.contains("six"), "\(map.errors)")
        let borrowed = try await place.run("ipam", "show", "--show-borrowed", "--namespace", "shop", "-o", "csv")
        #expect(borrowed.status == 0 && borrowed.output.hasPrefix("IP,BORROWING-NODE,"), "\(borrowed.errors)")
        withExtendedLifetime(place) {}
    }

    /// 7.2 c [BEAT]: calicoctl looks only into enabled pools.
    @Test(arguments: ControlledStore.Kind.allCases)
    func addressesOfDisabledAndDeletedPools(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        try await MigrationTests.fill(place.store())
        let allocator = Allocator(datastore: try place.store(), host: "node-a")
        let address = try #require(try await allocator.addresses(ofHandle: "pods.5").first).address.description
        let six = try #require(try await allocator.addresses(ofHandle: "pods.5").last).address.description
        let before = try await place.run("ipam", "show", "--ip", address)
        #expect(before.status == 0 && !before.output.contains("IP Pool:"), "\(before.output)")
        let pool = try await place.run("get", "ippool", "four", "-o", "yaml").output
        let input = pool + "  disabled: true\n"
        let disabled = try await ControlledStore.run(place.environment, ["apply", "-f", "-"], input: input)
        #expect(disabled.output == "ippool/four configured\n", "\(disabled.errors)")
        let held = try await place.run("ipam", "show", "--ip", address)
        #expect(held.status == 0 && held.output.hasSuffix("IP Pool: four, which is disabled\n"), "\(held.output)")

        for name in ["four", "six"] { #expect(try await place.run("delete", "ippool", name).status == 0) }
        for orphan in [address, six] {
            let held = try await place.run("ipam", "show", "--ip", orphan, "-o", "json")
            #expect(held.status == 0 && held.output.contains(#""pool": null"#), "\(held.output)")
        }
        // Orphans of IPv6 are shown, too.
        let blocks = try await place.run("ipam", "show", "--show-blocks", "-o", "csv").output
        #expect(blocks.contains("Block,10.80.0.") && blocks.contains("Block,fd80::"), "\(blocks)")
        #expect(!blocks.contains("IP Pool"))
        withExtendedLifetime(place) {}
    }

    @Test(arguments: ControlledStore.Kind.allCases)
    func whoHasTheMost(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        try await MigrationTests.fill(place.store())
        let nodes = try await place.run("ipam", "top", "-o", "csv")
        let lines = nodes.output.split(separator: "\n")
        #expect(lines.first == "NODE,IPS IN USE,BORROWED,PODS,BLOCKS,COOLING DOWN,FREE IN BLOCKS", "\(nodes.errors)")
        #expect(lines.dropFirst().first?.hasPrefix("node-a,") == true, "\(nodes.output)")
        let one = try await place.run("ipam", "top", "--by", "pool", "--limit", "1", "-o", "json")
        #expect(one.output.contains(#""name": "four""#) && !one.output.contains(#""name": "six""#), "\(one.output)")
        let namespaces = try await place.run("ipam", "top", "--by", "namespace")
        #expect(namespaces.output.contains("| shop      |"), "\(namespaces.output)")
        #expect(try await place.run("ipam", "top", "--by", "colour").status == 2)
        withExtendedLifetime(place) {}
    }

    /// C13: step by step from one pool to another.
    @Test(arguments: ControlledStore.Kind.allCases)
    func aPoolTakesThePlaceOfAnother(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        let allocator = Allocator(datastore: try place.store(), host: "node-a")
        try await allocator.ensurePools([
            IPPool(name: "old", spec: .init(cidr: try #require(CIDR("10.80.0.0/24")))),
            IPPool(name: "small", spec: .init(cidr: try #require(CIDR("10.81.0.0/24")), blockSize: 29)),
        ])
        func assign(_ handle: String) async throws -> AssignedAddress {
            try await allocator.assign(
                AssignmentRequest(handle: handle, attributes: ["namespace": "shop", "pod": handle], ipv4: 1)
            )[0]
        }
        #expect(try await assign("cart").block.prefixLength == 26)
        let planned = try await place.run("ipam", "migrate-pool", "old", "small", "--dry-run")
        #expect(planned.output.contains("next     old is disabled"), "\(planned.errors)")
        #expect(try await assign("desk").block.prefixLength == 26)
        let draining = try await place.run("ipam", "migrate-pool", "old", "small")
        #expect(draining.output.contains("waiting  2 addresses of old are in use"), "\(draining.output)")
        #expect(draining.output.contains("shop/cart"), "\(draining.output)")
        // The pods are made anew.
        for handle in ["cart", "desk"] {
            try await allocator.release(handle: handle)
            #expect(try await assign(handle + "-2").block.prefixLength == 29)
        }
        let done = try await place.run("ipam", "migrate-pool", "old", "small")
        #expect(done.output == "There is no IP pool old any more; small has its place.\n", "\(done.errors)")
        #expect(try await place.run("ipam", "migrate-pool", "old", "small").output == done.output)
        let blocks = try await place.run("ipam", "show", "--show-blocks", "-o", "csv").output
        #expect(!blocks.contains("10.80."), "\(blocks)")
        let mistaken = try await place.run("ipam", "migrate-pool", "small", "none")
        #expect(mistaken.status == 1 && mistaken.errors.contains("create it first"), "\(mistaken.errors)")
        withExtendedLifetime(place) {}
    }

    /// It is shown again when it has changed, and only then.
    @Test func watchingShowsWhatChanges() async throws {
        let place = try await ControlledStore(.local)
        let store = try place.store()
        try await MigrationTests.fill(store)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try ChildProcess.sibling("swiftletctl"))
        process.arguments = ["ipam", "show", "--ip", "10.80.0.250", "--watch", "--interval", "1"]
        process.environment = place.environment
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        defer { process.terminate() }
        let free = "10.80.0.250 is not assigned\n"
        #expect(try Self.read(output, until: free) == free)
        let address = try #require(IPAddress("10.80.0.250"))
        _ = try await Allocator(datastore: store, host: "node-a").assign(
            AssignmentRequest(handle: "late", requested: [address])
        )
        let shown = try Self.read(output, until: "defined\n")
        #expect(
            shown == "IP 10.80.0.250 is in use\nHandle ID: late\nNo Active Owner attributes defined\n",
            "\(shown)"
        )
        withExtendedLifetime(place) {}
    }

    private static func read(_ pipe: Pipe, until end: String) throws -> String {
        var text = ""
        while !text.hasSuffix(end) {
            let data = pipe.fileHandleForReading.availableData
            guard !data.isEmpty else { break }
            text += String(decoding: data, as: UTF8.self)
        }
        return text
    }
}
