import ClusterClient
import FoundationEssentials
import JSON
import NetworkTypes

/// Writes all that a store holds in the form that Calico keeps in etcd (L6).
///
/// Records are read a few at a time, so that a large store takes no more memory than a small one. What others write in
/// the meantime may be in it or not: lock the store first, see ``DatastoreLock``.
public struct ExportRecords: Sendable {
    private static let batch = 64

    let store: any Datastore
    /// What the header says that the records are from.
    let name: String

    public init(from store: any Datastore, named name: String) {
        self.store = store
        self.name = name
    }

    /// - Parameters:
    ///   - write: takes the text in pieces, in order.
    ///   - progress: is told how many records were written so far.
    /// - Returns: how many records there were.
    public func run<Failure: Error>(
        write: ([UInt8]) throws(Failure) -> Void,
        progress: (Int) -> Void = { _ in }
    ) async throws -> Int {
        var count = 0
        try write(try RecordLine.header(store: name).text())
        var owners: Set<BlockOwner> = []
        let first: [RecordCollection] = [
            .resources(.clusterInformations), .resources(.ipPools), .resources(.ipReservations), .resources(.nodes),
            .handles,
        ]
        try await copy([.ipamConfiguration], write, &count)
        for collection in first {
            try await copy(try await store.keys(collection), write, &count) { key in
                if case .resource(.nodes, _, let name) = key { owners.insert(.host(name)) }
            }
            progress(count)
        }
        for family in IPFamily.allCases {
            var affine: Set<BlockOwner> = owners
            let keys = try await store.keys(.blocks(family))
            for start in stride(from: 0, to: keys.count, by: Self.batch) {
                let records = try await store.read(
                    keys[start..<min(start + Self.batch, keys.count)].map { .record($0) }
                )
                for record in records.joined() where try await self.write(record, write, &count) {
                    // The owner stands in the block; an affinity of somebody without block or node means nothing (A1, A5).
                    if let owner = Self.owner(of: record) { affine.insert(owner) }
                }
                progress(count)
            }
            for owner in affine.sorted(by: { $0.description < $1.description }) {
                for record in try await store.list(.blockAffinities(owner, family)) {
                    _ = try await self.write(record, write, &count)
                }
                progress(count)
            }
        }
        try await copy(try await store.keys(.resources(.workloadEndpoints)), write, &count)
        progress(count)
        try write(try RecordLine.end(count: count).text())
        return count
    }

    private func copy<Failure: Error>(
        _ keys: [RecordKey],
        _ write: ([UInt8]) throws(Failure) -> Void,
        _ count: inout Int,
        _ seen: (RecordKey) -> Void = { _ in }
    ) async throws {
        for start in stride(from: 0, to: keys.count, by: Self.batch) {
            let batch = keys[start..<min(start + Self.batch, keys.count)]
            for record in try await store.read(batch.map { .record($0) }).joined() {
                seen(record.key)
                _ = try await self.write(record, write, &count)
            }
        }
    }

    /// Writes a record; `false` for one that is being deleted (K2), which is left out.
    private func write<Failure: Error>(
        _ record: Record,
        _ write: ([UInt8]) throws(Failure) -> Void,
        _ count: inout Int
    ) async throws -> Bool {
        if JSONObject(record: record.value)?["deleted"] == true { return false }
        try write(try RecordLine.record(record.key, record.value).text())
        count += 1
        return true
    }

    private static func owner(of block: Record) -> BlockOwner? {
        guard case .string(let text)? = JSONObject(record: block.value)?["affinity"] else { return nil }
        return BlockOwner(text)
    }
}
