import ClusterClient
import Foundation
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

@Suite struct IPAMUsageTests {
    @Test func anEmptyStoreHasNoUsage() async throws {
        #expect(try await IPAMUsage.read(from: Fixture().store) == IPAMUsage(pools: [], orphanBlocks: []))
    }

    @Test func poolsAreCountedWithTheirBlocksAndReservations() async throws {
        let fixture = try Fixture()
        try await fixture.configure { $0.ipCooldownSeconds = 60 }
        try await fixture.put(
            IPReservation(
                name: "routers",
                reservedCIDRs: ["10.80.0.0/24", "10.80.0.128/25", "10.80.255.255/32", "fd00:80::/64"].map { CIDR($0)! }
            )
        )
        let allocator = fixture.allocator()
        try await allocator.ensurePools([
            fixture.pool("10.80.0.0/16", name: "b"), fixture.pool("fd00:80::/48", name: "c"),
            fixture.pool("172.28.0.0/29", name: "a", blockSize: 29) { $0.spec.isDisabled = true },
        ])
        let chosen = try await allocator.assign(request("x", ipv4: 3, ipv6: 2))
        // One of them inside a reservation: in use and reserved at once.
        let requested = try await allocator.assign(request("y", ipv4: 0) { $0.requested = [IPAddress("10.80.0.7")!] })
        _ = try await allocator.release(handle: "x", interface: "other")
        let usage = try await IPAMUsage.read(from: fixture.store)

        #expect(usage.pools.map(\.name) == ["a", "b", "c"])
        #expect(usage.pools[0].counts == AddressCounts(total: 8, inUse: 0, reserved: 0, free: 8))
        #expect(usage.pools[0].isDisabled)
        #expect(usage.pools[1].counts == AddressCounts(total: 65536, inUse: 4, reserved: 257, free: 65536 - 257 - 3))
        #expect(usage.pools[1].blocks.map(\.cidr) == [requested[0].block, chosen[0].block].sorted())
        let ofRequested = usage.pools[1].blocks.first { $0.cidr == requested[0].block }
        #expect(ofRequested?.counts == AddressCounts(total: 64, inUse: 1, reserved: 64, free: 0))
        #expect(ofRequested?.affinity == .host("node-a"))
        // 2^80 addresses, exactly.
        let six = usage.pools[2].counts
        #expect(six.total.description == "1208925819614629174706176")
        #expect(six.free.description == "1208907372870555465154558")
        #expect(usage.orphanBlocks.isEmpty)
    }

    @Test func cooldownCountsAsInUse() async throws {
        let fixture = try Fixture()
        try await fixture.configure { $0.ipCooldownSeconds = 60 }
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24")])
        let address = try await allocator.assign(request("x"))[0].address
        try await allocator.release(handle: "x")
        #expect(try await IPAMUsage.read(from: fixture.store, now: fixture.clock.now).pools[0].counts.inUse == 1)
        let report = try await AddressReport.read(address, from: fixture.store, now: fixture.clock.now)
        #expect(report.state == .coolingDown(since: fixture.clock.now.wholeSecond))
    }

    /// R9: what has cooled down is free for whoever looks, though nobody has written the block since.
    @Test func whatHasCooledDownIsFree() async throws {
        let fixture = try Fixture()
        try await fixture.configure { $0.ipCooldownSeconds = 60 }
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24")])
        let kept = try await allocator.assign(request("kept"))[0]
        let address = try await allocator.assign(request("x"))[0].address
        try await allocator.release(handle: "x")
        let record = try await fixture.store.get(.block(kept.block))
        for (seconds, count) in [(60, 2), (61, 1)] as [(Int64, Int)] {
            let now = fixture.clock.now + .seconds(seconds)
            let usage = try await IPAMUsage.read(from: fixture.store, now: now)
            #expect(usage.pools[0].counts.inUse == UInt128(count))
            let filter = UsageFilter(node: "node-a")
            #expect(
                try await IPAMUsage.read(from: fixture.store, filter, now: now).pools[0].counts.inUse == UInt128(count)
            )
            #expect(try await filter.blocks(of: fixture.store, now: now)[0].inUseCount == count)
            #expect(try await AddressMap.read(from: fixture.store, now: now).pools[0].blocks[0].inUseCount == count)
            let state = try await AddressReport.read(address, from: fixture.store, now: now).state
            #expect((state == .notAssigned) == (count == 1))
        }
        #expect(try await fixture.store.get(.block(kept.block)) == record)
    }

    @Test func blocksOfBothFamiliesWithoutPoolAreOrphans() async throws {
        let fixture = try Fixture()
        let allocator = fixture.allocator()
        let pools = [fixture.pool("10.80.0.0/24", name: "four"), fixture.pool("fd00::/120", name: "six")]
        try await allocator.ensurePools(pools)
        let addresses = try await allocator.assign(request("x", ipv4: 1, ipv6: 1))
        for pool in pools {
            let record = try #require(try await fixture.store.get(pool.recordKey))
            _ = try await fixture.store.commit([.delete(pool.recordKey, record.revision)])
        }
        let usage = try await IPAMUsage.read(from: fixture.store)
        #expect(usage.pools.isEmpty)
        #expect(usage.orphanBlocks.map(\.cidr) == addresses.map(\.block))
        #expect(usage.orphanBlocks.map(\.counts.inUse) == [1, 1])

        for address in addresses {
            let report = try await AddressReport.read(address.address, from: fixture.store)
            guard case .assigned(let assignment) = report.state else {
                Issue.record("\(address.address) is \(report.state)")
                continue
            }
            #expect(assignment.handle == "x" && assignment.attributes["pod"] == "pod-x")
            #expect(report.pool == nil && report.block == address.block)
        }
    }

    @Test func oneAddressIsFoundWhateverItsState() async throws {
        let fixture = try Fixture()
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24")])
        try await fixture.put(IPReservation(name: "r", reservedCIDRs: [CIDR("10.80.0.200/32")!]))
        let assigned = try await allocator.assign(request("x"))[0]
        func state(_ text: String) async throws -> AddressState {
            try await AddressReport.read(IPAddress(text)!, from: fixture.store).state
        }
        #expect(try await state("10.80.0.200") == .reserved)
        #expect(try await state("10.80.0.201") == .notAssigned)
        #expect(try await state("192.0.2.1") == .notAssigned)
        #expect(try await state("fd00::1") == .notAssigned)

        var disabled = fixture.pool("10.80.0.0/24")
        disabled.spec.isDisabled = true
        try await fixture.put(disabled)
        let report = try await AddressReport.read(assigned.address, from: fixture.store)
        #expect(report.poolIsDisabled)
        if case .assigned(let assignment) = report.state {
            #expect(assignment.sequenceNumber == assigned.sequenceNumber)
        } else {
            Issue.record("\(report.state)")
        }
    }
}
