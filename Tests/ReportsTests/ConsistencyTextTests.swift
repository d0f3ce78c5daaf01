import ClusterClient
import Foundation
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM
@testable import Reports

@Suite struct ConsistencyTextTests {
    /// One address in use, one leaked, one cooling down, and a handle that nobody has.
    private func check() async throws -> ConsistencyCheck {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/16"))
        try await fixture.configure { $0.ipCooldownSeconds = 60 }
        let allocator = fixture.allocator()
        for handle in ["used", "leaked", "cooling"] { _ = try await allocator.assign(request(handle)) }
        try await allocator.release(handle: "cooling")
        try await fixture.put(.handle("orphan"), Handle(blocks: [:]).json)
        let address = try #require(try await allocator.addresses(ofHandle: "used").first).address
        try await fixture.put(
            .resource(.workloadEndpoints, namespace: "default", name: "e"),
            Data(
                #"{"metadata":{"name":"e"},"spec":{"pod":"web","node":"node-a","ipNetworks":["\#(address)/32"]}}"#.utf8
            )
        )
        return ConsistencyCheck(try await IPAMRecords.read(from: fixture.store), now: fixture.clock.now)
    }

    @Test func theWordsOfCalicoctl() async throws {
        let check = try await check()
        let block = try #require(check.blocks.first).cidr
        let addresses = check.allocations.map { "\($0.address)" }
        let extra = "ifname=eth0,namespace=default,node=node-a"
        #expect(
            check.text(showsAll: true, showsProblems: true) == """
                Checking IPAM for inconsistencies...

                Loading all IPAM blocks...
                Found 1 IPAM blocks.
                 IPAM block \(block) affinity=host:node-a:
                  \(addresses[0]) allocated; attrs Main:used Extra:\(extra),pod=pod-used
                  \(addresses[1]) allocated; attrs Main:leaked Extra:\(extra),pod=pod-leaked
                  \(addresses[2]) allocated; attrs Main:<none> Extra:
                IPAM blocks record 3 allocations.

                Loading all IPAM pools...
                  10.80.0.0/16
                Found 1 active IP pools.

                Loading all nodes.
                Found 0 node tunnel IPs.

                Loading all service load balancer IPs.
                Found 0 service load balancer(s).

                Loading all workload endpoints.
                Found 1 workload IPs.
                Workloads and nodes are using 1 IPs.

                Loading all handles
                Looking for top (up to 20) nodes by allocations...
                  node-a has 2 allocations
                Node with most allocations has 2; median is 2

                Scanning for IPs that are allocated but not actually in use...
                  \(addresses[0]) in use by default/web on node-a
                  \(addresses[1]) leaked; attrs Main:leaked Extra:\(extra),pod=pod-leaked
                  \(addresses[2]) cooling down
                Found 1 IPs that are allocated in IPAM but not actually in use.
                Scanning for IPs that are in use by a workload or node but not allocated in IPAM...
                Found 0 in-use IPs that are not in active IP pools.
                Found 0 in-use IPs that are in active IP pools but have no corresponding IPAM allocation.

                Scanning for IPAM handles with no matching IPs...
                  orphan doesn't have any active IPs.
                Found 1 handles with no matching IPs (and 2 handles with matches).
                Scanning for IPs with missing handle...
                Found 0 handles mentioned in blocks with no matching handle resource.
                Validating IPAMBlock structures...
                Found 0 invalid IPAMBlocks.
                Check complete; found 2 problems.

                """
        )
        #expect(!check.text(showsAll: false, showsProblems: false).contains("leaked;"))
    }

    /// What calicoctl has no words for is told only when it is there.
    @Test func sharedAddressesAndStrayAffinities() async throws {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/16"))
        let address = try await fixture.allocator().assign(request("a"))[0].address
        for (pod, node) in [("web", "node-a"), ("db", "node-b")] {
            try await fixture.put(
                .resource(.workloadEndpoints, namespace: "shop", name: pod),
                Data(
                    #"{"metadata":{"name":"e"},"spec":{"pod":"\#(pod)","node":"\#(node)","ipNetworks":["\#(address)"]}}"#
                        .utf8
                )
            )
        }
        for (node, state) in [("gone", BlockAffinity.State.confirmed), ("new", .pending)] {
            let key = RecordKey.blockAffinity(.host(node), try #require(CIDR("10.80.9.0/26")))
            try await fixture.put(key, BlockAffinity(state).json)
        }
        let check = ConsistencyCheck(try await IPAMRecords.read(from: fixture.store), now: fixture.clock.now)
        let text = check.text(showsAll: false, showsProblems: true)
        #expect(
            text.contains(
                """
                  \(address) has multiple owners: shop/db on node-b, shop/web on node-a
                Found 0 in-use IPs that are not in active IP pools.
                Found 0 in-use IPs that are in active IP pools but have no corresponding IPAM allocation.
                Found 1 in-use IPs with multiple owners.

                """
            ),
            "\(text)"
        )
        #expect(
            text.hasSuffix(
                """
                Found 0 invalid IPAMBlocks.
                  host:gone does not have block 10.80.9.0/26 (confirmed)
                Found 1 block affinities without their block, which mean nothing.
                Check complete; found 1 problems.

                """
            ),
            "\(text)"
        )
        let report = ConsistencyReport.json(check, version: "1")
        #expect(
            report.replacing(/\s+/, with: " ").contains(#"[ "shop/db on node-b", "shop/web on node-a" ]"#),
            "\(report)"
        )
    }

    @Test func aReportIsReadAsItWasWritten() async throws {
        let check = try await check()
        let report = try ConsistencyReport(parsing: Array(ConsistencyReport.json(check, version: "1.2.3").utf8))
        let leak = try #require(check.leaks.first)
        #expect(report.version == "1.2.3")
        #expect(report.isDatastoreLocked == false)
        #expect(
            report.leaks == [
                .init(address: leak.address, handle: "leaked", sequenceNumber: leak.sequenceNumber)
            ]
        )
        #expect(report.leakedHandles.map(\.id) == ["orphan"])
        #expect(ConsistencyReport.commonLeaks([report, report]) == report.leaks)
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"version":"1","clusterGUID":"a","allocations":{"x":[{}]}}"#,
        #"{"version":"1","clusterGUID":"a","allocations":{"10.0.0.1":[{"handle":"h"}]}}"#,
        #"{"version":"1","clusterGUID":"a","leakedHandles":[{"ID":"a"}]}"#,
    ])
    func whatIsNoReportIsRefused(_ text: String) {
        #expect(throws: ConsistencyReport.Malformed.self) { try ConsistencyReport(parsing: Array(text.utf8)) }
    }
}
