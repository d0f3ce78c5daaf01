import ClusterClient
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

/// What STATUS asks, and what an ADD then finds; what a GC looks at.
@Suite struct RoomTests {
    private func fixture(_ kind: StoreKind, strict: Bool) async throws -> (Fixture, [IPPool]) {
        let fixture = try Fixture(kind)
        let pool = fixture.pool("10.0.0.0/28", blockSize: 30)
        try await fixture.allocator().ensurePools([pool])
        try await fixture.configure { $0.strictAffinity = strict }
        return (fixture, [pool])
    }

    /// All blocks are of another host: full, then empty for a moment, then long enough to be taken over (P8c).
    @Test(arguments: StoreKind.allCases, [true, false])
    func thereIsRoomWhereAnAssignmentFindsSome(_ kind: StoreKind, _ isStrict: Bool) async throws {
        let (fixture, pools) = try await fixture(kind, strict: isStrict)
        let other = fixture.allocator("node-b")
        func expectRoom(_ expected: Bool) async throws {
            #expect(try await other.hasRoom(in: pools) == expected)
            let assigned = try? await other.assign(request("b"))
            #expect((assigned != nil) == expected)
            try await other.release(handle: "b")
        }
        _ = try await fixture.allocator().assign(request("a", ipv4: 16))
        try await expectRoom(false)
        try await fixture.allocator().release(handle: "a")
        try await expectRoom(!isStrict)
        fixture.clock.advance(.seconds(60))
        try await expectRoom(true)
        #expect(try await fixture.store.keys(.blockAffinities(.host("node-b"), .ipv4)).count == 1)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// A pool has no room when all of it is reserved, though no block of it exists.
    @Test func whatIsReservedIsNoRoom() async throws {
        let (fixture, pools) = try await fixture(.transactional, strict: false)
        try await fixture.put(IPReservation(name: "most", reservedCIDRs: [CIDR("10.0.0.0/29")!, CIDR("10.0.0.8/30")!]))
        #expect(try await fixture.allocator().hasRoom(in: pools))
        try await fixture.put(IPReservation(name: "rest", reservedCIDRs: [CIDR("10.0.0.12/30")!]))
        #expect(try await !fixture.allocator().hasRoom(in: pools))
        await #expect(throws: IPAMError.self) { try await fixture.allocator().assign(request("a")) }
    }

    /// Of a whole cluster, the host's, with one listing.
    @Test(arguments: StoreKind.allCases)
    func theAddressesOfAHostAreListed(_ kind: StoreKind) async throws {
        let (fixture, _) = try await fixture(kind, strict: false)
        func assign(_ handle: String, _ interface: String, on node: String) async throws -> AssignedAddress {
            let request = request(handle, interface) { $0.attributes["node"] = node }
            return try await fixture.allocator(node).assign(request)[0]
        }
        let first = try await assign("a", "eth0", on: "node-a")
        let second = try await assign("a", "net1", on: "node-a")
        let other = try await assign("b", "eth0", on: "node-b")
        let (assigned, unreadable) = try await fixture.allocator().assignments()
        #expect(assigned.map(\.address).sorted() == [first.address, second.address].sorted())
        #expect(Set(assigned.map(\.handle)) == ["a"] && Set(assigned.map(\.sequenceNumber)).count == 2)
        #expect(unreadable == [])
        try await fixture.put(.block(other.block), Block(cidr: first.block, affinity: nil, now: fixture.clock.now).json)
        let rest = try await fixture.allocator().assignments()
        #expect(rest.assigned == assigned && rest.unreadable.map(\.key) == [.block(other.block)])
    }
}
