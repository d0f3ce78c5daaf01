import ClusterClient
import FoundationEssentials
import NetworkTypes

/// A pool and the smaller ones that take its place (7.6).
public struct PoolSplit: Hashable, Sendable {
    public let pool: IPPool
    /// In the order of their addresses; everything but name and prefix is the old pool's.
    public let parts: [IPPool]

    /// Throws ``IPAMError/invalidRequest(_:)`` when the pool cannot be cut into so many.
    public init(_ pool: IPPool, into count: Int) throws(IPAMError) {
        guard count > 1, count.nonzeroBitCount == 1 else {
            throw .invalidRequest("\(count) is no power of 2 greater than 1")
        }
        let prefixLength = pool.cidr.prefixLength + count.trailingZeroBitCount
        guard prefixLength <= pool.spec.blockSize else {
            throw .invalidRequest(
                "pool \(pool.name) is too small for \(count) parts: \(pool.cidr) has "
                    + "\(pool.blockCount) blocks of /\(pool.spec.blockSize), and a part needs at least one"
            )
        }
        self.pool = pool
        var parts: [IPPool] = []
        let step = UInt128(1) << UInt128(pool.family.addressBits - prefixLength)
        for number in 0..<count {
            let start = IPAddress(number: pool.cidr.address.number + UInt128(number) * step, pool.family)
            guard let cidr = CIDR(start, prefixLength: prefixLength) else {
                throw .invalidRequest("\(pool.cidr) cannot be split")
            }
            // Of a name that is too long the middle goes, so that the parts have different ones.
            let (head, tail) = ("split-", "-\(number)")
            let middle = pool.name.prefix(253 - head.utf8.count - tail.utf8.count)
            var part = IPPool(name: head + middle + tail, spec: pool.spec)
            part.spec.cidr = cidr
            part.conditions = pool.conditions
            part.metadata.labels = pool.metadata.labels
            part.metadata.annotations = pool.metadata.annotations
            parts.append(part)
        }
        self.parts = parts
    }
}

extension IPAMAdministration {
    /// Puts smaller pools in the place of one; addresses and blocks stay as they are.
    ///
    /// The store has to be locked, so that nothing is assigned meanwhile. Where one transaction can do it, it happens at
    /// once or not at all. Elsewhere the pool is disabled and marked, its parts are created, and it is deleted; what goes wrong on the
    /// way is undone, and a split that was killed is taken up again by the next call.
    ///
    /// - Parameter isMeant: says which pool.
    public func split(into count: Int, _ isMeant: (IPPool) -> Bool) async throws(IPAMError) -> PoolSplit {
        // The old pool is one change more.
        guard datastore.commitsAtomically, count < Self.transactionLimit else {
            let (record, split) = try await attempting { () async throws(AttemptError) in
                try await plannedSplit(into: count, isMeant)
            }
            try await splitInSteps(record.key, split)
            return split
        }
        return try await attempting { () async throws(AttemptError) -> PoolSplit in
            let (record, split) = try await plannedSplit(into: count, isMeant)
            let creations = try deciding { () throws(IPAMError) in try split.parts.map(creation) }
            try await commit([.delete(record.key, record.revision)] + creations)
            return split
        }
    }

    /// How many changes any store takes in one transaction (etcd's `--max-txn-ops`).
    private static let transactionLimit = 128

    /// Where it is noted that a pool is being split, with whether it was disabled before.
    private static let mark = "swiftlet.io/split-was-disabled"

    private func plannedSplit(
        into count: Int,
        _ isMeant: (IPPool) -> Bool
    ) async throws(AttemptError) -> (Record, PoolSplit) {
        let answers = try await read([
            .collection(.resources(.ipPools)), .record(ClusterInformation.recordKey("default")),
        ])
        return try deciding { () throws(IPAMError) in
            let information = try answers[1].first.map { (r) throws(IPAMError) in try ClusterInformation(r) }
            guard information?.spec.datastoreReady == false else {
                throw .invalidRequest("the datastore is not locked: swiftletctl datastore migrate lock")
            }
            let stored = PoolList(answers[0])
            let pools = stored.pools
            guard var pool = pools.first(where: isMeant),
                let record = answers[0].first(where: { $0.key == pool.recordKey })
            else { throw .invalidRequest("there is no such IP pool" + stored.unreadable.note) }
            if let wasDisabled = pool.metadata.annotations?.removeValue(forKey: Self.mark) {
                pool.spec.isDisabled = wasDisabled == "true"
                if pool.metadata.annotations?.isEmpty == true { pool.metadata.annotations = nil }
            }
            let split = try PoolSplit(pool, into: count)
            for part in split.parts {
                if stored.hides(part.name) {
                    throw .inconsistent("IP pool \(part.name) exists already" + stored.unreadable.note)
                }
                guard let other = pools.first(where: { $0.name == part.name }) else { continue }
                guard other.spec == part.spec else {
                    throw .invalidRequest("IP pool \(part.name) exists already, with \(other.cidr)")
                }
            }
            return (record, split)
        }
    }

    private func creation(_ part: IPPool) throws(IPAMError) -> RecordChange {
        var part = part
        part.metadata.uid = UUID().uuidString.lowercased()
        part.metadata.creationTimestamp = clock.now().wholeSecond
        return .create(part.recordKey, try part.json())
    }

    private func splitInSteps(_ key: RecordKey, _ split: PoolSplit) async throws(IPAMError) {
        var made: [RecordKey] = []
        var marked = split.pool
        marked.spec.isDisabled = true
        marked.metadata.annotations = (marked.metadata.annotations ?? [:])
            .merging([Self.mark: "\(split.pool.spec.isDisabled)"]) { $1 }
        do throws(IPAMError) {
            try await write(marked, over: key)
            for part in split.parts {
                made.append(part.recordKey)
                try await attempting { () async throws(AttemptError) in
                    // It may be there from an attempt that was killed, or whose answer was lost.
                    guard try await read([.record(part.recordKey)]).first?.first == nil else { return }
                    let change = try deciding { () throws(IPAMError) in try creation(part) }
                    try await commit([change])
                }
            }
            try await remove(key)
        } catch {
            do throws(IPAMError) {
                // It may be deleted, though that looked like a failure: without it, nothing could be taken up again.
                if made.count == split.parts.count { try await write(marked, over: key) }
                for part in made.reversed() { try await remove(part) }
                try await write(split.pool, over: key)
            } catch let undoing {
                throw .invalidRequest(
                    "pool \(split.pool.name) could not be split: \(error); nor could that be undone: \(undoing). "
                        + "Nothing is assigned from it now; run the command again"
                )
            }
            throw error
        }
    }

    private func write(_ pool: IPPool, over key: RecordKey) async throws(IPAMError) {
        try await attempting { () async throws(AttemptError) in
            guard let record = try await read([.record(key)]).first?.first else {
                let change = try deciding { () throws(IPAMError) in try creation(pool) }
                try await commit([change])
                return
            }
            let json = try deciding { () throws(IPAMError) in try pool.json() }
            try await commit([.update(key, json, record.revision)])
        }
    }

    private func remove(_ key: RecordKey) async throws(IPAMError) {
        try await attempting { () async throws(AttemptError) in
            guard let record = try await read([.record(key)]).first?.first else { return }
            try await commit([.delete(key, record.revision)])
        }
    }
}
