import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

/// C18: addresses that are in use and not assigned, why, and what can be done.
@Suite struct UnassignedAddressTests {
    private func check(_ fixture: Fixture) async throws -> ConsistencyCheck {
        ConsistencyCheck(try await IPAMRecords.read(from: fixture.store), now: fixture.clock.now)
    }

    /// - Parameter network: `nil` for a record of Calico's, which does not name it.
    private func put(_ address: IPAddress, _ name: String, network: String?, in fixture: Fixture) async throws {
        let annotations = network.map { #","annotations":{"swiftlet.io/network":"\#($0)"}"# } ?? ""
        let spec =
            #"{"pod":"\#(name)","node":"node-a","containerID":"id-\#(name)","endpoint":"eth0","#
            + #""ipNetworks":["\#(address.hostPrefix)"]}"#
        try await fixture.put(
            .resource(.workloadEndpoints, namespace: "shop", name: name),
            Data(#"{"kind":"WorkloadEndpoint","metadata":{"name":"\#(name)"\#(annotations)},"spec":\#(spec)}"#.utf8)
        )
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func everyCauseIsTold() async throws {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 29))
        try await fixture.put(fixture.pool("10.81.0.0/24", name: "old") { $0.spec.isDisabled = true })
        try await fixture.configure { $0.ipCooldownSeconds = 60 }
        let cooling = try await fixture.allocator().assign(request("cooling"))[0]
        try await fixture.allocator().release(handle: "cooling")
        let free = IPAddress(number: cooling.block.address.number + 7, .ipv4)
        let nowhere = try address(cooling.block.contains(try address("10.80.0.250")) ? "10.80.0.2" : "10.80.0.250")
        let expected: [(IPAddress, ConsistencyCheck.UnknownCause)] = [
            (try address("192.0.2.7"), .noPool), (try address("10.81.0.1"), .inactivePool("old")),
            (cooling.address, .coolingDown(block: cooling.block, since: fixture.clock.now.wholeSecond)),
            (free, .free(block: cooling.block)),
            (nowhere, .noBlock(try #require(CIDR(nowhere, prefixLength: 29)).masked)),
        ]
        for (number, (address, _)) in expected.enumerated() {
            try await put(address, "p\(number)", network: "net", in: fixture)
        }
        let check = try await check(fixture)
        let found = check.usedOutsidePools + check.usedWithoutAllocation
        #expect(found.count == expected.count && check.problemCount == expected.count)
        for (address, cause) in expected { #expect(found.first { $0.address == address }?.cause == cause) }
        #expect(check.endpointAddressCount == expected.count)
    }

    /// Then it is the container's, as after its ADD: found by its handle.
    @Test(arguments: [true, false]) func anAddressIsAssignedToWhoUsesIt(_ isAtomic: Bool) async throws {
        let fixture = Fixture(MemoryDatastore(commitsAtomically: isAtomic))
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 29))
        let used = try address("10.80.0.17")
        try await put(used, "cart", network: "net", in: fixture)
        let item = try #require(try await check(fixture).usedWithoutAllocation.first)
        #expect(item.canBeAssigned)
        try await fixture.administration.assign(item)
        #expect(try await check(fixture).problemCount == 0)
        let report = try await AddressReport.read(used, from: fixture.store)
        guard case .assigned(let assignment) = report.state else { throw Unexpected() }
        #expect(assignment.handle == "net.id-cart")
        #expect(
            assignment.attributes.filter { $0.key != "timestamp" }
                == ["namespace": "shop", "pod": "cart", "node": "node-a", "ifname": "eth0", "network": "net"]
        )
        #expect(try await fixture.allocator().release(handle: "net.id-cart", interface: "eth0") == [used])
        // Somebody else has it by now.
        _ = try await fixture.allocator().assign(request("other", ipv4: 0) { $0.requested = [used] })
        await #expect(throws: IPAMError.self) { try await fixture.administration.assign(item) }
    }

    @Test func nobodyCanTellWhoseARecordOfCalicoIs() async throws {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 29))
        try await put(try address("10.80.0.17"), "cart", network: nil, in: fixture)
        let item = try #require(try await check(fixture).usedWithoutAllocation.first)
        #expect(!item.canBeAssigned)
        await #expect(throws: IPAMError.self) { try await fixture.administration.assign(item) }
    }

    private struct Unexpected: Error {}
}
