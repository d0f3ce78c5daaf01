import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

/// Every reason for which a pool is refused, and that the explanation agrees with what an assignment does.
@Suite struct ExplainTests {
    private let fixture = Fixture(MemoryDatastore())

    private func explain(_ edit: (inout AssignmentRequest) -> Void = { _ in }) async throws
        -> AssignmentExplanation.Family
    {
        try #require(try await fixture.allocator().explain(request("explain", "eth0", edit)).families.first)
    }

    private func codes(_ family: AssignmentExplanation.Family, _ pool: String = "default") -> [String]? {
        family.pools.first { $0.name == pool }?.refusals.map(\.code)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let codes: [String]
        let pool: @Sendable (inout IPPool) -> Void
        let request: @Sendable (inout AssignmentRequest) -> Void
        var testDescription: String { codes.joined(separator: " ") }

        init(
            _ codes: String...,
            pool: @escaping @Sendable (inout IPPool) -> Void = { _ in },
            request: @escaping @Sendable (inout AssignmentRequest) -> Void = { _ in }
        ) {
            (self.codes, self.pool, self.request) = (codes, pool, request)
        }

        static let all = [
            Case(),
            Case("disabled", pool: { $0.spec.isDisabled = true }),
            Case("terminating", pool: { $0.metadata.deletionTimestamp = .now }),
            Case(
                "notAllocatable",
                pool: {
                    $0.conditions = [
                        .init(type: "Allocatable", status: "False", reason: "CIDROverlap", message: nil)
                    ]
                }
            ),
            Case("manual", pool: { $0.spec.assignmentMode = .manual }),
            Case(pool: { $0.spec.assignmentMode = .manual }, request: { $0.ipv4Pools = ["default"] }),
            Case("nodeSelector", pool: { $0.spec.nodeSelector = "zone == \"b\"" }),
            Case(pool: { $0.spec.nodeSelector = "zone == \"a\"" }),
            Case("namespaceSelector", pool: { $0.spec.namespaceSelector = "has(tier)" }),
            Case(
                pool: { $0.spec.namespaceSelector = "has(tier)" },
                request: { $0.namespaceLabels = ["tier": "front"] }
            ),
            Case("use", pool: { $0.spec.allowedUses = [.loadBalancer] }),
            Case(
                "disabled",
                "manual",
                "nodeSelector",
                pool: {
                    $0.spec.isDisabled = true
                    $0.spec.assignmentMode = .manual
                    $0.spec.nodeSelector = "!all()"
                }
            ),
        ]
    }

    @Test(arguments: Case.all) func everyReasonIsTold(_ testCase: Case) async throws {
        try await fixture.put(NodeResource(name: "node-a", labels: ["zone": "a"]))
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 28, testCase.pool))
        let family = try await explain(testCase.request)
        #expect(codes(family) == testCase.codes)
        let assigned = try? await fixture.allocator().assign(request("a", "eth0", testCase.request))
        #expect((assigned != nil) == testCase.codes.isEmpty)
        if let block = assigned?.first?.block {
            #expect(family.source == .newBlock(block, pool: "default"))
        } else if case .none = family.source {
        } else {
            Issue.record("\(family.source)")
        }
    }

    @Test func theSourceIsWhereTheNextAddressComesFrom() async throws {
        try await fixture.put(fixture.pool("10.80.0.0/29", blockSize: 30))
        func expect(_ source: AssignmentExplanation.Source?, _ handle: String) async throws {
            let told = try await explain().source
            if let source { #expect(told == source) }
            let address = try await fixture.allocator().assign(request(handle))[0]
            switch told {
            case .ownBlock(let block, _), .newBlock(let block, _), .reclaimedBlock(let block, _),
                .borrowed(let block, _, _):
                #expect(block == address.block)
            case .none(let reason): Issue.record("\(reason)")
            }
        }
        try await expect(nil, "first")
        let own = try await fixture.blocks()[0].cidr
        try await expect(.ownBlock(own, pool: "default"), "second")
        // Another node takes the other block and uses one address of it.
        let other = try await fixture.allocator("node-b").assign(request("b"))[0].block
        for number in 0..<2 { try await expect(.ownBlock(own, pool: "default"), "h\(number)") }
        try await expect(.borrowed(other, owner: .host("node-b"), pool: "default"), "borrower")
        try await fixture.configure { $0.strictAffinity = true }
        #expect(try await codes(explain()) == ["strictAffinity"])
        await #expect(throws: IPAMError.self) { try await fixture.allocator().assign(request("x")) }
        try await fixture.configure {
            $0.strictAffinity = true
            $0.maxBlocksPerHost = 1
        }
        #expect(try await codes(explain()) == ["blockLimit"])
        try await fixture.configure { _ in }
        for handle in ["b", "borrower"] { try await fixture.allocator("node-b").release(handle: handle) }
        fixture.clock.advance(.seconds(120))
        try await expect(.reclaimedBlock(other, pool: "default"), "reclaimer")
        for number in 0..<3 { _ = try await fixture.allocator().assign(request("last\(number)")) }
        #expect(try await codes(explain()) == ["full"])
    }

    @Test func reservedAndUnknownPools() async throws {
        try await fixture.put(fixture.pool("10.80.0.0/28", blockSize: 30))
        try await fixture.put(IPReservation(name: "all", reservedCIDRs: [CIDR("10.80.0.0/27")!]))
        #expect(try await codes(explain()) == ["reserved"])
        try await fixture.put(fixture.pool("10.81.0.0/24", name: "other"))
        let asked = try await explain { $0.ipv4Pools = ["other", "missing"] }
        #expect(asked.pools.map(\.name) == ["other", "default"])
        #expect(codes(asked) == ["notRequested"] && codes(asked, "other") == [])
        #expect(asked.unknownPools == ["missing"])
        #expect(asked.source == .none("the IPv4 pool missing does not exist"))
    }
}
