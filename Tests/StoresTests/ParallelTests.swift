import ClusterClient
import IPAM
import NetworkTypes
import TestSupport
import Testing

/// A hundred containers of twenty hosts that come, and go, at once, on every store.
@Suite struct ParallelTests {
    private static let count = 100

    /// With real pauses between its attempts, by which rivals fall out of step (U5).
    private static func allocator(_ number: Int, _ fixture: Fixture) -> Allocator {
        Allocator(datastore: fixture.store, host: "node-\(number % 20)", timeLimit: .seconds(60))
    }

    /// IPv4 blocks are so few that hosts have to borrow from each other; of IPv6 there is room for all.
    @Test(arguments: StoreUnderTest.allCases)
    func aHundredComeAndGo(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let fixture = Fixture(instance.store, keeping: instance)
        let isAtomic = instance.store.commitsAtomically
        try await fixture.allocator().ensurePools([
            fixture.pool("10.0.0.0/25", name: "four", blockSize: 29), fixture.pool("fd00::/64", name: "six"),
        ])
        let assigned = try await withThrowingTaskGroup(of: [IPAddress].self) { group in
            for number in 0..<Self.count {
                group.addTask {
                    let request = request("c\(number)", ipv4: 1, ipv6: 1)
                    return try await Self.allocator(number, fixture).assign(request).map(\.address)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(assigned.allSatisfy { $0.map(\.family) == [.ipv4, .ipv6] })
        #expect(Set(assigned.joined()).count == 2 * Self.count)
        #expect(try await fixture.problems(exact: isAtomic) == [])
        var inUse = 0
        for family in IPFamily.allCases { inUse += try await fixture.blocks(family).reduce(0) { $0 + $1.inUseCount } }
        #expect(inUse == 2 * Self.count)

        let released = try await withThrowingTaskGroup(of: [IPAddress].self) { group in
            for number in 0..<Self.count {
                group.addTask {
                    try await Self.allocator(number, fixture).release(handle: "c\(number)", interface: "eth0")
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(Set(released) == Set(assigned.joined()))
        #expect(released.count == 2 * Self.count)
        for family in IPFamily.allCases { #expect(try await fixture.blocks(family).allSatisfy(\.isEmpty)) }
        #expect(try await fixture.store.list(.handles).isEmpty)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// Those that come meet those that go, in few blocks.
    @Test(arguments: StoreUnderTest.allCases)
    func someComeWhileOthersGo(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let fixture = Fixture(instance.store, keeping: instance)
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/25", blockSize: 28)])
        for number in 0..<Self.count / 2 {
            _ = try await Self.allocator(number % 5, fixture).assign(request("old\(number)"))
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<Self.count / 2 {
                group.addTask {
                    let released = try await Self.allocator(number, fixture).release(handle: "old\(number)")
                    #expect(released.count == 1)
                }
                group.addTask {
                    let assigned = try await Self.allocator(number, fixture).assign(request("new\(number)"))
                    #expect(assigned.count == 1)
                }
            }
            try await group.waitForAll()
        }
        var addresses: Set<IPAddress> = []
        for number in 0..<Self.count / 2 {
            addresses.formUnion(try await fixture.allocator().addresses(ofHandle: "new\(number)").map(\.address))
        }
        #expect(addresses.count == Self.count / 2)
        #expect(try await fixture.blocks().reduce(0) { $0 + $1.inUseCount } == Self.count / 2)
        #expect(try await fixture.problems(exact: instance.store.commitsAtomically) == [])
    }
}
