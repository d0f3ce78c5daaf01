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
        try await takeFromOwn(own, &missing, &draft)

        func shortage(_ reasons: [String]) -> IPAMError.Shortage {
            .init(family: family, requested: count, available: count - missing, reasons: reasons)
        }

        var search = BlockSearch(pools: pools, host: host, seed: UInt64(clamping: draft.now.nanoseconds))
        while missing > 0, configuration.autoAllocateBlocks {
            guard blockCount < configuration.effectiveMaxBlocksPerHost else {
                throw .failed(
                    .blockLimit(
                        shortage([
                            "the \(blockCount) \(family) blocks of host \(host) are full: "
                                + "block limit \(configuration.effectiveMaxBlocksPerHost) reached"
                        ])
                    )
                )
            }
            guard let found = try await findBlock(&search, own, &draft) else { break }
            let taken = draft.assign(missing, from: found)
            guard taken > 0 else { continue }
            missing -= taken
            blockCount += 1
        }
        guard missing > 0 else { return }

        let others = try await listBlocks(&search, family, &draft)
        while missing > 0, configuration.autoAllocateBlocks, blockCount < configuration.effectiveMaxBlocksPerHost,
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

    /// Takes addresses from the blocks that the host has an affinity for (P8a, A5).
    private func takeFromOwn(
        _ own: [StoredAffinity],
        _ missing: inout Int,
        _ draft: inout AssignmentDraft
    ) async throws(AttemptError) {
        // A few at a time: usually the first has room, and a full one costs no round trip of its own.
        var index = 0
        while index < own.count, missing > 0 {
            let group = own[index..<min(index + 4, own.count)].filter { !draft.snapshot.reserved.covers($0.cidr) }
            index += 4
            try await load(group.map(\.cidr), into: &draft)
            for affinity in group where missing > 0 {
                guard let stored = draft.known(affinity.cidr) ?? nil else {
                    draft.create(affinity.cidr, for: owner, affinity)
                    missing -= draft.assign(missing, from: affinity.cidr)
                    continue
                }
                guard stored.block.affinity == owner else {
                    // Stale: the block is someone else's now.
                    _ = try? await commit([.delete(affinity.key, affinity.revision)])
                    continue
                }
                let taken = draft.assign(missing, from: affinity.cidr)
                if taken > 0 { draft.confirm(affinity.cidr, affinity) }
                missing -= taken
            }
        }
    }
}
