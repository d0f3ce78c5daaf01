import ClusterClient
import Foundation
import IPAM
import NetworkTypes
import TestSupport
import Testing

@testable import Stores

/// What `swiftletctl` makes of records that cannot be read, where a person is to mend them.
@Suite struct UnreadableRecordsControlTests {
    private static let pool = RecordKey.resource(.ipPools, name: "broken")
    private static let broken = Data(#"{"metadata":{"name":"broken"},"spec":{}}"#.utf8)

    private func fixture(_ kind: ControlledStore.Kind) async throws -> (ControlledStore, Fixture) {
        let controlled = try await ControlledStore(kind)
        let fixture = Fixture(try controlled.store(), keeping: controlled)
        let pool = fixture.pool("10.80.0.0/24", blockSize: 29)
        try await IPAMAdministration(datastore: fixture.store).put(.pool(pool), existing: .refuse)
        return (controlled, fixture)
    }

    /// A handle that cannot be read is no missing one: it is told as a problem of its own, and `--repair` mends what is
    /// beside it and leaves it as it is.
    @Test(arguments: ControlledStore.Kind.allCases)
    func repairOverwritesNothingItCannotRead(_ kind: ControlledStore.Kind) async throws {
        let (controlled, fixture) = try await fixture(kind)
        let allocator = fixture.allocator()
        for name in ["hidden", "missing"] {
            _ = try await allocator.assign(request(name) { $0.attributes["timestamp"] = "\(Date.now.ISO8601Format())" })
        }
        let damage = Data(#"{"block":{"10.80.0.0/29":"many"}}"#.utf8)
        try await fixture.put(.handle("hidden"), damage)
        let before = try #require(try await fixture.store.get(.handle("hidden")))
        let missing = try #require(try await fixture.store.get(.handle("missing")))
        _ = try await fixture.store.commit([.delete(missing.key, missing.revision)])

        let checked = try await controlled.run("ipam", "check", "--show-problem-ips")
        #expect(checked.status == 3, "\(checked.output) \(checked.errors)")
        #expect(checked.output.contains("  missing is in use in a block but doesn't exist."), "\(checked.output)")
        #expect(!checked.output.contains("  hidden is in use in a block but doesn't exist."), "\(checked.output)")
        #expect(checked.output.contains("Found 1 handles mentioned in blocks with no matching handle resource."))
        #expect(checked.output.contains("  handle hidden: "), "\(checked.output)")
        #expect(checked.output.contains("Found 1 records that cannot be read."), "\(checked.output)")

        let repaired = try await controlled.run("ipam", "check", "--repair")
        #expect(repaired.status == 3 && repaired.output.contains("wrote handle missing"), "\(repaired.errors)")
        // Both addresses have been assigned just now, and stay.
        #expect(repaired.output.contains("3 problems are left."), "\(repaired.output) \(repaired.errors)")
        #expect(try await fixture.store.get(.handle("hidden")) == before)
        #expect(try await allocator.release(handle: "missing").count == 1)
        #expect(try await allocator.release(handle: "hidden").count == 1)
    }

    /// A pool that cannot be read holds up no release, and can be replaced or deleted by its name.
    @Test(arguments: ControlledStore.Kind.allCases)
    func aPoolIsMendedByItsName(_ kind: ControlledStore.Kind) async throws {
        let (controlled, fixture) = try await fixture(kind)
        let address = try await fixture.allocator().assign(request("leaked"))[0].address
        try await fixture.put(Self.pool, Self.broken)
        let checked = try await controlled.run("ipam", "check")
        #expect(checked.status == 3 && checked.output.contains("ippools/broken: "), "\(checked.output)")
        let released = try await controlled.run("ipam", "release", "--ip", "\(address)")
        #expect(released.status == 0, "\(released.errors)")
        _ = try await fixture.allocator().assign(request("leaked again"))
        let collected = try await controlled.run("ipam", "check", "--release")
        #expect(collected.output.contains("1 problems are left."), "\(collected.output) \(collected.errors)")

        let directory = try TemporaryDirectory()
        let file = directory.path + "/pool.yaml"
        try Data(
            """
            apiVersion: projectcalico.org/v3
            kind: IPPool
            metadata: {name: broken}
            spec: {cidr: 10.81.0.0/16}
            """.utf8
        ).write(to: URL(filePath: file))
        let applied = try await controlled.run("apply", "-f", file)
        #expect(applied.output == "ippool/broken configured\n", "\(applied.output) \(applied.errors)")
        #expect(try await controlled.run("ipam", "check").status == 0)
        try await fixture.put(Self.pool, Self.broken)
        let deleted = try await controlled.run("delete", "ippool", "broken")
        #expect(deleted.status == 0, "\(deleted.errors)")
        #expect(try await fixture.store.get(Self.pool) == nil)
    }
}
