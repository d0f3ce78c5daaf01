import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

@Suite struct EnsurePoolsTests {
    @Test(arguments: StoreKind.allCases)
    func poolsAreCreatedOnce(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let pools = [fixture.pool("10.0.0.0/16", name: "a"), fixture.pool("10.1.0.0/16", name: "b")]
        try await fixture.allocator().ensurePools(pools)
        let records = try await fixture.store.list(.resources(.ipPools))
        #expect(records.map(\.key) == [.resource(.ipPools, name: "a"), .resource(.ipPools, name: "b")])
        let stored = try IPPool(records[0])
        #expect(stored.metadata.uid != nil && stored.metadata.creationTimestamp == fixture.clock.now)
        try await fixture.allocator().ensurePools(pools)
        #expect(try await fixture.store.list(.resources(.ipPools)) == records)
        let information = try ClusterInformation(
            try #require(try await fixture.store.get(ClusterInformation.recordKey("default")))
        )
        #expect(information.spec.clusterGUID?.count == 32 && information.spec.datastoreReady == true)
    }

    /// What an operator changed in the record stays.
    @Test func theRecordWinsOverTheConfiguration() async throws {
        let fixture = try Fixture()
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/16")])
        try await fixture.put(fixture.pool("10.0.0.0/16") { $0.spec.isDisabled = true })
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/16") { $0.spec.natOutgoing = true }])
        let stored = try IPPool(try #require(try await fixture.store.get(.resource(.ipPools, name: "default"))))
        #expect(stored.spec.isDisabled && !stored.spec.natOutgoing)
    }

    @Test(arguments: [
        (["default 10.0.0.0/17 26"], "its cidr is 10.0.0.0/16, not 10.0.0.0/17"),
        (["default 10.0.0.0/16 27"], "its blockSize is 26, not 27"),
        (["other 10.0.128.0/17 26"], "10.0.128.0/17 overlaps 10.0.0.0/16 of pool default"),
        (["x 10.2.0.0/16 26", "y 10.2.0.0/15 26"], "10.2.0.0/15 overlaps 10.2.0.0/16 of pool x"),
        (["x 10.2.0.0/16 26", "x 10.3.0.0/16 26"], "it is configured twice"),
        (["x 10.2.0.1/16 26"], "host bits"),
        (["x 10.64.0.0/16 27"], "block 10.64.0.0/26 exists in it"),
    ])
    func poolsThatContradictAreRefusedAndNothingIsMade(_ texts: [String], _ problem: String) async throws {
        let fixture = try Fixture()
        try await fixture.allocator().ensurePools([fixture.pool("10.0.0.0/16")])
        let orphan = Block(cidr: CIDR("10.64.0.0/26")!, affinity: nil, now: fixture.clock.now)
        try await fixture.put(.block(orphan.cidr), orphan.json)
        let pools = texts.map { text in
            let words = text.split(separator: " ").map(String.init)
            return fixture.pool(words[1], name: words[0], blockSize: Int(words[2]))
        }
        let error = await #expect(throws: IPAMError.self) {
            try await fixture.allocator().ensurePools([fixture.pool("10.200.0.0/16", name: "fine")] + pools)
        }
        #expect(error?.description.contains(problem) == true, "\(error as Any)")
        #expect(try await fixture.store.keys(.resources(.ipPools)).count == 1)
    }

    @Test(arguments: [StoreKind.transactional, .local])
    func manyAtOnceAgreeOnOneOfTwoThatOverlap(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let candidates = [fixture.pool("10.0.0.0/16", name: "a"), fixture.pool("10.0.0.0/17", name: "b")]
        let outcomes = await withTaskGroup(of: (Int, Bool).self) { group in
            for index in 0..<16 {
                group.addTask {
                    do throws(IPAMError) {
                        try await fixture.allocator().ensurePools([candidates[index % 2]])
                        return (index % 2, true)
                    } catch {
                        return (index % 2, false)
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let stored = try await fixture.store.keys(.resources(.ipPools))
        #expect(stored.count == 1)
        let winner = stored.first == .resource(.ipPools, name: "a") ? 0 : 1
        #expect(outcomes.allSatisfy { $0.1 == ($0.0 == winner) })
    }
}
