import ClusterClient
import KubernetesAPI
import NetworkTypes

/// What became of things that were to be cleaned up, which others may have changed meanwhile.
public struct CleanupCount: Hashable, Sendable {
    public var done = 0
    /// Changed or gone by now, so that they were left alone.
    public var skipped = 0
    /// What could not be done, one clause each.
    public var errors: [String] = []

    public init() {}
}

extension IPAMAdministration {
    /// Releases addresses that have leaked, each only if it is still the assignment that was looked at (G5). Those of a
    /// block are released together.
    public func release(
        leaks: [ReleaseOptions],
        progress: (CleanupCount) -> Void = { _ in }
    ) async throws(IPAMError) -> CleanupCount {
        var count = CleanupCount()
        let options = Dictionary(leaks.map { ($0.address, $0) }) { first, _ in first }
        let blocks = try await attempting { () async throws(AttemptError) -> [CIDR: [IPAddress]] in
            try await self.blocks(of: options.keys.sorted())
        }
        count.skipped = options.count - blocks.values.reduce(0) { $0 + $1.count }
        var strays: [IPAddress] = []
        for (cidr, addresses) in blocks.sorted(by: { $0.key < $1.key }) {
            strays += try await release(addresses, in: cidr, options, &count, progress)
        }
        count.skipped += strays.count
        for (cidr, addresses) in try await self.blocks(ofStrays: strays) {
            count.skipped -= addresses.count
            count.skipped += try await release(addresses, in: cidr, options, &count, progress).count
        }
        return count
    }

    /// Returns the addresses when there is no such block.
    private func release(
        _ addresses: [IPAddress],
        in cidr: CIDR,
        _ options: [IPAddress: ReleaseOptions],
        _ count: inout CleanupCount,
        _ progress: (CleanupCount) -> Void
    ) async throws(IPAMError) -> [IPAddress] {
        var rest = addresses[...]
        while !rest.isEmpty {
            let group = rest.prefix(Self.leaksAtOnce).compactMap { options[$0] }
            do throws(IPAMError) {
                guard let released = try await release(group, in: cidr, leavesStale: true) else { return Array(rest) }
                count.done += released.count
                count.skipped += group.count - released.count
            } catch {
                switch error {
                case .datastore, .deadlineExceeded: throw error
                default: count.errors.append("block \(cidr): \(error)")
                }
            }
            rest = rest.dropFirst(Self.leaksAtOnce)
            progress(count)
        }
        return []
    }

    /// With a handle each they fit into one transaction of any store (etcd's `--max-txn-ops` is 128).
    private static let leaksAtOnce = 50

    /// Deletes handles that no address has, each only if nobody has written it since it was looked at.
    public func delete(
        handles: [ConsistencyCheck.LeakedHandle],
        progress: (CleanupCount) -> Void = { _ in }
    ) async throws(IPAMError) -> CleanupCount {
        var count = CleanupCount()
        for handle in handles {
            do throws(DatastoreError) {
                _ = try await datastore.commit([.delete(.handle(handle.id), handle.revision)])
                count.done += 1
            } catch {
                switch error.reason {
                case .conflict, .notFound: count.skipped += 1
                case .unavailable: throw .datastore(error)
                default: count.errors.append("\(error)")
                }
            }
            progress(count)
        }
        return count
    }

    /// Deletes what a host has noted of a block that it does not have, if nobody has written it since and the block is still
    /// not the host's; whether it did.
    public func delete(affinity: StrayAffinity) async throws(IPAMError) -> Bool {
        try await attempting { () async throws(AttemptError) in
            let key = RecordKey.blockAffinity(affinity.owner, affinity.cidr)
            let answers = try await read([.record(key), .record(.block(affinity.cidr))])
            guard answers[0].first?.revision == affinity.revision else { return false }
            if let record = answers[1].first {
                let block = try deciding { () throws(IPAMError) in try Block(record) }
                guard block.affinity != affinity.owner else { return false }
            }
            try await commit([.delete(key, affinity.revision)])
            return true
        }
    }

    /// Writes the record of a handle that addresses of these blocks have, so that a DEL finds them again; deletes it when
    /// none of them has an address of it.
    ///
    /// - Parameter replacingUnreadable: whether a record that cannot be read is replaced, and lost.
    /// - Throws: ``IPAMError/inconsistent(_:)`` for a record that cannot be read and is not to be replaced; it is left as
    ///   it is.
    public func restore(
        handle id: String,
        of blocks: Set<CIDR>,
        replacingUnreadable: Bool = false
    ) async throws(IPAMError) {
        try await attempting { () async throws(AttemptError) in
            let blocks = blocks.sorted()
            let answers = try await read([.record(.handle(id))] + blocks.map { .record(.block($0)) })
            let change = try deciding { () throws(IPAMError) -> RecordChange? in
                var stored: StoredHandle
                do throws(IPAMError) {
                    stored = try StoredHandle(id: id, answers[0].first)
                } catch {
                    guard replacingUnreadable else { throw error }
                    stored = StoredHandle(id: id, revision: answers[0].first?.revision, Handle())
                }
                for (cidr, records) in zip(blocks, answers.dropFirst()) {
                    guard let record = records.first else { continue }
                    stored.handle.blocks[cidr] = try Block(record).ordinals(handle: id, interface: nil).count
                }
                return stored.change
            }
            if let change { try await commit([change]) }
        }
    }

    /// Assigns the address of an endpoint to it, which IPAM knows nothing of, so that nobody else gets it (C18).
    ///
    /// - Throws: ``IPAMError/addressUnavailable(_:_:)`` when somebody has it by now, or it cools down.
    public func assign(_ item: ConsistencyCheck.UnknownAddress) async throws(IPAMError) {
        guard let attachment = item.attachment else {
            throw .invalidRequest("the endpoint of \(item.address) does not say what container it is of")
        }
        let request = AssignmentRequest(
            handle: attachment.handle,
            attributes: attachment.attributes.merging(["timestamp": clock.now().wholeSecond.description]) { $1 },
            requested: [item.address]
        )
        _ = try await Allocator(datastore: datastore, host: attachment.node).assign(request)
    }

    /// Mends a block's queue and indices (B1 to B5) by what its allocations say; whether there was something to mend.
    @discardableResult
    public func mend(block cidr: CIDR) async throws(IPAMError) -> Bool {
        try await attempting { () async throws(AttemptError) in
            guard let record = try await read([.record(.block(cidr))]).first?.first else { return false }
            let now = clock.now()
            let mended = try deciding { () throws(IPAMError) -> Block? in
                var block = try Block(record)
                guard !block.violations(now: now).isEmpty else { return nil }
                block.mend(now: now)
                return block
            }
            guard var mended else { return false }
            mended.beginWrite()
            try await commit([.update(.block(cidr), mended.json, record.revision)])
            return true
        }
    }
}

extension Block {
    /// Makes B1 to B5 hold: what has an owner keeps it, everything else is free, in the order that the queue had.
    mutating func mend(now: Timestamp) {
        for ordinal in allocations.indices {
            // Without an attribute nobody could ever release it.
            if let index = allocations[ordinal], !attributes.indices.contains(index) { allocations[ordinal] = nil }
        }
        for index in attributes.indices {
            if let releasedAt = attributes[index].releasedAt, releasedAt > now {
                attributes[index].releasedAt = now.wholeSecond
            }
        }
        var queue: [Int] = []
        var isQueued = allocations.map { $0 != nil }
        for ordinal in unallocated + Array(allocations.indices)
        where isQueued.indices.contains(ordinal) && !isQueued[ordinal] {
            isQueued[ordinal] = true
            queue.append(ordinal)
        }
        unallocated = queue
        sequenceNumberForAllocation = sequenceNumberForAllocation.filter { ordinal, _ in
            allocations.indices.contains(ordinal) && allocations[ordinal] != nil
        }
        removeUnusedAttributes()
    }
}
