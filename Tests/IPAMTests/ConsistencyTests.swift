import ClusterClient
import Foundation
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

@Suite struct ConsistencyTests {
    private func endpoint(_ pod: String, _ addresses: [IPAddress]) -> (RecordKey, Data) {
        let networks = addresses.map { "\"\($0.hostPrefix)\"" }.joined(separator: ",")
        return (
            .resource(.workloadEndpoints, namespace: "default", name: "node--a-k8s-\(pod)-eth0"),
            Data(
                #"""
                {"kind":"WorkloadEndpoint","apiVersion":"projectcalico.org/v3","metadata":{"name":"x"},
                 "spec":{"pod":"\#(pod)","node":"node-a","containerID":"c","endpoint":"eth0","ipNetworks":[\#(networks)]}}
                """#.utf8
            )
        )
    }

    private func check(_ fixture: Fixture) async throws -> ConsistencyCheck {
        ConsistencyCheck(try await IPAMRecords.read(from: fixture.store), now: fixture.clock.now)
    }

    private func assign(_ handle: String, _ fixture: Fixture) async throws -> IPAddress {
        try #require(try await fixture.allocator().assign(request(handle)).first?.address)
    }

    /// Every kind of problem of 7.3 at once, then their repair.
    @Test(arguments: [true, false]) func findsWhatIsWrongAndMendsIt(_ isAtomic: Bool) async throws {
        let fixture = Fixture(MemoryDatastore(commitsAtomically: isAtomic))
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 29))
        let used = try await assign("used", fixture)
        let leaked = try await assign("leaked", fixture)
        let handleless = try await assign("handleless", fixture)
        for (pod, address) in [("used", used), ("handleless", handleless)] {
            let (key, json) = endpoint(pod, [address])
            try await fixture.put(key, json)
        }
        #expect(try await check(fixture).leaks.map(\.address) == [leaked])
        #expect(try await check(fixture).problemCount == 1)

        let record = try #require(try await fixture.store.get(.handle("handleless")))
        _ = try await fixture.store.commit([.delete(.handle("handleless"), record.revision)])
        try await fixture.put(.handle("orphan"), Handle(blocks: [CIDR("10.80.0.0/29")!: 1]).json)
        let (outside, json) = endpoint("outside", [IPAddress("192.0.2.7")!, IPAddress("10.80.0.200")!])
        try await fixture.put(outside, json)
        let block = try #require(try await fixture.blocks().first)
        var broken = String(decoding: block.json, as: UTF8.self)
        let queue = try #require(broken.range(of: #""unallocated":["#))
        broken.insert(contentsOf: "0,0,", at: queue.upperBound)
        try await fixture.put(.block(block.cidr), Data(broken.utf8))
        try await fixture.put(.handle("broken"), Data("[]".utf8))

        let found = try await check(fixture)
        #expect(found.missingHandles == ["handleless"])
        #expect(found.leakedHandles.map(\.id) == ["orphan"])
        #expect(found.usedOutsidePools.map(\.address) == [IPAddress("192.0.2.7")!])
        #expect(found.usedWithoutAllocation.map(\.address) == [IPAddress("10.80.0.200")!])
        #expect(found.invalidBlocks.map(\.cidr) == [block.cidr])
        #expect(found.unreadable.map(\.key) == [.handle("broken")])
        #expect(found.problemCount == 7)

        let administration = fixture.administration
        #expect(try await administration.mend(block: block.cidr))
        #expect(try await !administration.mend(block: block.cidr))
        try await administration.restore(handle: "handleless", of: [block.cidr])
        let leaks = found.leaks.map {
            ReleaseOptions(address: $0.address, handle: $0.handle, sequenceNumber: $0.sequenceNumber)
        }
        #expect(try await administration.release(leaks: leaks).done == 1)
        #expect(try await administration.release(leaks: leaks).skipped == 1)
        #expect(try await administration.delete(handles: found.leakedHandles).done == 1)
        #expect(try await administration.delete(handles: found.leakedHandles).skipped == 1)
        let after = try await check(fixture)
        // What only a person can settle is left: two addresses that nobody assigned, and a record of another make.
        #expect(after.problemCount == 3)
        #expect(Set(after.allocations.map(\.address)) == [used, handleless])
        // The DEL of the container finds the address again.
        #expect(try await fixture.allocator().release(handle: "handleless") == [handleless])
    }

    /// What cannot be read may have what looks as if nobody had it.
    @Test func whatCannotBeReadHidesWhatItMayHave() async throws {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 29))
        let address = try await assign("leaked", fixture)
        try await fixture.put(.handle("orphan"), Handle(blocks: [CIDR("10.80.0.64/29")!: 1]).json)
        let clear = try await check(fixture)
        #expect(clear.leaks.map(\.address) == [address] && clear.leakedHandles.map(\.id) == ["orphan"])
        #expect(!clear.mayHaveAddresses(handle: "orphan") && clear.mayHaveAddresses(handle: "leaked"))

        try await fixture.put(.block(CIDR("10.80.0.64/29")!), Data("{}".utf8))
        let blockless = try await check(fixture)
        #expect(blockless.leaks.map(\.address) == [address] && blockless.leakedHandles == [])
        #expect(blockless.mayHaveAddresses(handle: "orphan") && blockless.matchedHandleCount == 1)

        try await fixture.put(.resource(.workloadEndpoints, namespace: "x", name: "y"), Data("{".utf8))
        #expect(try await check(fixture).allocations.map(\.use) == [.unknown])
        #expect(try await check(fixture).leaks == [])
    }

    /// Contract, "in use": an endpoint has it or, in a cluster, a Pod.
    @Test func whatAPodHasByItsStatusIsInUse() async throws {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 29))
        let address = try await assign("a", fixture)
        var administration = fixture.administration
        administration.addressesInUseElsewhere = { () async throws(DatastoreError) in [address] }
        let records = try await administration.records()
        let check = ConsistencyCheck(records, now: fixture.clock.now)
        #expect(check.problemCount == 0 && check.usedCount == 1)
        #expect(records.owner(of: address) == "a Pod, by its status")
        #expect(check.allocations.map(\.use) == [.endpoint("a Pod, by its status")])
    }

    /// Addresses of another IPAM plugin, or without any, are in use, and no problem.
    @Test(arguments: ["host-local", "none", ""]) func whatAnotherPluginAssignedIsNoProblem(_ plugin: String)
        async throws
    {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 29))
        let (key, json) = endpoint("a", [IPAddress("192.0.2.7")!, IPAddress("10.80.0.200")!])
        let annotated = String(decoding: json, as: UTF8.self)
            .replacing(#""name":"x""#, with: #""name":"x","annotations":{"a":"b","swiftlet.io/ipam":"\#(plugin)"}"#)
        try await fixture.put(key, Data(annotated.utf8))
        let check = try await check(fixture)
        #expect(check.problemCount == (plugin.isEmpty ? 2 : 0))
        #expect(check.usedCount == 2)
    }

    /// Contract, "in use": of several endpoints with one address all but one are wrong, and only a person knows which. Other
    /// plugins may have given it on each node.
    @Test func anAddressThatSeveralEndpointsHaveIsAProblem() async throws {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/24", blockSize: 29))
        let address = try await assign("a", fixture)
        let (strange, unassigned) = (IPAddress("192.0.2.7")!, IPAddress("10.80.0.200")!)
        for pod in ["a", "b"] {
            let (key, json) = endpoint(pod, [address, unassigned, strange])
            try await fixture.put(key, json)
            let (other, foreign) = endpoint("foreign-\(pod)", [IPAddress("172.16.0.2")!])
            let annotated = String(decoding: foreign, as: UTF8.self)
                .replacing(#""name":"x""#, with: #""name":"x","annotations":{"swiftlet.io/ipam":"host-local"}"#)
            try await fixture.put(other, Data(annotated.utf8))
        }
        let check = try await check(fixture)
        let owners = ["default/a on node-a", "default/b on node-a"]
        #expect(check.sharedAddresses.map(\.address) == [address, unassigned, strange].sorted())
        #expect(check.sharedAddresses.allSatisfy { $0.owners == owners })
        #expect(check.usedWithoutAllocation.map(\.canBeAssigned) == [false])
        // Beside being shared, one is unknown to IPAM and one is in no pool.
        #expect(check.problemCount == 5)
    }

    /// An ADD has the address before its endpoint is recorded: it is told, as calicoctl does, and not taken back (G4).
    /// Calico's time stamps and ours are both understood.
    @Test(arguments: ["2026-11-20 08:14:00.120045 +0000 UTC", "2026-11-20T08:14:00Z"])
    func whatWasJustAssignedIsNotTakenBack(_ timestamp: String) async throws {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/24"))
        _ = try await fixture.allocator().assign(request("new") { $0.attributes["timestamp"] = timestamp })
        let early = try await check(fixture)
        #expect(early.allocations.map(\.use) == [.recent])
        #expect(early.leaks.count == 1 && early.releasableLeaks.isEmpty && early.problemCount == 1)
        fixture.clock.advance(.seconds(121))
        #expect(try await check(fixture).releasableLeaks.count == 1)
    }

    /// A reused address, or one that another took over, stays: the leak was another assignment (X4, X8).
    @Test func aLeakThatWasAssignedAnewStays() async throws {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/30", blockSize: 30))
        let address = try await assign("old", fixture)
        let leaks = try await check(fixture).leaks.map {
            ReleaseOptions(address: $0.address, handle: $0.handle, sequenceNumber: $0.sequenceNumber)
        }
        try await fixture.allocator().release(handle: "old")
        _ = try await fixture.allocator().assign(request("new", ipv4: 0) { $0.requested = [address] })
        #expect(try await fixture.administration.release(leaks: leaks).skipped == 1)
        #expect(try await fixture.allocator().addresses(ofHandle: "new").map(\.address) == [address])
    }

    @Test func tunnelsLastAsLongAsTheirNode() async throws {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/24"))
        _ = try await fixture.allocator().assign(
            request("tunnel") { $0.attributes = ["node": "node-a", "type": "vxlanTunnelAddress"] }
        )
        #expect(try await check(fixture).leaks.count == 1)
        try await fixture.put(NodeResource(name: "node-a", labels: [:]))
        #expect(try await check(fixture).allocations.map(\.use) == [.tunnel(node: "node-a")])
    }

    /// Whatever is broken in a block's queue and indices: what has an owner keeps it, and B1 to B5 hold.
    @Test(arguments: 1...200 as ClosedRange<UInt64>) func anyBlockCanBeMended(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let now = Timestamp("2026-11-20T08:14:03Z")!
        var block = Block(cidr: CIDR("10.80.0.0/28")!, affinity: .host("a"), now: now)
        for number in 0..<6 { _ = block.assign(count: 1, to: .init(handleID: "h\(number)")) }
        block.release([1], now: now, cooldown: .seconds(30))
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let ordinal = Int.random(in: 0..<16, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: block.unallocated.append(ordinal)
            case 1: block.unallocated.append(99)
            case 2: block.unallocated.removeAll { $0 == ordinal }
            case 3: block.attributes.append(.init(handleID: "nobody"))
            case 4: if block.allocations[ordinal] == nil { block.allocations[ordinal] = 77 }
            default: block.unallocated.shuffle(using: &random)
            }
        }
        let owners = block.allocations.indices.map { block.attribute($0)?.handle }
        block.mend(now: now)
        #expect(block.violations(now: now) == [])
        #expect(block.isSound)
        #expect(block.allocations.indices.map { block.attribute($0)?.handle } == owners)
    }
}
