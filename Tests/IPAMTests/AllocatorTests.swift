import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

@Suite struct AllocatorTests {
    @Test(arguments: StoreKind.allCases)
    func theFirstAddressOfAFreshBlockIsItsFirst(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/16"), fixture.pool("fd00:80::/48", name: "six")])
        let addresses = try await allocator.assign(request("a", ipv4: 1, ipv6: 1))
        #expect(addresses.map(\.pool) == ["default", "six"])
        #expect(addresses.map { $0.address == $0.block.address } == [true, true])
        #expect(addresses.map(\.block.prefixLength) == [26, 122])
        let next = try await allocator.assign(request("b", ipv4: 1, ipv6: 1))
        #expect(next.map(\.address) == addresses.map { $0.address.advanced(by: 1)! })
        #expect(try await allocator.addresses(ofHandle: "a").map(\.address) == addresses.map(\.address))
        #expect(try await fixture.problems(exact: true) == [])

        let affinity = try #require(try await fixture.store.get(.blockAffinity(.host("node-a"), addresses[0].block)))
        #expect(String(decoding: affinity.value, as: UTF8.self) == #"{"state":"confirmed","deleted":false}"#)
        let handle = try #require(try await fixture.store.get(.handle("a")))
        #expect(
            String(decoding: handle.value, as: UTF8.self)
                == #"{"block":{"\#(addresses[0].block)":1,"\#(addresses[1].block)":1},"deleted":false}"#
        )
    }

    @Test(arguments: StoreKind.allCases)
    func releaseGivesBackAllOfAHandle(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24"), fixture.pool("fd00:80::/120", name: "six")])
        let addresses = try await allocator.assign(request("a", ipv4: 2, ipv6: 1)).map(\.address)
        #expect(try await allocator.release(handle: "a", interface: nil).sorted() == addresses.sorted())
        #expect(try await allocator.release(handle: "a", interface: nil) == [])
        #expect(try await fixture.store.get(.handle("a")) == nil)
        #expect(try await fixture.problems(exact: true) == [])
        // R10: what was released goes to the end of the queue.
        let next = try await allocator.assign(request("b")).map(\.address)
        #expect(next == [addresses[1].advanced(by: 1)])
    }

    @Test(arguments: StoreKind.allCases)
    func interfacesOfAContainerAreReleasedOneByOne(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24")])
        let first = try await allocator.assign(request("a", "eth0")).map(\.address)
        let second = try await allocator.assign(request("a", "net1")).map(\.address)
        #expect(first != second)
        #expect(try await allocator.addresses(ofHandle: "a", interface: "net1").map(\.address) == second)
        #expect(try await allocator.release(handle: "a", interface: "eth0") == first)
        #expect(try await allocator.addresses(ofHandle: "a").map(\.address) == second)
        #expect(try await allocator.release(handle: "a", interface: "eth0") == [])
        #expect(try await fixture.problems(exact: true) == [])
        #expect(try await allocator.release(handle: "a", interface: "net1") == second)
        #expect(try await fixture.store.list(.handles).isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func aRepeatedRequestGetsTheSame(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24"), fixture.pool("fd00:80::/120", name: "six")])
        let addresses = try await allocator.assign(request("a", ipv4: 1, ipv6: 1))
        #expect(try await allocator.assign(request("a", ipv4: 1, ipv6: 1)) == addresses)
        #expect(try await allocator.assign(request("a", ipv4: 1, ipv6: 0)) == [addresses[0]])
        #expect(try await fixture.blocks().map(\.inUseCount) == [1])
        #expect(try await fixture.problems(exact: true) == [])
    }
}
