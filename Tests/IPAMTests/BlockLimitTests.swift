import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

/// A host that has as many blocks as it may (P7, C6).
@Suite struct BlockLimitTests {
    /// Of 64 blocks of four addresses node-a has 20, all full.
    private func fixture(_ kind: StoreKind) async throws -> Fixture {
        let fixture = try Fixture(kind)
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/24", blockSize: 30)])
        _ = try await fixture.allocator().assign(request("full", ipv4: 80))
        return fixture
    }

    @Test(arguments: StoreKind.allCases)
    func whoMayBorrowDoes(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let pools = [fixture.pool("10.0.0.0/24", blockSize: 30)]
        let lender = try await fixture.allocator("node-b").assign(request("b"))[0].block
        #expect(try await fixture.allocator().hasRoom(in: pools))
        #expect(
            try await fixture.allocator().explain(request("x")).families.map(\.source)
                == [.borrowed(lender, owner: .host("node-b"), pool: "default")]
        )
        #expect(try await fixture.allocator().assign(request("a", ipv4: 3)).map(\.block) == [lender, lender, lender])
        #expect(try await fixture.store.keys(.blockAffinities(.host("node-a"), .ipv4)).count == 20)

        let error = await #expect(throws: IPAMError.self) { try await fixture.allocator().assign(request("x")) }
        guard case .blockLimit(let shortage) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(
            shortage.description
                == "assigned 0 out of 1 requested IPv4 addresses; the 20 IPv4 blocks of host node-a are full: block limit "
                + "20 reached; other hosts have no address to lend; swiftletctl ipam configure --max-blocks-per-host raises "
                + "it, which takes strict affinity"
        )
        #expect(try await !fixture.allocator().hasRoom(in: pools))
        let explanation = try await fixture.allocator().explain(request("x")).families[0]
        #expect(explanation.pools.map(\.refusals) == [[.blockLimit(20)]])
        #expect(try await fixture.problems(exact: true) == [])
        // Others are not at theirs.
        #expect(try await fixture.allocator("node-b").assign(request("c")).count == 1)
    }

    @Test(arguments: StoreKind.allCases)
    func withStrictAffinityNobodyLends(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        try await fixture.configure { $0.strictAffinity = true }
        _ = try await fixture.allocator("node-b").assign(request("b"))
        let error = await #expect(throws: IPAMError.self) { try await fixture.allocator().assign(request("x")) }
        guard case .blockLimit(let shortage) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(shortage.reasons.contains("strict affinity forbids to borrow"))
        #expect(try await !fixture.allocator().hasRoom(in: [fixture.pool("10.0.0.0/24", blockSize: 30)]))
        try await fixture.configure {
            $0.strictAffinity = true
            $0.maxBlocksPerHost = 21
        }
        #expect(try await fixture.allocator().assign(request("x", ipv4: 4)).count == 4)
    }

    /// More blocks would not help.
    @Test(arguments: StoreKind.allCases)
    func aPoolWithoutBlocksIsExhausted(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        for host in ["node-b", "node-c", "node-d"] {
            let count = host == "node-d" ? 16 : 80
            _ = try await fixture.allocator(host).assign(request(host, ipv4: count))
        }
        let error = await #expect(throws: IPAMError.self) { try await fixture.allocator().assign(request("x")) }
        guard case .poolExhausted = error else {
            Issue.record("\(error as Any)")
            return
        }
    }

    /// Records of blocks that others have by now are no blocks.
    @Test(arguments: StoreKind.allCases)
    func staleAffinitiesDoNotCount(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        for block in try await fixture.blocks() {
            try await fixture.put(.blockAffinity(.host("node-b"), block.cidr), BlockAffinity(.confirmed).json)
        }
        #expect(try await fixture.allocator("node-b").assign(request("b")).count == 1)
        #expect(try await fixture.store.keys(.blockAffinities(.host("node-b"), .ipv4)).count == 1)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test func anImpossibleLimitIsTheDefault() throws {
        let json = Data(#"{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":-3}"#.utf8)
        let record = Record(key: .ipamConfiguration, value: json, revision: Revision("1"))
        #expect(try IPAMConfiguration(record).effectiveMaxBlocksPerHost == 20)
    }
}
