import ClusterClient
import FoundationEssentials
import Glibc
import IPAM
import JSON
import Measuring
import NetworkTypes

/// The blocks of other nodes, from the start of the pool on, written into a store.
struct OtherNodes {
    let blocks: Int
    /// How many addresses of a block are in use, by the block's number.
    let inUse: @Sendable (Int) -> Int
    /// Whether the affinity of each block, and the handle and the endpoint of each address in use, are written too.
    var isComplete = false

    static let poolCIDR = "10.0.0.0/8"
    /// As many as a node may have.
    private static let blocksPerNode = 20

    /// Writes them into an empty store.
    func write(to store: any Datastore) async throws {
        try await makePool(store)
        try await writeRecords(to: store)
    }

    /// Writes them into a new local store.
    ///
    /// Its journal is emptied when all is there, and the disk has it: that waits for every single file to be written, which
    /// takes minutes when it is done over and over in between.
    func write(toLocalStore directory: String) async throws {
        let store = LocalDatastore(dataDirectory: directory)
        try await makePool(store)
        try await writeRecords(to: LocalDatastore(dataDirectory: directory, journalCapacity: 1 << 30))
        sync()
        let last = RecordKey.handle("last")
        if let revision = try await store.commit([.create(last, Handle().json)]).first ?? nil {
            _ = try await store.commit([.delete(last, revision)])
        }
    }

    private func makePool(_ store: any Datastore) async throws {
        try await Allocator(datastore: store, host: Workload.node).ensurePools([Workload.pool(Self.poolCIDR)])
    }

    private func writeRecords(to store: any Datastore) async throws {
        var batch: [RecordChange] = []
        var size = 0
        for number in 0..<blocks {
            for change in try changes(number) {
                // What etcd takes in one transaction.
                if batch.count == 128 || size > 512 << 10 {
                    _ = try await store.commit(batch)
                    (batch, size) = ([], 0)
                }
                batch.append(change)
                if case .create(_, let value) = change { size += value.count }
            }
        }
        if !batch.isEmpty { _ = try await store.commit(batch) }
    }

    private func changes(_ number: Int) throws -> [RecordChange] {
        guard let start = CIDR(Self.poolCIDR)?.address.advanced(by: UInt64(number) << 6),
            let cidr = CIDR(start, prefixLength: Workload.blockSize)
        else { throw BenchmarkFailure("block \(number) is not in \(Self.poolCIDR)") }
        let node = "other-\(number / Self.blocksPerNode)"
        var block = Block(cidr: cidr, affinity: .host(node), now: .now)
        var changes: [RecordChange] = []
        for pod in 0..<inUse(number) {
            let request = Workload.request("\(number)-\(pod)", node: node)
            let owner = Block.Attribute(handleID: request.handle, secondary: request.attributes)
            guard let ordinal = block.assign(count: 1, to: owner).first else {
                throw BenchmarkFailure("block \(cidr) has no \(pod + 1) addresses")
            }
            guard isComplete else { continue }
            changes.append(.create(.handle(request.handle), Handle(blocks: [cidr: 1]).json))
            changes.append(Self.endpoint(of: request, node, block.address(ordinal)))
        }
        changes.append(.create(.block(cidr), block.json))
        if isComplete { changes.append(.create(.blockAffinity(.host(node), cidr), BlockAffinity(.confirmed).json)) }
        return changes
    }

    /// As much of an endpoint as says that the address is in use, and by whom.
    private static func endpoint(of request: AssignmentRequest, _ node: String, _ address: IPAddress) -> RecordChange {
        let pod = request.attributes["pod"] ?? ""
        let name = "\(node)-k8s-\(pod)-eth0"
        let value: JSONValue = [
            "kind": "WorkloadEndpoint", "apiVersion": "projectcalico.org/v3",
            "metadata": ["name": .string(name), "namespace": "shop"],
            "spec": [
                "orchestrator": "k8s", "pod": .string(pod), "node": .string(node), "endpoint": "eth0",
                "containerID": .string(String(request.handle.dropFirst(6))), "interfaceName": "cali0123456789a",
                "ipNetworks": [.string(address.hostPrefix.description)], "profiles": ["kns.shop"],
                "mac": "ee:ee:ee:ee:ee:ee",
            ],
        ]
        let key = RecordKey.resource(.workloadEndpoints, namespace: "shop", name: name)
        return .create(key, Data(Array(value.text().utf8)))
    }
}
