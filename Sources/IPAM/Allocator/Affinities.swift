import ClusterClient
import NetworkTypes

/// What came of giving up a block.
public enum AffinityRelease: Hashable, Sendable {
    case released
    /// The block has addresses, and only an empty one was to be given up.
    case notEmpty
    /// The owner does not have the block.
    case notOwned
}

extension RecordOperations {
    /// Gives up an owner's block (A6): deletes it when it is empty, else leaves it to nobody.
    ///
    /// - Parameters:
    ///   - requireEmpty: leave the block alone when it has addresses, cooling ones included (A7).
    ///   - sequenceNumber: leave the block alone when it was written since (X11).
    public func releaseAffinity(
        of block: CIDR,
        owner: BlockOwner,
        requireEmpty: Bool,
        sequenceNumber: UInt64? = nil
    ) async throws(IPAMError) -> AffinityRelease {
        try await attempting { () async throws(AttemptError) in
            let key = RecordKey.blockAffinity(owner, block)
            let answers = try await read([.record(key), .record(.block(block)), .record(IPAMConfiguration.recordKey)])
            let (affinity, stored) = try deciding { () throws(IPAMError) in
                var affinity: StoredAffinity?
                if let record = answers[0].first { affinity = try StoredAffinity(record) }
                var stored: StoredBlock?
                if let record = answers[1].first { stored = try StoredBlock(record) }
                let cooldown = IPAMConfiguration.cooldown(answers[2].first)
                stored?.block.endCooldowns(now: clock.now(), cooldown: cooldown)
                return (affinity, stored)
            }
            guard var stored, stored.block.affinity == owner else {
                // Stale, or left by a claim that did not get far.
                if let affinity { try await commit([.delete(key, affinity.revision)]) }
                return .notOwned
            }
            if let sequenceNumber, sequenceNumber != stored.block.sequenceNumber { return .notOwned }
            if requireEmpty, !stored.block.isEmpty { return .notEmpty }
            let change: RecordChange
            if stored.block.isEmpty, let revision = stored.revision {
                change = .delete(.block(block), revision)
            } else {
                stored.block.affinity = nil
                stored.block.affinityClaimTime = nil
                change = stored.change()
            }
            guard let affinity else {
                try await commit([change])
                return .released
            }
            if datastore.commitsAtomically {
                try await commit([change, .delete(key, affinity.revision)])
            } else {
                let pending = try await commit([.update(key, BlockAffinity(.pendingDeletion).json, affinity.revision)])
                try await commit([change])
                if let revision = pending.first ?? nil { try await commit([.delete(key, revision)]) }
            }
            return .released
        }
    }

    /// The host's blocks that none of the candidates has and whose pool may no longer select the host (P6).
    func unusableBlocks(_ family: IPFamily, _ snapshot: ClusterSnapshot, _ candidates: [IPPool]) -> [CIDR] {
        (snapshot.affinities[family] ?? []).map(\.cidr).filter { cidr in
            guard !candidates.contains(where: { $0.cidr.contains(cidr) }) else { return false }
            guard let pool = snapshot.pools.first(where: { $0.cidr.contains(cidr) }) else {
                return snapshot.unreadablePools.isEmpty
            }
            return (try? Selector(pool.spec.nodeSelector)) != .all
        }
    }

    /// Gives up an empty block whose pool is gone or no longer selects its owner (R6, P6).
    ///
    /// It is a chance that is taken in passing: what goes wrong is left for the next.
    func giveUpUnselected(_ cidr: CIDR) async {
        let queries: [RecordQuery] = [.record(.block(cidr)), .collection(.resources(.ipPools))]
        guard let answers = try? await read(queries), let record = answers[0].first, let block = try? Block(record),
            block.isEmpty, let owner = block.affinity, case .host(let node) = owner
        else { return }
        let pools = PoolList(answers[1])
        if let pool = pools.pools.first(where: { $0.cidr.contains(cidr) }) {
            guard let selector = try? Selector(pool.spec.nodeSelector), selector != .all,
                let records = try? await read([.record(NodeResource.recordKey(node))]).first
            else { return }
            var labels: [String: String] = [:]
            if let record = records.first {
                guard let resource = try? NodeResource(record) else { return }
                labels = resource.labels
            }
            guard !selector.matches(labels) else { return }
        } else if !pools.unreadable.isEmpty {
            return
        }
        _ = try? await releaseAffinity(
            of: cidr,
            owner: owner,
            requireEmpty: true,
            sequenceNumber: block.sequenceNumber
        )
    }
}
