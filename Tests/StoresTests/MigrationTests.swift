import ClusterClient
import Foundation
import IPAM
import JSON
import NetworkTypes
import TestSupport
import Testing

@testable import Stores

@Suite struct MigrationTests {
    /// What a node's store has after some time: blocks with addresses, an empty one, borrowed addresses, settings, endpoints.
    static func fill(_ store: any Datastore) async throws {
        let allocator = Allocator(datastore: store, host: "node-a")
        try await allocator.ensurePools([
            IPPool(name: "four", spec: .init(cidr: CIDR("10.80.0.0/24")!, blockSize: 28)),
            IPPool(name: "six", spec: .init(cidr: CIDR("fd80::/120")!)),
        ])
        for number in 0..<20 {
            _ = try await allocator.assign(
                AssignmentRequest(
                    handle: "pods.\(number)",
                    attributes: ["node": "node-a", "pod": "p\(number)", "namespace": "shop", "ifname": "eth0"],
                    ipv4: 1,
                    ipv6: number % 2
                )
            )
        }
        try await allocator.release(handle: "pods.3")
        _ = try await Allocator(datastore: store, host: "node-b").assign(
            AssignmentRequest(handle: "pods.b", ipv4: 1)
        )
        _ = try await store.commit([
            .create(
                .resource(.workloadEndpoints, namespace: "shop", name: "node--a-k8s-cart-eth0"),
                Data(#"{"kind":"WorkloadEndpoint","spec":{"pod":"cart","endpoint":"eth0"}}"#.utf8)
            ),
            .create(.ipamConfiguration, Data(#"{"strict_affinity":true,"auto_allocate_blocks":true}"#.utf8)),
            .create(
                .resource(.ipReservations, name: "r"),
                Data(
                    #"{"apiVersion":"projectcalico.org/v3","kind":"IPReservation","metadata":{"name":"r"},"spec":{"reservedCIDRs":["10.80.0.0/30"]}}"#
                        .utf8
                )
            ),
        ])
    }

    static func export(_ store: any Datastore) async throws -> [[UInt8]] {
        var bytes: [UInt8] = []
        let count = try await ExportRecords(from: store, named: "local").run(write: { bytes += $0 })
        let lines = bytes.split(separator: UInt8(ascii: "\n")).map(Array.init)
        #expect(lines.count == count + 2)
        return lines
    }

    static func `import`(_ lines: [[UInt8]], _ store: any Datastore) async throws -> ImportRecords.Summary {
        var rest = lines[...]
        return try await ImportRecords(into: store).run(lines: { rest.popFirst() })
    }

    private static func content(_ lines: [[UInt8]]) throws -> [RecordKey: RecordContent] {
        var content: [RecordKey: RecordContent] = [:]
        for line in lines {
            if case .record(let key, let value) = try RecordLine(line) { content[key] = RecordContent(value) }
        }
        return content
    }

    /// L6
    @Test(arguments: [StoreUnderTest.local, .etcd, .kubernetes])
    func aNodesStoreBecomesAnyOtherAndComesBack(_ kind: StoreUnderTest) async throws {
        let directory = try TemporaryDirectory()
        let source = LocalDatastore(dataDirectory: directory.path)
        try await Self.fill(source)
        let lines = try await Self.export(source)
        #expect(lines.count > 30)

        let instance = try await kind.make()
        let summary = try await Self.import(lines, instance.store)
        #expect(summary.created == lines.count - 2)
        #expect(summary.skipped == [] && summary.present == 0)
        // Again, as after an import that was cut short.
        let again = try await Self.import(lines, instance.store)
        #expect(again.present == lines.count - 2 && again.created == 0)

        let back = try await Self.export(instance.store)
        #expect(try Self.content(back) == Self.content(lines))
        let home = try TemporaryDirectory()
        let copy = LocalDatastore(dataDirectory: home.path)
        _ = try await Self.import(back, copy)
        #expect(try Self.content(await Self.export(copy)) == Self.content(lines))
        // And it works there: the address that was released is free, and none is given twice.
        let assigned = try await Allocator(datastore: instance.store, host: "node-a").assign(
            AssignmentRequest(handle: "pods.new", ipv4: 1)
        )
        let usage = try await IPAMUsage.read(from: instance.store)
        #expect(assigned.count == 1)
        #expect(usage.pools.first { $0.name == "four" }?.counts.inUse == 21)
        withExtendedLifetime((instance, directory, home)) {}
    }

    @Test(arguments: [StoreUnderTest.local, .etcd, .kubernetes])
    func nothingIsOverwritten(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let mine = Data(#"{"block":{"10.0.0.0/26":2},"deleted":false}"#.utf8)
        _ = try await instance.store.commit([.create(.handle("a"), mine)])
        let lines = [
            #"{"kind":"DatastoreExport","apiVersion":"swiftlet.io/v1","store":"local"}"#,
            #"{"key":"/calico/ipam/v2/handle/a","value":{"block":{"10.0.0.0/26":1},"deleted":false}}"#,
            #"{"kind":"DatastoreExportEnd","records":1}"#,
        ].map { Array($0.utf8) }
        let problem = await #expect(throws: ImportRecords.Problem.self) { try await Self.import(lines, instance.store) }
        #expect(problem?.description.contains("handle a") == true)
        #expect(try await instance.store.get(.handle("a"))?.value == mine)
        withExtendedLifetime(instance) {}
    }

    static let header = #"{"kind":"DatastoreExport","apiVersion":"swiftlet.io/v1","store":"local"}"#
    static let record = #"{"key":"/calico/ipam/v2/handle/a","value":{"block":{}}}"#

    @Test(arguments: [
        ([], "no line"),
        ([record], "header"),
        ([header, record], "its end is missing"),
        ([header, record, #"{"kind":"DatastoreExportEnd","records":2}"#], "there are 1"),
        ([header, #"{"key":"/registry/pods/x","value":{}}"#], "line 2 has the key"),
        ([header, #"{"key":"/calico/ipam/v2/handle/a"}"#], "line 2 has no value"),
        ([header, "{"], "line 2 is not JSON"),
        ([header, "[]"], "line 2 is no JSON object"),
        ([header, header], "second header"),
        ([#"{"kind":"DatastoreExport","apiVersion":"swiftlet.io/v9"}"#], "version"),
    ])
    func whatIsNoExportIsRefused(_ lines: [String], _ part: String) async throws {
        let problem = await #expect(throws: ImportRecords.Problem.self) {
            try await Self.import(lines.map { Array($0.utf8) }, MemoryDatastore())
        }
        #expect(problem?.description.contains(part) == true, "\(String(describing: problem))")
    }

    @Test func whatKubernetesHasItselfIsLeftOut() async throws {
        let kubernetes = try await KubernetesUnderTest()
        let store = try kubernetes.store()
        let lines = [
            Self.header,
            #"{"key":"/calico/resources/v3/projectcalico.org/nodes/n","value":{"metadata":{"name":"n"},"spec":{}}}"#,
            #"{"key":"/calico/resources/v3/projectcalico.org/workloadendpoints/shop/n-k8s-gone-eth0","value":{"spec":{}}}"#,
            Self.record, #"{"kind":"DatastoreExportEnd","records":3}"#,
        ]
        let summary = try await Self.import(lines.map { Array($0.utf8) }, store)
        #expect(summary.created == 1)
        #expect(
            summary.skipped.map(\.key) == [
                .resource(.nodes, name: "n"),
                .resource(.workloadEndpoints, namespace: "shop", name: "n-k8s-gone-eth0"),
            ]
        )
    }

    @Test(arguments: [StoreUnderTest.local, .etcd, .kubernetes])
    func aLockedStoreAssignsNothing(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let lock = DatastoreLock(instance.store)
        #expect(try await !lock.isLocked())
        await #expect(throws: DatastoreError.self) { try await lock.set(true) }
        let allocator = Allocator(datastore: instance.store, host: "node-a", timeLimit: .milliseconds(200))
        try await allocator.ensurePools([IPPool(name: "four", spec: .init(cidr: CIDR("10.80.0.0/24")!))])
        #expect(try await lock.set(true))
        #expect(try await !lock.set(true))
        #expect(try await lock.isLocked())
        await #expect(throws: IPAMError.self) {
            try await allocator.assign(AssignmentRequest(handle: "a", ipv4: 1))
        }
        #expect(try await lock.set(false))
        #expect(try await allocator.assign(AssignmentRequest(handle: "a", ipv4: 1)).count == 1)
        withExtendedLifetime(instance) {}
    }
}
