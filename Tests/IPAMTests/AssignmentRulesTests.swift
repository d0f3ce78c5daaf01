import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

/// Which address a request gets, and which error when it gets none (2.5, 2.6).
@Suite struct AssignmentRulesTests {
    /// A pool of four blocks of four addresses.
    private func small(_ kind: StoreKind = .transactional, _ edit: (inout IPPool) -> Void = { _ in }) async throws
        -> Fixture
    {
        let fixture = try Fixture(kind)
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/28", blockSize: 30, edit)])
        return fixture
    }

    private func fill(_ fixture: Fixture, _ host: String, _ count: Int) async throws -> [IPAddress] {
        var addresses: [IPAddress] = []
        for index in 0..<count {
            addresses += try await fixture.allocator(host).assign(request("\(host)-\(index)")).map(\.address)
        }
        return addresses
    }

    private func error(_ body: () async throws(IPAMError) -> [AssignedAddress]) async -> IPAMError? {
        do throws(IPAMError) {
            _ = try await body()
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: StoreKind.allCases)
    func aHostFillsItsBlocksBeforeItClaimsMore(_ kind: StoreKind) async throws {
        let fixture = try await small(kind)
        let addresses = try await fill(fixture, "node-a", 9)
        #expect(Set(addresses).count == 9)
        #expect(try await fixture.blocks().map(\.inUseCount).sorted() == [1, 4, 4])
        #expect(try await fixture.blocks().allSatisfy { $0.affinity == .host("node-a") })
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test(arguments: StoreKind.allCases)
    func whenAllBlocksAreTakenAHostBorrows(_ kind: StoreKind) async throws {
        let fixture = try await small(kind)
        _ = try await fill(fixture, "node-a", 13)
        let borrowed = try await fill(fixture, "node-b", 3)
        #expect(try await fixture.blocks().map(\.inUseCount) == [4, 4, 4, 4])
        #expect(Set(borrowed).count == 3)
        #expect(try await fixture.store.keys(.blockAffinities(.host("node-b"), .ipv4)).isEmpty)
        let error = await error { () async throws(IPAMError) in
            try await fixture.allocator("node-b").assign(request("x"))
        }
        guard case .poolExhausted(let shortage) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(
            shortage.description
                == "assigned 0 out of 1 requested IPv4 addresses; no IPs available in pools [default (10.0.0.0/28)]"
        )
        #expect(try await fixture.problems(exact: true) == [])
        // What a borrower releases can be had again.
        try await fixture.allocator("node-b").release(handle: "node-b-1")
        #expect(try await fixture.allocator("node-c").assign(request("y")).map(\.address) == [borrowed[1]])
    }

    @Test(arguments: StoreKind.allCases)
    func withStrictAffinityNobodyBorrows(_ kind: StoreKind) async throws {
        let fixture = try await small(kind)
        try await fixture.configure { $0.strictAffinity = true }
        _ = try await fill(fixture, "node-a", 13)
        let error = await error { () async throws(IPAMError) in
            try await fixture.allocator("node-b").assign(request("x"))
        }
        guard case .strictAffinity(let shortage) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(shortage.description.contains("no free affine blocks with strict affinity"))
        // Not even a certain address.
        let free = try await fixture.blocks().first { $0.inUseCount == 1 }!
        let other = await self.error { () async throws(IPAMError) in
            try await fixture.allocator("node-b").assign(request("x", ipv4: 0) { $0.requested = [free.address(3)] })
        }
        guard case .strictAffinity = other else {
            Issue.record("\(other as Any)")
            return
        }
        #expect(try await fixture.problems(exact: true) == [])
        _ = try await fill(fixture, "node-a", 16)
        let exhausted = await self.error { () async throws(IPAMError) in
            try await fixture.allocator("node-b").assign(request("x"))
        }
        guard case .poolExhausted = exhausted else {
            Issue.record("\(exhausted as Any)")
            return
        }
    }

    @Test(arguments: StoreKind.allCases)
    func aHostHasNoMoreBlocksThanItMay(_ kind: StoreKind) async throws {
        let fixture = try await small(kind)
        try await fixture.configure {
            $0.strictAffinity = true
            $0.maxBlocksPerHost = 2
        }
        _ = try await fill(fixture, "node-a", 8)
        let error = await error { () async throws(IPAMError) in try await fixture.allocator().assign(request("x")) }
        guard case .blockLimit(let shortage) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(shortage.description.contains("block limit 2 reached"))
        #expect(try await fixture.blocks().count == 2)
        #expect(try await fill(fixture, "node-b", 8).count == 8)
    }

    @Test func withoutAutoAllocationNoBlockIsClaimed() async throws {
        let fixture = try await small()
        _ = try await fill(fixture, "node-a", 1)
        try await fixture.configure {
            $0.strictAffinity = true
            $0.autoAllocateBlocks = false
        }
        _ = try await fill(fixture, "node-a", 4)
        let error = await error { () async throws(IPAMError) in try await fixture.allocator().assign(request("x")) }
        guard case .strictAffinity = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(try await fixture.blocks().count == 1)
    }

    @Test(arguments: StoreKind.allCases)
    func emptyBlocksOfOthersAreTakenOverAfterAWhile(_ kind: StoreKind) async throws {
        let fixture = try await small(kind)
        _ = try await fill(fixture, "node-a", 13)
        for index in 0..<13 { try await fixture.allocator().release(handle: "node-a-\(index)") }
        #expect(try await fixture.blocks().allSatisfy { $0.affinity == .host("node-a") && $0.isEmpty })
        fixture.clock.advance(.seconds(59))
        // Too young to be given up, so something is borrowed from them.
        _ = try await fixture.allocator("node-b").assign(request("early"))
        #expect(try await fixture.store.keys(.blockAffinities(.host("node-b"), .ipv4)).isEmpty)
        fixture.clock.advance(.seconds(2))
        let address = try await fixture.allocator("node-b").assign(request("late"))[0]
        let blocks = try await fixture.blocks()
        #expect(blocks.first { $0.cidr == address.block }?.affinity == .host("node-b"))
        #expect(try await fixture.store.keys(.blockAffinities(.host("node-b"), .ipv4)).count == 1)
        #expect(try await fixture.store.keys(.blockAffinities(.host("node-a"), .ipv4)).count == 3)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test func aRequestForMoreThanABlockHasSpansBlocks() async throws {
        let fixture = try await small()
        let addresses = try await fixture.allocator().assign(request("a", ipv4: 10))
        #expect(Set(addresses.map(\.address)).count == 10)
        #expect(Set(addresses.map(\.block)).count == 3)
        let error = await error { () async throws(IPAMError) in
            try await fixture.allocator().assign(request("b", ipv4: 7))
        }
        guard case .poolExhausted(let shortage) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(shortage.requested == 7 && shortage.available == 6)
        #expect(try await fixture.store.get(.handle("b")) == nil)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// P12: what one family got is given back when the other gets nothing.
    @Test(arguments: StoreKind.allCases)
    func aRequestForBothFamiliesGetsBothOrNone(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        try await fixture.allocator().ensurePools([
            fixture.pool("10.0.0.0/28", name: "four", blockSize: 30),
            fixture.pool("fd00::/126", name: "six", blockSize: 126),
        ])
        for index in 0..<4 { _ = try await fixture.allocator().assign(request("x\(index)", ipv4: 0, ipv6: 1)) }
        let error = await error { () async throws(IPAMError) in
            try await fixture.allocator().assign(request("both", ipv4: 1, ipv6: 1))
        }
        guard case .poolExhausted(let shortage) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(shortage.family == .ipv6)
        #expect(try await fixture.blocks().reduce(0) { $0 + $1.inUseCount } == 0)
        #expect(try await fixture.allocator().addresses(ofHandle: "both") == [])
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test func reservedAddressesAreLeftOut() async throws {
        let fixture = try await small()
        try await fixture.put(
            IPReservation(name: "r", reservedCIDRs: ["10.0.0.0/29", "10.0.0.8/32", "10.0.0.13/32"].map { CIDR($0)! })
        )
        let addresses = try await fixture.allocator().assign(request("a", ipv4: 6)).map(\.address.description)
        #expect(
            Set(addresses) == ["10.0.0.9", "10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.14", "10.0.0.15"]
        )
        // Blocks that are wholly reserved are not even claimed.
        #expect(try await fixture.blocks().count == 2)
        let error = await error { () async throws(IPAMError) in try await fixture.allocator().assign(request("b")) }
        guard case .poolExhausted = error else {
            Issue.record("\(error as Any)")
            return
        }
        let byName = try await fixture.allocator().assign(
            request("b", ipv4: 0) { $0.requested = [IPAddress("10.0.0.3")!] }
        )
        #expect(byName.map(\.address.description) == ["10.0.0.3"])
    }

    @Test(arguments: StoreKind.allCases)
    func aReleasedAddressCoolsDown(_ kind: StoreKind) async throws {
        let fixture = try await small(kind)
        try await fixture.configure { $0.ipCooldownSeconds = 30 }
        let first = try await fixture.allocator().assign(request("a", ipv4: 16)).map(\.address)
        #expect(try await fixture.allocator().release(handle: "a").count == 16)
        #expect(try await fixture.store.get(.handle("a")) == nil)
        func attempt(_ edit: (inout AssignmentRequest) -> Void) async -> IPAMError? {
            await error { () async throws(IPAMError) in
                try await fixture.allocator().assign(request("b", ipv4: 0, ipv6: 0, edit))
            }
        }
        guard case .poolExhausted = await attempt({ $0.ipv4 = 1 }),
            case .addressUnavailable(first[0], let reason) = await attempt({ $0.requested = [first[0]] })
        else {
            Issue.record("an address was used again before its time")
            return
        }
        #expect(reason.contains("may not be used again yet"))
        #expect(try await fixture.allocator().release(handle: "a") == [])
        fixture.clock.advance(.seconds(31))
        #expect(try await fixture.allocator().assign(request("b", ipv4: 16)).count == 16)
        #expect(try await fixture.problems(exact: true) == [])
    }

    // MARK: Certain addresses

    @Test(arguments: StoreKind.allCases)
    func aCertainAddressCanBeAskedFor(_ kind: StoreKind) async throws {
        let fixture = try await small(kind)
        let address = IPAddress("10.0.0.6")!
        let wanted = request("a", ipv4: 0) { $0.requested = [address] }
        let assigned = try await fixture.allocator().assign(wanted)
        #expect(assigned.map(\.address) == [address])
        #expect(try await fixture.blocks().map(\.affinity) == [.host("node-a")])
        // The same container may come again (S3, [BEAT]), also after its handle record was lost.
        #expect(try await fixture.allocator().assign(wanted) == assigned)
        let handle = try #require(try await fixture.store.get(.handle("a")))
        _ = try await fixture.store.commit([.delete(handle.key, handle.revision)])
        #expect(try await fixture.allocator().assign(wanted) == assigned)

        let taken = await error { () async throws(IPAMError) in
            try await fixture.allocator("node-b").assign(request("b", ipv4: 0) { $0.requested = [address] })
        }
        #expect(taken == .addressUnavailable(address, "is already assigned to handle a"))
        let otherInterface = await error { () async throws(IPAMError) in
            try await fixture.allocator().assign(request("a", "net1", ipv4: 0) { $0.requested = [address] })
        }
        #expect(otherInterface == .addressUnavailable(address, "is already assigned to handle a"))
        // Others of the block are not refused to other hosts.
        let next = IPAddress("10.0.0.7")!
        _ = try await fixture.allocator("node-b").assign(request("b", ipv4: 0) { $0.requested = [next] })
    }

    @Test func addressesThatCannotBeHad() async throws {
        let fixture = try Fixture()
        try await fixture.allocator().ensurePools([
            fixture.pool("10.0.0.0/28", name: "on", blockSize: 30),
            fixture.pool("10.1.0.0/28", name: "off", blockSize: 30) { $0.spec.isDisabled = true },
            fixture.pool("10.2.0.0/28", name: "tunnels", blockSize: 30) { $0.spec.allowedUses = [.tunnel] },
        ])
        for text in ["192.0.2.1", "10.1.0.1", "10.2.0.1", "fd00::1"] {
            let address = IPAddress(text)!
            let error = await error { () async throws(IPAMError) in
                try await fixture.allocator().assign(request("a", ipv4: 0) { $0.requested = [address] })
            }
            guard case .addressUnavailable(address, _) = error else {
                Issue.record("\(text): \(error as Any)")
                continue
            }
        }
        #expect(try await fixture.blocks().isEmpty)
        #expect(try await fixture.store.keys(.handles).isEmpty)
    }

    @Test func aChosenAndACertainAddressComeTogether() async throws {
        let fixture = try await small()
        let first = try await fixture.allocator().assign(
            request("a", ipv4: 1) { $0.requested = [IPAddress("10.0.0.6")!] }
        )
        #expect(first.count == 2 && first[0].address.description == "10.0.0.6")
        #expect(first[0].address != first[1].address)
        #expect(try await fixture.problems(exact: true) == [])
    }

    // MARK: Pools

    private func pools() async throws -> Fixture {
        let fixture = try Fixture()
        try await fixture.allocator().ensurePools([
            fixture.pool("10.0.0.0/26", name: "a-off") { $0.spec.isDisabled = true },
            fixture.pool("10.1.0.0/26", name: "b-manual") { $0.spec.assignmentMode = .manual },
            fixture.pool("10.2.0.0/26", name: "c-zone") { $0.spec.nodeSelector = "zone == 'z'" },
            fixture.pool("10.3.0.0/26", name: "d-team") { $0.spec.namespaceSelector = "team == 'blue'" },
            fixture.pool("10.4.0.0/26", name: "e-tunnels") { $0.spec.allowedUses = [.tunnel] },
            fixture.pool("10.5.0.0/26", name: "f-any"),
            fixture.pool("10.6.0.0/26", name: "g-any"),
        ])
        return fixture
    }

    static let choices: [(@Sendable (inout AssignmentRequest) -> Void, String)] = [
        ({ _ in }, "f-any"), ({ $0.namespaceLabels = ["team": "blue"] }, "d-team"),
        ({ $0.namespaceLabels = ["team": "red"] }, "f-any"), ({ $0.use = .tunnel }, "e-tunnels"),
        ({ $0.ipv4Pools = ["b-manual"] }, "b-manual"), ({ $0.ipv4Pools = ["10.1.0.0/26"] }, "b-manual"),
        // Asked for by name, selectors do not matter (P3), and the order is the request's.
        ({ $0.ipv4Pools = ["c-zone"] }, "c-zone"), ({ $0.ipv4Pools = ["g-any", "f-any"] }, "g-any"),
    ]

    @Test(arguments: choices.indices)
    func thePoolIsTheFirstThatFits(_ index: Int) async throws {
        let fixture = try await pools()
        let (edit, pool) = Self.choices[index]
        #expect(try await fixture.allocator().assign(request("a", "eth0", edit)).map(\.pool) == [pool])
    }

    @Test func nodeSelectorsLookAtTheNode() async throws {
        let fixture = try await pools()
        try await fixture.put(NodeResource(name: "node-a", labels: ["zone": "z"]))
        try await fixture.put(NodeResource(name: "node-b", labels: ["zone": "y"]))
        #expect(try await fixture.allocator("node-a").assign(request("a")).map(\.pool) == ["c-zone"])
        #expect(try await fixture.allocator("node-b").assign(request("b")).map(\.pool) == ["f-any"])
        // The block is given up once the node is no longer selected and the last address is back (R6).
        try await fixture.put(NodeResource(name: "node-a", labels: [:]))
        try await fixture.allocator("node-a").release(handle: "a")
        #expect(try await fixture.blocks().allSatisfy { $0.affinity == .host("node-b") })
        #expect(try await fixture.store.keys(.blockAffinities(.host("node-a"), .ipv4)).isEmpty)
    }

    @Test(arguments: [
        (["a-off"], "the IPv4 pool a-off does not exist, or is not enabled"),
        (["nowhere"], "the IPv4 pool nowhere does not exist, or is not enabled"),
        (["10.5.0.0/25"], "the IPv4 pool 10.5.0.0/25 does not exist, or is not enabled"),
        (["f-any", "nowhere"], "the IPv4 pool nowhere does not exist, or is not enabled"),
        (["e-tunnels"], "no qualified IPv4 pool: none allows use Workload"),
    ])
    func poolsThatCannotBeUsed(_ names: [String], _ message: String) async throws {
        let fixture = try await pools()
        let error = await error { () async throws(IPAMError) in
            try await fixture.allocator().assign(request("a") { $0.ipv4Pools = names })
        }
        #expect(error == .noPool(message))
    }

    @Test func withoutPoolsThereIsNothing() async throws {
        let fixture = try Fixture()
        let error = await error { () async throws(IPAMError) in try await fixture.allocator().assign(request("a")) }
        #expect(error == .noPool("no configured IPv4 pools for node node-a"))
        #expect(try await fixture.allocator().release(handle: "a") == [])
    }

    /// X9: the next ADD after a pool was disabled takes nothing from it, though the host has a block there.
    @Test func aDisabledPoolGivesNothing() async throws {
        let fixture = try await small()
        let before = try await fixture.allocator().assign(request("a"))[0]
        try await fixture.put(fixture.pool("10.0.0.0/28", blockSize: 30) { $0.spec.isDisabled = true })
        let error = await error { () async throws(IPAMError) in try await fixture.allocator().assign(request("b")) }
        guard case .noPool = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(try await fixture.allocator().release(handle: "a") == [before.address])
    }

    @Test func aLockedStoreAssignsNothingButReleases() async throws {
        let fixture = try await small()
        let address = try await fixture.allocator().assign(request("a"))[0].address
        var information = try ClusterInformation(
            try #require(try await fixture.store.get(ClusterInformation.recordKey("default")))
        )
        information.spec.datastoreReady = false
        try await fixture.put(information)
        let error = await error { () async throws(IPAMError) in try await fixture.allocator().assign(request("b")) }
        guard case .datastore(let cause) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(cause.reason == .unavailable && cause.message.contains("locked"))
        #expect(try await fixture.allocator().release(handle: "a") == [address])
    }

    @Test(arguments: ["", "a/b"])
    func badNodeNamesAreRefused(_ host: String) async throws {
        let fixture = try await small()
        let error = await error { () async throws(IPAMError) in try await fixture.allocator(host).assign(request("a")) }
        guard case .invalidRequest = error else {
            Issue.record("\(error as Any)")
            return
        }
    }
}
