import ClusterClient
import Foundation
import IPAM
import NetworkTypes
import TestSupport
import Testing

@testable import EtcdStore

/// How many requests the steps of a pod's life take when its host has a block already.
@Suite struct RequestCountTests {
    private let proxy: ScriptedServer
    private let prefix = "/test-\(UUID().uuidString)"
    private let pools = [IPPool(name: "four", spec: .init(cidr: CIDR("10.0.0.0/16")!))]

    init() async throws {
        proxy = try await EtcdStoreTests.proxy(to: SharedEtcd.server()) { _, reply in reply }
        try await allocator().ensurePools(pools)
        _ = try await allocator().assign(request("first"))
    }

    /// A client of its own each time, as every call of the plugin is a process of its own.
    private func store() throws -> EtcdDatastore {
        try EtcdDatastore(configuration(proxy.endpoint), prefix: prefix, logger: quiet)
    }

    private func allocator() throws -> Allocator { Allocator(datastore: try store(), host: "node-a") }

    private func requests(_ body: () async throws -> Void) async throws -> [String] {
        let before = proxy.requests.count
        try await body()
        return proxy.requests.dropFirst(before).map(\.path)
    }

    @Test func anAssignmentTakesThree() async throws {
        let warm = try await requests { _ = try await allocator().assign(request("a")) }
        #expect(warm == ["/v3/kv/txn", "/v3/kv/range", "/v3/kv/txn"])
        let release = try await requests { try await allocator().release(handle: "a") }
        #expect(release.count == 3)
        #expect(try await requests { _ = try await store().read([.record(.ipamConfiguration)]) }.count == 1)
    }

    /// The steps of the CNI plugin: what it has, the pools, the addresses, the endpoint.
    @Test func anADDTakesFourAndADELFour() async throws {
        let endpoint = RecordKey.resource(.workloadEndpoints, namespace: "shop", name: "cart")
        let add = try await requests {
            let store = ReadAheadDatastore(try store())
            let allocator = Allocator(datastore: store, host: "node-a")
            try await store.readAhead(allocator.firstQueries(handle: "b", [.ipv4]) + [.record(endpoint)])
            #expect(try await store.get(endpoint) == nil)
            #expect(try await allocator.addresses(ofHandle: "b").isEmpty)
            try await allocator.ensurePools(pools)
            #expect(try await allocator.assign(request("b")).count == 1)
            _ = try await store.commit([.create(endpoint, empty)])
        }
        #expect(add == ["/v3/kv/txn", "/v3/kv/range", "/v3/kv/txn", "/v3/kv/txn"])
        let delete = try await requests {
            let store = ReadAheadDatastore(try store())
            let allocator = Allocator(datastore: store, host: "node-a")
            try await store.readAhead([
                .record(.handle("b")), .record(.ipamConfiguration), .collection(.resources(.ipPools)),
                .record(endpoint),
            ])
            #expect(try await allocator.addresses(ofHandle: "b").count == 1)
            let record = try #require(try await store.get(endpoint))
            _ = try await store.commit([.delete(endpoint, record.revision)])
            #expect(try await allocator.release(handle: "b").count == 1)
        }
        #expect(delete == ["/v3/kv/txn", "/v3/kv/range", "/v3/kv/txn", "/v3/kv/txn"])
    }
}
