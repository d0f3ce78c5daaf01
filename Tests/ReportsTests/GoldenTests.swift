import ClusterClient
import Foundation
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM
@testable import Reports

/// What the commands print, byte for byte as in the files of `Golden`. To change one, remove its file and run the test,
/// which writes it anew and fails; then look at the difference.
@Suite struct GoldenTests {
    private func expect(_ text: String, is name: String, _ location: SourceLocation = #_sourceLocation) throws {
        let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden")
        let file = directory.appendingPathComponent(name)
        guard let golden = try? String(contentsOf: file, encoding: .utf8) else {
            try text.write(to: file, atomically: true, encoding: .utf8)
            Issue.record("\(name) was not there and has been written; look at it", sourceLocation: location)
            return
        }
        #expect(text == golden, "\(name)", sourceLocation: location)
    }

    private func cidr(_ text: String) throws -> CIDR { try #require(CIDR(text)) }

    private func pool(_ name: String, _ text: String, _ size: Int? = nil) throws -> IPPool {
        IPPool(name: name, spec: .init(cidr: try cidr(text), blockSize: size))
    }

    private func block(
        _ text: String,
        _ affinity: BlockOwner?,
        _ count: Int,
        cooling: Int = 0,
        node: String? = nil
    ) throws -> Block {
        let now = Timestamp(seconds: 1_763_626_443)
        var block = Block(cidr: try cidr(text), affinity: affinity, now: now)
        _ = block.assign(count: count, to: .init(handleID: "pods.0a", secondary: node.map { ["node": $0] } ?? [:]))
        block.release(0..<cooling, now: now, cooldown: .seconds(30))
        return block
    }

    // MARK: ipam show --map

    private var map: AddressMap {
        get throws {
            AddressMap(
                pools: [
                    try pool("default", "10.80.0.0/16"), try pool("empty", "10.90.0.0/16"),
                    try pool("small", "172.28.0.0/25", 27), try pool("v6", "fd00:80::/48"),
                ],
                blocks: [
                    try block("10.80.0.0/26", .host("worker-1"), 64), try block("10.80.0.64/26", .host("worker-2"), 3),
                    try block("10.80.15.192/26", nil, 40), try block("10.80.200.0/26", .host("worker-1"), 0),
                    try block("172.28.0.0/27", .host("worker-1"), 9, cooling: 2, node: "worker-3"),
                    try block("172.28.0.96/27", nil, 1), try block("fd00:80:0:1::40/122", .host("worker-1"), 30),
                    try block("192.0.2.0/26", .host("worker-9"), 1),
                ],
                reserved: ReservedRanges([try cidr("172.28.0.16/28")])
            )
        }
    }

    @Test func mapWithLetters() throws { try expect(map.text(isColoured: false), is: "map.txt") }
    @Test func mapWithColours() throws { try expect(map.text(isColoured: true), is: "map-coloured.txt") }

    /// Without colours it says the same.
    @Test func coloursAddNothing() throws {
        let coloured = try map.text(isColoured: true)
        #expect(coloured.contains("\u{1b}[0;30;41m"))
        #expect(try coloured.replacing(/\u{1b}\[[0-9;]*m/, with: "") == map.text(isColoured: false))
    }

    @Test func mapOfNothing() {
        #expect(
            AddressMap(pools: [], blocks: [], reserved: .none).text(isColoured: true)
                == "There are no pools and no blocks.\n"
        )
    }

    // MARK: ipam show -o json

    @Test func usage() throws {
        let usage = IPAMUsage(
            pools: [try pool("default", "10.80.0.0/16"), try pool("v6", "fd00:80::/48")],
            blocks: [
                try block("10.80.12.0/26", .host("worker-2"), 64), try block("10.80.44.192/26", nil, 3),
                try block("fd00:80::40/122", .host("worker-1"), 7), try block("192.0.2.0/26", .virtual("lb"), 1),
            ],
            reserved: ReservedRanges([try cidr("10.80.44.254/31")])
        )
        try expect(usage.table(showingBlocks: false), is: "usage.txt")
        try expect(usage.table(showingBlocks: true), is: "usage-blocks.txt")
        try expect(usage.json(showingBlocks: true), is: "usage-blocks.json")
        try expect(usage.json(showingBlocks: false), is: "usage.json")
    }

    // MARK: ipam show --show-borrowed, --show-configuration, --ip

    @Test func borrowed() throws {
        let borrowed = BorrowedAddresses([
            try block("10.80.12.0/26", .host("worker-2"), 1, node: "worker-7"),
            try block("10.80.44.192/26", nil, 2, cooling: 1, node: "worker-2"), try block("10.80.50.0/26", nil, 1),
        ])
        try expect(borrowed.table(), is: "borrowed.txt")
        try expect(borrowed.json(), is: "borrowed.json")
    }

    @Test func configuration() throws {
        var settings = IPAMConfiguration()
        try expect(settings.table(), is: "configuration.txt")
        try expect(settings.table(.wide), is: "configuration-wide.txt")
        settings.strictAffinity = true
        settings.maxBlocksPerHost = 4
        settings.kubeVirtVMAddressPersistence = "Enabled"
        settings.ipCooldownSeconds = 30
        try expect(settings.table(), is: "configuration-set.txt")
        try expect(settings.json(), is: "configuration-set.json")
    }

    @Test func addresses() throws {
        func report(_ state: AddressState) throws -> AddressReport {
            AddressReport(
                address: try #require(IPAddress("10.80.44.193")),
                state: state,
                pool: "default",
                poolIsDisabled: false,
                block: nil,
                affinity: nil
            )
        }
        let owner = ["namespace": "shop", "pod": "cart-5d9c", "node": "worker-2"]
        let states: [AddressState] = [
            .assigned(
                AddressAssignment(
                    handle: "k8s-pod-network.7f31c0de55aa",
                    attributes: owner,
                    alternateOwner: ["pod": "cart-6e0a"],
                    sequenceNumber: 7
                )
            ),
            .assigned(AddressAssignment(handle: nil, attributes: [:], alternateOwner: [:], sequenceNumber: 0)),
            .coolingDown(since: Timestamp(seconds: 1_763_626_443)), .reserved, .notAssigned,
        ]
        let texts = try states.map { try report($0).text() }
        try expect(texts.joined(separator: "\n"), is: "addresses.txt")
        try expect(states.map { try report($0).json() }.joined(), is: "addresses.json")
    }

    // MARK: ipam check -o FILE, ipam gc

    /// Every use that an address can have, and every problem but broken records.
    private func records() async throws -> (fixture: Fixture, records: IPAMRecords) {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(fixture.pool("10.80.0.0/28", blockSize: 28))
        try await fixture.put(fixture.pool("10.81.0.0/29", name: "edge", blockSize: 30))
        try await fixture.configure { $0.ipCooldownSeconds = 60 }
        try await fixture.put(NodeResource(name: "node-a", labels: [:]))
        var information = ClusterInformation(now: fixture.clock.now)
        information.spec.clusterGUID = "0123456789abcdef0123456789abcdef"
        try await fixture.put(ClusterInformation.recordKey("default"), information.json())
        let allocator = fixture.allocator()
        let used = try await allocator.assign(request("pods.used"))[0].address
        _ = try await allocator.assign(request("pods.leaked"))
        _ = try await allocator.assign(
            request("tunnel") { $0.attributes = ["type": "vxlanTunnelAddress", "node": "node-a"] }
        )
        _ = try await allocator.assign(request("pods.cooling"))
        try await allocator.release(handle: "pods.cooling")
        _ = try await allocator.assign(request("pods.lent") { $0.attributes["node"] = "node-b" })
        try await fixture.put(.handle("pods.orphan"), Handle(blocks: [:]).json)
        for (name, address) in [("web", "\(used)"), ("stranger", "192.0.2.7"), ("lost", "10.80.0.15")] {
            try await fixture.put(
                .resource(.workloadEndpoints, namespace: "shop", name: name),
                Data(
                    #"{"metadata":{"name":"e"},"spec":{"pod":"\#(name)","node":"node-a","ipNetworks":["\#(address)"]}}"#
                        .utf8
                )
            )
        }
        return (fixture, try await IPAMRecords.read(from: fixture.store))
    }

    @Test func check() async throws {
        let (fixture, records) = try await records()
        let check = ConsistencyCheck(records, now: fixture.clock.now)
        try expect(check.text(showsAll: false, showsProblems: false), is: "check.txt")
        try expect(check.text(showsAll: false, showsProblems: true), is: "check-problems.txt")
        try expect(check.text(showsAll: true, showsProblems: true), is: "check-all.txt")
        // Revisions are the store's; the one of a memory store counts.
        try expect(ConsistencyReport.json(check, version: "0.1.0"), is: "check.json")
    }

    @Test func collection() async throws {
        let (fixture, records) = try await records()
        let uptime = ContinuousClock.now
        var collection = LeakCollection(grace: .seconds(60), knowsAllNodes: false)
        let first = collection.observe(records, now: fixture.clock.now, uptime: uptime)
        try expect(CollectionReport(first, nil).text, is: "gc-dry-run.txt")
        let later = collection.observe(records, now: fixture.clock.now, uptime: uptime + .seconds(60))
        let outcome = try await fixture.administration.collect(later)
        try expect(CollectionReport(later, outcome).text, is: "gc.txt")
        try expect(CollectionReport(later, outcome).json(), is: "gc.json")
        let nothing = CollectionPlan(leaks: [], handles: [], blocks: [], affinities: [], cooledDown: [])
        #expect(CollectionReport(nothing, nil).text == "Nothing to collect.\n")
    }

    // MARK: ipam explain

    @Test func explanation() async throws {
        let fixture = Fixture(MemoryDatastore())
        try await fixture.put(NodeResource(name: "node-a", labels: ["zone": "core"]))
        try await fixture.put(fixture.pool("10.80.0.0/16"))
        try await fixture.put(
            fixture.pool("10.81.0.0/24", name: "edge") {
                $0.spec.nodeSelector = "zone == \"edge\""
                $0.spec.namespaceSelector = "has(tier)"
            }
        )
        try await fixture.put(
            fixture.pool("10.82.0.0/24", name: "old") {
                $0.spec.isDisabled = true
                $0.spec.assignmentMode = .manual
            }
        )
        try await fixture.put(fixture.pool("fd80::/48", name: "v6") { $0.spec.allowedUses = [.tunnel] })
        let address = try await fixture.allocator().assign(request("a"))[0].address
        let explanation = try await fixture.allocator().explain(request("explain") { $0.ipv6Pools = ["v6", "none"] })
        let report = ExplanationReport("shop/cart", explanation, addresses: [address])
        try expect(report.text, is: "explain.txt")
        try expect(report.json(), is: "explain.json")
    }

    // MARK: ipam migrate-pool

    @Test func migration() throws {
        var old = try pool("default", "10.80.0.0/16")
        let new = try pool("small", "10.90.0.0/28", 28)
        let blocks = [
            try block("10.80.0.0/26", .host("worker-1"), 3, cooling: 1, node: "worker-1"),
            try block("10.80.15.192/26", nil, 1), try block("10.90.0.0/28", .host("worker-1"), 1),
        ]
        let first = try PoolMigration(from: "default", to: "small", pools: [old, new], blocks: blocks)
        #expect(first.stage == .enabled)
        old.spec.isDisabled = true
        old.spec.nodeSelector = "zone == \"edge\""
        let draining = try PoolMigration(from: "default", to: "small", pools: [old, new], blocks: blocks)
        #expect(draining.stage == .draining)
        try expect(draining.json(), is: "migration.json")
        let drained = try PoolMigration(from: "default", to: "small", pools: [old, new], blocks: [blocks[2]])
        #expect(drained.stage == .drained)
        let done = try PoolMigration(from: "default", to: "small", pools: [new], blocks: blocks)
        #expect(done.stage == .done)
        try expect([first, draining, drained, done].map(\.text).joined(separator: "\n"), is: "migration.txt")
    }

    @Test func migrationsThatCannotBe() throws {
        let old = try pool("default", "10.80.0.0/16")
        var manual = try pool("manual", "10.90.0.0/16")
        manual.spec.assignmentMode = .manual
        var disabled = try pool("off", "10.91.0.0/16")
        disabled.spec.isDisabled = true
        let pools = [old, manual, disabled, try pool("v6", "fd00::/48")]
        for (name, problem) in [
            ("default", "own place"), ("none", "create it first"), ("off", "disabled"), ("manual", "Manual"),
            ("v6", "default is of IPv4, and v6 of IPv6"),
        ] {
            #expect {
                try PoolMigration(from: "default", to: name, pools: pools, blocks: [])
            } throws: {
                "\($0)".contains(problem)
            }
        }
    }

    // MARK: version, get

    @Test func version() throws {
        var information = ClusterInformation(now: Timestamp(seconds: 0))
        information.spec.clusterGUID = "0123456789abcdef0123456789abcdef"
        information.spec.calicoVersion = "v3.33.0"
        #expect(
            VersionReport(client: "0.1.0", commit: "abc1234", cluster: information).text == """
                Client Version:    0.1.0
                Git commit:        abc1234
                Cluster Version:   v3.33.0
                Cluster Type:      swiftlet

                """
        )
        #expect(
            VersionReport(client: "0.1.0", commit: nil, cluster: .some(nil)).text.contains(
                "Cluster Version:   unknown\n"
            )
        )
        #expect(VersionReport(client: "0.1.0", commit: nil, cluster: nil).text == "Client Version:    0.1.0\n")
        try expect(VersionReport(client: "0.1.0", commit: nil, cluster: information).json(), is: "version.json")
    }

    @Test func resources() throws {
        var edge = try pool("edge", "10.81.0.0/24", 28)
        edge.spec.nodeSelector = "zone == \"edge\""
        edge.spec.isDisabled = true
        var settings = IPAMConfiguration()
        settings.strictAffinity = true
        settings.maxBlocksPerHost = 4
        var text = ResourceTable.text(.pool, [.pool(try pool("default", "10.80.0.0/16")), .pool(edge)])
        text += "\n" + ResourceTable.text(.configuration, [.configuration(settings)])
        text +=
            "\n"
            + ResourceTable.text(
                .reservation,
                [.reservation(IPReservation(name: "gateways", reservedCIDRs: [try cidr("10.80.0.0/30")]))]
            )
        text += "\n" + ResourceTable.text(.node, [.node(NodeResource(name: "node-a", labels: ["zone": "core"]))])
        try expect(text, is: "get.txt")
        try expect(ResourceTable.text(.pool, [.pool(edge)], .wide), is: "get-wide.txt")
        try expect(ResourceTable.text(.pool, [.pool(edge)], .csv), is: "get.csv")
    }

    // MARK: ipam top

    @Test func top() throws {
        let blocks = [
            try block("10.80.0.0/26", .host("worker-1"), 9, cooling: 2, node: "worker-1"),
            try block("10.80.15.192/26", nil, 3, node: "worker-3"), try block("10.80.30.0/26", .host("worker-3"), 0),
            try block("192.0.2.0/26", .host("worker-9"), 1),
        ]
        let pools = [try pool("default", "10.80.0.0/16"), try pool("empty", "10.90.0.0/16")]
        let reports = TopReport.Grouping.allCases.map { TopReport($0, pools: pools, blocks: blocks) }
        try expect(reports.map { $0.table() }.joined(separator: "\n"), is: "top.txt")
        try expect(reports.map { $0.table(.csv, limit: 1) }.joined(separator: "\n"), is: "top.csv")
        try expect(reports.map { $0.json() }.joined(), is: "top.json")
    }
}
