import ClusterClient
import KubernetesAPI
import NetworkTypes

/// The search for a block to claim, over the pools of a request.
///
/// Calico lists all blocks of the cluster for it. Here the host's order (P9) is followed instead: a few candidates are
/// looked at, which nearly always finds a free one; then the names of all blocks are fetched; their content only when
/// every block of the pools exists.
struct BlockSearch {
    fileprivate struct Walk {
        let pool: IPPool
        var candidates: BlockOrder.Iterator
        var probes = 0
    }

    fileprivate var walks: [Walk]
    fileprivate let pools: [IPPool]
    fileprivate let host: String
    fileprivate let seed: UInt64
    fileprivate let reserved: ReservedRanges
    /// The names of all blocks of the family, once they were needed.
    fileprivate var taken: Set<CIDR>?

    init(pools: [IPPool], host: String, seed: UInt64, reserved: ReservedRanges) {
        self.pools = pools
        self.host = host
        self.seed = seed
        self.reserved = reserved
        walks = []
        startOver()
    }

    private mutating func startOver() {
        walks = pools.reversed().map { pool in
            let order = BlockOrder(pool: pool, host: host, seed: seed, reserved: reserved)
            return Walk(pool: pool, candidates: order.makeIterator())
        }
    }

    /// Starts over, when there were names of blocks that do not exist: of some that are being deleted in two steps (K2), and
    /// stay so when nobody ends it.
    mutating func startOver(with existing: [CIDR]) -> Bool {
        let existing = Set(existing)
        guard let taken,
            taken.contains(where: { name in
                !existing.contains(name)
                    && pools.contains { $0.cidr.contains(name) && $0.spec.blockSize == name.prefixLength }
            })
        else { return false }
        self.taken = existing
        startOver()
        return true
    }

    /// How many candidates of a pool are looked at before the names are fetched.
    fileprivate static let probeLimit = 16
}

extension Allocator {
    /// The next block to assign from, made or adopted in the draft; `nil` when every block of the pools exists.
    func findBlock(
        _ search: inout BlockSearch,
        _ own: [StoredAffinity],
        _ draft: inout AssignmentDraft
    ) async throws(AttemptError) -> CIDR? {
        while var walk = search.walks.popLast() {
            while let candidate = walk.candidates.next() {
                guard draft.assigned[candidate] == nil else { continue }
                if let taken = search.taken {
                    guard !taken.contains(candidate) else { continue }
                } else if draft.known(candidate) == nil {
                    guard walk.probes < BlockSearch.probeLimit else {
                        let names = try await keys(.blocks(walk.pool.family))
                        search.taken = Set(names.compactMap { if case .block(let cidr) = $0 { cidr } else { nil } })
                        guard search.taken?.contains(candidate) == false else { continue }
                        search.walks.append(walk)
                        draft.create(candidate, for: owner, nil)
                        return candidate
                    }
                    var group = [candidate]
                    var ahead = walk.candidates
                    while group.count < 4, let next = ahead.next() { group.append(next) }
                    walk.probes += group.count
                    try await load(group, into: &draft)
                }
                let affinity = own.first { $0.cidr == candidate }
                switch draft.known(candidate) {
                case .unreadable: continue
                case .block(let stored):
                    // Ours without an affinity: someone died between the two writes (A8).
                    guard stored.block.affinity == owner, affinity == nil,
                        stored.block.freeCount(reserved: draft.snapshot.reserved) > 0
                    else { continue }
                    draft.confirm(candidate, nil)
                case nil, .absent:
                    draft.create(candidate, for: owner, affinity)
                }
                search.walks.append(walk)
                return candidate
            }
        }
        return nil
    }

    /// The existing blocks of the pools in the host's order, those of them that can be read.
    func listBlocks(
        _ search: inout BlockSearch,
        _ family: IPFamily,
        _ draft: inout AssignmentDraft
    ) async throws(AttemptError) -> [CIDR] {
        let records = try await read([.collection(.blocks(family))]).first ?? []
        var existing: Set<CIDR> = []
        for record in records {
            guard case .block(let cidr) = record.key,
                search.pools.contains(where: { $0.cidr.contains(cidr) && $0.spec.blockSize == cidr.prefixLength })
            else { continue }
            existing.insert(cidr)
            draft.add(cidr, record)
        }
        return search.pools.flatMap { pool in
            let ofPool = existing.filter { pool.cidr.contains($0) }
            return BlockOrder(pool: pool, host: search.host, seed: search.seed).sorted(ofPool)
        }
    }

    /// Takes over a block that nobody uses: empty, and of no host or claimed by its host a while ago (P8c).
    func reclaimBlock(
        _ others: [CIDR],
        _ own: [StoredAffinity],
        _ draft: inout AssignmentDraft
    ) async throws(AttemptError) -> CIDR? {
        for cidr in others where draft.assigned[cidr] == nil {
            guard let stored = draft.blocks[cidr], stored.block.isEmpty,
                stored.block.freeCount(reserved: draft.snapshot.reserved) > 0
            else { continue }
            let affinity = own.first { $0.cidr == cidr }
            guard let holder = stored.block.affinity else {
                draft.takeOver(cidr, for: owner, from: nil, affinity)
                return cidr
            }
            if holder == owner {
                draft.confirm(cidr, affinity)
                return cidr
            }
            guard stored.block.isReclaimable(by: owner, now: draft.now) else { continue }
            var revoked: StoredAffinity?
            if let record = try await read([.record(.blockAffinity(holder, cidr))]).first?.first {
                guard let readable = try? StoredAffinity(record) else { continue }
                revoked = readable
            }
            draft.takeOver(cidr, for: owner, from: revoked, affinity)
            return cidr
        }
        return nil
    }

}

extension Block {
    /// Whether a host may take the block over from another, or from nobody: it is empty, and was not claimed just now,
    /// which is done to use it (P8c).
    func isReclaimable(by owner: BlockOwner, now: Timestamp) -> Bool {
        guard isEmpty, let affinity else { return isEmpty }
        return affinity != owner && affinityClaimTime.map { now - $0 >= Self.reclaimAge } ?? true
    }

    private static let reclaimAge = Duration.seconds(60)
}
