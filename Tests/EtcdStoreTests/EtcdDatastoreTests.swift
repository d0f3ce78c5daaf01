import ClusterClient
import Foundation
import NetworkTypes
import Synchronization
import TestSupport
import Testing

@testable import EtcdStore

/// One etcd for the tests of this module that need nothing special of it.
enum SharedEtcd {
    private static let start = Task { try await EtcdServer() }

    static func server() async throws -> EtcdServer { try await start.value }

    static func store(pageSize: Int = 500, answerLimit: Int = 64 << 20) async throws -> EtcdDatastore {
        try EtcdDatastore(
            configuration(await server().endpoint),
            prefix: "/test-\(UUID().uuidString)",
            pageSize: pageSize,
            answerLimit: answerLimit,
            logger: quiet
        )
    }
}

@Suite struct EtcdDatastoreTests {
    /// The names and values that Calico's tools look for (2.9).
    @Test func recordsLieWhereCalicoLooksForThem() async throws {
        let server = try await EtcdServer()
        let store = try store(server.endpoint)
        let layout: [(RecordKey, String)] = [
            (.block(CIDR("10.65.79.0/26")!), "/calico/ipam/v2/assignment/ipv4/block/10.65.79.0-26"),
            (.block(CIDR("fd00::/122")!), "/calico/ipam/v2/assignment/ipv6/block/fd00::-122"),
            (
                .blockAffinity(.host("node-a"), CIDR("10.65.79.0/26")!),
                "/calico/ipam/v2/host/node-a/ipv4/block/10.65.79.0-26"
            ),
            (
                .blockAffinity(.virtual("load-balancer"), CIDR("10.65.79.0/26")!),
                "/calico/ipam/v2/virtual/load-balancer/ipv4/block/10.65.79.0-26"
            ),
            (.handle("k8s-pod-network.01ab"), "/calico/ipam/v2/handle/k8s-pod-network.01ab"),
            (.ipamConfiguration, "/calico/ipam/v2/config"),
            (.resource(.ipPools, name: "default"), "/calico/resources/v3/projectcalico.org/ippools/default"),
            (
                .resource(.workloadEndpoints, namespace: "shop", name: "node--a-k8s-cart-eth0"),
                "/calico/resources/v3/projectcalico.org/workloadendpoints/shop/node--a-k8s-cart-eth0"
            ),
        ]
        for (key, path) in layout {
            let revision = try #require(try await store.commit([.create(key, Data("{\"a\":1}".utf8))]).first ?? nil)
            let answer = try await store.call("/v3/kv/range", #"{"key":"\#(base64(path))"}"#)
            #expect(answer.contains(#""value":"\#(base64("{\"a\":1}"))""#), "\(path)")
            #expect(answer.contains(#""mod_revision":"\#(revision)""#), "\(path)")
        }
        // What others keep there is none of ours (E4), and an affinity without content is one without a state.
        for (path, value) in [
            ("/calico/ipam/v2/host/node-a", "{}"), ("/calico/ipam/v2/handle/a/b", "{}"),
            ("/calico/ipam/v2/assignment/ipv4/block/odd", "{}"),
            ("/calico/ipam/v2/host/node-b/ipv4/block/10.65.79.64-26", ""),
        ] {
            try await store.call("/v3/kv/put", #"{"key":"\#(base64(path))","value":"\#(base64(value))"}"#)
        }
        #expect(try await store.keys(.handles) == [.handle("k8s-pod-network.01ab")])
        #expect(try await store.list(.blocks(.ipv4)).map(\.key) == [.block(CIDR("10.65.79.0/26")!)])
        #expect(try await store.list(.blockAffinities(.host("node-b"), .ipv4)).map(\.value) == [empty])
        // Of all hosts, and of hosts alone; Calico's plugin writes them apart from their blocks (2.4).
        let affinities = [("node-a", "10.65.79.0/26"), ("node-b", "10.65.79.64/26")]
            .map { RecordKey.blockAffinity(.host($0), CIDR($1)!) }
        #expect(try await store.looseAffinities().map(\.key) == affinities)
    }

    /// Pages of a few records, and answers that turn out too large, make no difference to what is read.
    @Test(arguments: [(7, 64 << 20), (500, 20_000), (1, 64 << 20)])
    func largeCollectionsAreReadInPages(_ pageSize: Int, _ answerLimit: Int) async throws {
        let store = try await SharedEtcd.store(pageSize: pageSize, answerLimit: answerLimit)
        let keys = (0..<230).map { RecordKey.handle("h\($0)") }
        for start in stride(from: 0, to: keys.count, by: 100) {
            let part = keys[start..<min(start + 100, keys.count)]
            _ = try await store.commit(part.map { .create($0, Data("\"\($0)\"".utf8)) })
        }
        let pool = RecordKey.resource(.ipPools, name: "p")
        _ = try await store.commit([.create(pool, empty)])
        let answers = try await store.read([
            .collection(.handles), .record(pool), .collection(.resources(.ipPools)), .collection(.blocks(.ipv4)),
        ])
        #expect(answers.map { $0.map(\.key) } == [keys.sorted(), [pool], [pool], []])
        #expect(answers[0].allSatisfy { $0.value == Data("\"\($0.key)\"".utf8) })
        #expect(try await store.keys(.handles) == keys.sorted())
        let many = try await store.read((0..<300).map { .record(.handle("h\($0)")) })
        #expect(many.map(\.count) == (0..<300).map { $0 < 230 ? 1 : 0 })
    }

    /// Records that change together are read together, however many pages it takes.
    @Test func aReadIsOneSnapshot() async throws {
        let store = try await SharedEtcd.store(pageSize: 3)
        let keys = (0..<20).map { RecordKey.handle("h\($0)") }
        var revisions = try await store.commit(keys.map { .create($0, Data("0".utf8)) })
        let writer = Task { [revisions] in
            var revisions = revisions
            for round in 1...60 {
                let changes = zip(keys, revisions).map { key, revision in
                    RecordChange.update(key, Data("\(round)".utf8), revision ?? Revision("0"))
                }
                revisions = try await store.commit(changes)
                if round % 7 == 0 {
                    // The pages that are still to come are of a revision that is gone.
                    let revision = revisions.first??.description ?? ""
                    try await store.call("/v3/kv/compaction", #"{"revision":"\#(revision)"}"#)
                }
            }
        }
        for _ in 0..<40 {
            let records = try await store.list(.handles)
            #expect(records.count == 20 && Set(records.map(\.value)).count == 1)
            #expect(Set(records.map(\.revision)).count == 1)
        }
        try await writer.value
        revisions = []
    }

    @Test func whatIsTooLargeIsRefused() async throws {
        let store = try await SharedEtcd.store()
        let many = try await storeError {
            try await store.commit((0..<129).map { .create(.handle("h\($0)"), empty) })
        }
        #expect(many.reason == .failed && many.message.contains("128"))
        let huge = try await storeError {
            try await store.commit([.create(.handle("h"), Data(repeating: 0x20, count: 1_600_000))])
        }
        #expect(huge.reason == .failed && huge.message.contains("--max-request-bytes"))
        let huger = try await storeError {
            try await store.commit([.create(.handle("h"), Data(repeating: 0x20, count: 5_000_000))])
        }
        #expect(huger.reason == .failed && huger.message.contains("--max-request-bytes"))
        #expect(try await store.keys(.handles).isEmpty)
        let foreign = try await storeError { try await store.commit([.delete(.handle("h"), Revision("abc"))]) }
        #expect(foreign.reason == .failed && foreign.message.contains("abc"))
    }

    @Test func aFullEtcdSaysWhatToDo() async throws {
        let server = try await EtcdServer()
        let store = try store(server.endpoint)
        let status = try await store.call("/v3/maintenance/status", "{}")
        let member = try #require(status.firstMatch(of: /"member_id":"(\d+)"/)?.1)
        try await store.call(
            "/v3/maintenance/alarm",
            #"{"action":"ACTIVATE","memberID":"\#(member)","alarm":"NOSPACE"}"#
        )
        let error = try await storeError { try await store.commit([.create(.handle("h"), empty)]) }
        #expect(error.reason == .failed && error.message.contains("NOSPACE"), "\(error)")
    }
}
