import ClusterClient
import FoundationEssentials
import NetworkTypes

extension Allocator {
    /// Creates the pools that do not exist yet, all of them or none.
    ///
    /// A pool that exists wins over its configuration: its prefix and block size have to be the same, and everything else
    /// stays as it is stored, so that what an operator has changed is not undone by the next container. Throws
    /// ``IPAMError/invalidPool(name:_:)`` for a pool that cannot be (1.4), overlaps another, or contradicts the stored one;
    /// ``IPAMError/inconsistent(_:)`` when one has to be created and another that is stored cannot be read.
    public func ensurePools(_ pools: [IPPool]) async throws(IPAMError) {
        guard !pools.isEmpty else { return }
        try await attempting { () async throws(AttemptError) in
            let information = ClusterInformation.recordKey("default")
            let answers = try await read([.collection(.resources(.ipPools)), .record(information)])
            let stored = PoolList(answers[0])
            let missing = try deciding { () throws(IPAMError) in try Self.missing(pools, in: stored) }
            guard !missing.isEmpty else { return }
            if let record = answers[1].first {
                try deciding { () throws(IPAMError) in try ClusterInformation(record).requireReady() }
            }
            try await requireBlocksFit(missing)
            var changes: [RecordChange] = []
            let now = clock.now()
            try deciding { () throws(IPAMError) in
                // Written with every creation, this record makes two that happen at once meet: otherwise each might
                // create a pool that overlaps the other's.
                if let record = answers[1].first {
                    changes.append(.update(information, record.value, record.revision))
                } else {
                    changes.append(.create(information, try ClusterInformation(now: now).json()))
                }
                for var pool in missing {
                    pool.metadata.uid = pool.metadata.uid ?? UUID().uuidString.lowercased()
                    pool.metadata.creationTimestamp = now.wholeSecond
                    changes.append(.create(pool.recordKey, try pool.json()))
                }
            }
            try await commit(changes)
        }
    }

    /// Those of the pools that ``ensurePools(_:)`` would create; throws what it would throw of the others.
    public static func missing(_ pools: [IPPool], in stored: PoolList) throws(IPAMError) -> [IPPool] {
        for (index, pool) in pools.enumerated() {
            if let problem = pool.problem { throw .invalidPool(name: pool.name, problem) }
            for other in pools[..<index] { try requireApart(pool, other) }
        }
        var missing: [IPPool] = []
        for pool in pools {
            // One that is there and cannot be read is what an assignment does without.
            if stored.hides(pool.name) { continue }
            if let existing = stored.pools.first(where: { $0.name == pool.name }) {
                if let change = pool.immutableChange(from: existing) {
                    throw .invalidPool(name: pool.name, "it exists already, and \(change)")
                }
            } else {
                try stored.requireReadable(toCreate: pool.name)
                for other in stored.pools { try requireApart(pool, other) }
                missing.append(pool)
            }
        }
        return missing
    }
}

extension RecordOperations {
    static func requireApart(_ pool: IPPool, _ other: IPPool) throws(IPAMError) {
        guard pool.name != other.name else { throw .invalidPool(name: pool.name, "it is configured twice") }
        guard !pool.cidr.overlaps(other.cidr) else {
            throw .invalidPool(name: pool.name, "\(pool.cidr) overlaps \(other.cidr) of pool \(other.name)")
        }
    }

    /// A prefix in which blocks of another size exist cannot become a pool.
    func requireBlocksFit(_ pools: [IPPool]) async throws(AttemptError) {
        for family in Set(pools.map(\.family)) {
            for case .block(let block) in try await keys(.blocks(family)) {
                for pool in pools where pool.cidr.overlaps(block) && pool.spec.blockSize != block.prefixLength {
                    let problem = "block \(block) exists in it, which is not of size /\(pool.spec.blockSize)"
                    throw .failed(.invalidPool(name: pool.name, problem))
                }
            }
        }
    }
}
