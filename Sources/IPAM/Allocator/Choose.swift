import ClusterClient
import NetworkTypes

// Choosing addresses of one family (2.5): from the host's own blocks, then from a block it claims, then from an empty
// block that another host has left lying, and last from blocks of others.

extension Allocator {
    /// Adds `count` addresses to the draft, or throws with the reasons why there are not so many.
    func choose(
        _ count: Int,
        _ family: IPFamily,
        _ pools: [IPPool],
        _ draft: inout AssignmentDraft
    ) async throws(AttemptError) {
        var missing = count
        let configuration = draft.snapshot.configuration
        let own = (draft.snapshot.affinities[family] ?? []).filter { affinity in
            pools.contains { $0.cidr.contains(affinity.cidr) && $0.spec.blockSize == affinity.cidr.prefixLength }
        }
        var blockCount =
            own.count
            + draft.claims.keys.count { cidr in
                cidr.family == family && !own.contains { $0.cidr == cidr }
            }
        let staleCount = try await takeFromOwn(own, &missing, &draft)
        blockCount -= staleCount
        let limit = configuration.effectiveMaxBlocksPerHost
        // At the limit a host claims no more, and borrows where that is allowed (P7, C6).
        var isAtLimit: Bool { configuration.autoAllocateBlocks && blockCount >= limit }

        func shortage(_ reasons: [String]) -> IPAMError.Shortage {
            let leftOut = draft.leftOut.map { "left out, as it cannot be read: \($0)" }
            return .init(family: family, requested: count, available: count - missing, reasons: reasons + leftOut)
        }
        func limitReached() -> AttemptError {
            let full = "the \(blockCount) \(family) blocks of host \(host) are full: block limit \(limit) reached"
            return .failed(.blockLimit(shortage([full] + configuration.limitRemedy)))
        }

        var search = BlockSearch(
            pools: pools,
            host: host,
            seed: UInt64(clamping: draft.now.nanoseconds),
            reserved: draft.snapshot.reserved
        )
        func claim() async throws(AttemptError) {
            while missing > 0, configuration.autoAllocateBlocks, !isAtLimit {
                guard let found = try await findBlock(&search, own, &draft) else { break }
                let taken = draft.assign(missing, from: found)
                guard taken > 0 else { continue }
                missing -= taken
                blockCount += 1
            }
        }
        try await claim()
        guard missing > 0 else { return }
        if isAtLimit, configuration.strictAffinity { throw limitReached() }

        let others = try await listBlocks(&search, family, &draft)
        if search.startOver(with: others) { try await claim() }
        // Ours, though its affinity was never written (A8).
        for cidr in others where missing > 0 && draft.blocks[cidr]?.block.affinity == owner {
            let taken = own.contains { $0.cidr == cidr } ? 0 : draft.assign(missing, from: cidr)
            if taken > 0 { draft.confirm(cidr, nil) }
            missing -= taken
        }
        while missing > 0, configuration.autoAllocateBlocks, !isAtLimit,
            let found = try await reclaimBlock(others, own, &draft)
        {
            missing -= draft.assign(missing, from: found)
            blockCount += 1
        }
        let foreign = others.filter { draft.blocks[$0]?.block.affinity != owner }
        if !configuration.strictAffinity {
            for cidr in foreign where missing > 0 { missing -= draft.assign(missing, from: cidr) }
        }
        guard missing > 0 else { return }
        // Where every block exists, more of them would not have helped.
        let areAllClaimed = pools.allSatisfy { pool in
            UInt64(others.count { pool.cidr.contains($0) }) >= pool.blockCount
        }
        if isAtLimit, !areAllClaimed { throw limitReached() }
        let names = pools.map { "\($0.name) (\($0.cidr))" }.joined(separator: ", ")
        let exhausted = "no IPs available in pools [\(names)]"
        let hasRoomElsewhere = foreign.contains { cidr in
            draft.blocks[cidr].map { $0.block.freeCount(reserved: draft.snapshot.reserved) > 0 } ?? false
        }
        if configuration.strictAffinity, hasRoomElsewhere || !configuration.autoAllocateBlocks {
            var reasons = ["no free affine blocks with strict affinity"]
            if !configuration.autoAllocateBlocks { reasons.append("autoAllocateBlocks is false") }
            throw .failed(.strictAffinity(shortage(reasons)))
        }
        throw .failed(.poolExhausted(shortage([exhausted])))
    }

    /// Takes addresses from the blocks that the host has an affinity for (P8a, A5), and tells how many of them are others'.
    private func takeFromOwn(
        _ own: [StoredAffinity],
        _ missing: inout Int,
        _ draft: inout AssignmentDraft
    ) async throws(AttemptError) -> Int {
        // A few at a time: usually the first has room, and a full one costs no round trip of its own.
        var index = 0
        var staleCount = 0
        while index < own.count, missing > 0 {
            let group = own[index..<min(index + 4, own.count)].filter { !draft.snapshot.reserved.covers($0.cidr) }
            index += 4
            try await load(group.map(\.cidr), into: &draft)
            for affinity in group where missing > 0 {
                switch draft.known(affinity.cidr) {
                case nil, .absent:
                    draft.create(affinity.cidr, for: owner, affinity)
                    missing -= draft.assign(missing, from: affinity.cidr)
                case .unreadable:
                    // The next block will do.
                    continue
                case .block(let stored):
                    guard stored.block.affinity == owner else {
                        // Stale: the block is someone else's now.
                        _ = try? await commit([.delete(affinity.key, affinity.revision)])
                        staleCount += 1
                        continue
                    }
                    let taken = draft.assign(missing, from: affinity.cidr)
                    if taken > 0 { draft.confirm(affinity.cidr, affinity) }
                    missing -= taken
                }
            }
        }
        return staleCount
    }
}
