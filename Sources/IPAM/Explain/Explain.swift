import ClusterClient
import KubernetesAPI
import NetworkTypes

extension Allocator {
    /// Tells for each pool whether this host would get an address from it for the request, and if not, why. Changes
    /// nothing.
    ///
    /// Pools are judged by the rules that ``assign(_:)`` goes by; whether there is room, by all blocks as they are now.
    public func explain(_ request: AssignmentRequest) async throws(IPAMError) -> AssignmentExplanation {
        try await attempting { () async throws(AttemptError) in
            let snapshot = try await snapshot(handle: request.handle, Set(IPFamily.allCases))
            let record = try await read([.record(NodeResource.recordKey(host))]).first?.first
            let labels = try deciding { () throws(IPAMError) -> [String: String] in
                guard let record else { return [:] }
                return try NodeResource(record).labels
            }
            var families: [AssignmentExplanation.Family] = []
            var unreadable = snapshot.unreadablePools
            for family in IPFamily.allCases {
                guard snapshot.pools.contains(where: { $0.family == family }) || !request.pools(family).isEmpty else {
                    continue
                }
                let records = try await read([.collection(.blocks(family))]).first ?? []
                let blocks = unreadable.readable(records) { (record) throws(IPAMError) in
                    var block = try StoredBlock(record).block
                    block.endCooldowns(now: clock.now(), cooldown: snapshot.configuration.cooldown)
                    return block
                }
                let broken = Set(unreadable.compactMap { if case .block(let cidr) = $0.key { cidr } else { nil } })
                families.append(
                    try deciding { () throws(IPAMError) in
                        try Explainer(
                            request: request,
                            family: family,
                            snapshot: snapshot,
                            blocks: blocks,
                            broken: broken,
                            host: host,
                            nodeLabels: labels,
                            now: clock.now()
                        ).explanation()
                    }
                )
            }
            return AssignmentExplanation(
                node: host,
                nodeLabels: labels,
                namespaceLabels: request.namespaceLabels,
                families: families,
                unreadable: unreadable
            )
        }
    }
}

/// What is said about one family, as a function of the records.
private struct Explainer {
    let request: AssignmentRequest
    let family: IPFamily
    let snapshot: ClusterSnapshot
    let blocks: [Block]
    /// Blocks that cannot be read.
    let broken: Set<CIDR>
    let host: String
    let nodeLabels: [String: String]
    let now: Timestamp

    private var owner: BlockOwner { .host(host) }
    private var configuration: IPAMConfiguration { snapshot.configuration }

    func explanation() throws(IPAMError) -> AssignmentExplanation.Family {
        let wanted = request.pools(family)
        let ofFamily = snapshot.pools.filter { $0.family == family }
        let named = wanted.map { name in ofFamily.first { $0.name == name || CIDR(name)?.masked == $0.cidr } }
        let asked = named.compactMap(\.self)
        let ordered = asked + ofFamily.filter { !asked.contains($0) }

        var judged: [(pool: IPPool, refusals: [PoolRefusal])] = []
        for pool in ordered {
            var refusals = pool.stateRefusals
            if wanted.isEmpty {
                refusals += try pool.selectionRefusals(
                    nodeLabels: nodeLabels,
                    namespaceLabels: request.namespaceLabels
                )
            } else if !asked.contains(pool) {
                refusals.append(.notRequested)
            }
            if let refusal = pool.useRefusal(request.use) { refusals.append(refusal) }
            judged.append((pool, refusals))
        }
        let candidates = judged.filter(\.refusals.isEmpty).map(\.pool)
        let own = ownBlocks(candidates)
        let isAtLimit = configuration.autoAllocateBlocks && own.count >= configuration.effectiveMaxBlocksPerHost

        var pools: [AssignmentExplanation.Pool] = []
        for (pool, refusals) in judged {
            let room = room(pool)
            let refusal = refusals.isEmpty ? roomRefusal(pool, room, isAtLimit) : nil
            pools.append(
                AssignmentExplanation.Pool(
                    name: pool.name,
                    cidr: pool.cidr,
                    blockSize: pool.spec.blockSize,
                    refusals: refusals + (refusal.map { [$0] } ?? []),
                    room: room
                )
            )
        }
        let unknown = zip(wanted, named).filter { $0.1 == nil }.map(\.0)
        return AssignmentExplanation.Family(
            family: family,
            pools: pools,
            unknownPools: unknown,
            source: source(candidates, own, pools, isAtLimit: isAtLimit, unknown: unknown)
        )
    }

    private func belongs(_ block: CIDR, to pool: IPPool) -> Bool {
        pool.cidr.contains(block) && pool.spec.blockSize == block.prefixLength
    }

    private func free(_ block: Block) -> Int { block.freeCount(reserved: snapshot.reserved) }

    /// The host's blocks in these pools, as its affinities say (P6).
    private func ownBlocks(_ pools: [IPPool]) -> [CIDR] {
        (snapshot.affinities[family] ?? []).map(\.cidr).filter { cidr in
            pools.contains { belongs(cidr, to: $0) }
                && blocks.first { $0.cidr == cidr }.map { $0.affinity == owner } ?? true
        }
    }

    private func room(_ pool: IPPool) -> AssignmentExplanation.Room {
        var room = AssignmentExplanation.Room()
        room.possibleBlocks = pool.blockCount
        let existing = blocks.filter { belongs($0.cidr, to: pool) }
        room.existingBlocks = existing.count
        for block in existing {
            if block.affinity == owner {
                room.ownBlocks += 1
                room.ownFree += free(block)
            } else {
                room.freeElsewhere += free(block)
            }
        }
        let taken = broken.union(existing.map(\.cidr))
        let order = BlockOrder(
            pool: pool,
            host: host,
            seed: UInt64(clamping: now.nanoseconds),
            reserved: snapshot.reserved
        )
        room.nextBlock = order.prefix(taken.count + 1).first { !taken.contains($0) }
        return room
    }

    private func roomRefusal(
        _ pool: IPPool,
        _ room: AssignmentExplanation.Room,
        _ isAtLimit: Bool
    ) -> PoolRefusal? {
        if room.ownFree > 0 { return nil }
        if snapshot.reserved.covers(pool.cidr) { return .reserved }
        if isAtLimit, configuration.strictAffinity || room.freeElsewhere == 0 {
            return .blockLimit(configuration.effectiveMaxBlocksPerHost)
        }
        if configuration.autoAllocateBlocks, !isAtLimit, room.nextBlock != nil || reclaimable([pool]) != nil {
            return nil
        }
        guard room.freeElsewhere > 0 else { return .full }
        return configuration.strictAffinity ? .strictAffinity(freeElsewhere: room.freeElsewhere) : nil
    }

    /// An empty block that may be taken over (P8c).
    private func reclaimable(_ pools: [IPPool]) -> Block? {
        blocks.first { block in
            pools.contains { belongs(block.cidr, to: $0) } && free(block) > 0
                && block.isReclaimable(by: owner, now: now)
        }
    }

    private func source(
        _ candidates: [IPPool],
        _ own: [CIDR],
        _ pools: [AssignmentExplanation.Pool],
        isAtLimit: Bool,
        unknown: [String]
    ) -> AssignmentExplanation.Source {
        func pool(_ cidr: CIDR) -> String { candidates.first { $0.cidr.contains(cidr) }?.name ?? "" }
        if let name = unknown.first {
            return .none("the \(family) pool \(name) does not exist" + snapshot.unreadablePools.note)
        }
        guard !candidates.isEmpty else {
            return .none("no \(family) pool is for this pod" + snapshot.unreadablePools.note)
        }
        for cidr in own where !broken.contains(cidr) {
            guard let block = blocks.first(where: { $0.cidr == cidr }) else { return .newBlock(cidr, pool: pool(cidr)) }
            if free(block) > 0 { return .ownBlock(cidr, pool: pool(cidr)) }
        }
        if configuration.autoAllocateBlocks, !isAtLimit {
            for candidate in candidates {
                guard let next = pools.first(where: { $0.name == candidate.name })?.room.nextBlock else { continue }
                return .newBlock(next, pool: candidate.name)
            }
            if let block = reclaimable(candidates) { return .reclaimedBlock(block.cidr, pool: pool(block.cidr)) }
        }
        if !configuration.strictAffinity {
            for candidate in candidates {
                let lender = blocks.first {
                    belongs($0.cidr, to: candidate) && $0.affinity != owner && free($0) > 0
                }
                guard let lender else { continue }
                return .borrowed(lender.cidr, owner: lender.affinity, pool: candidate.name)
            }
        }
        guard !isAtLimit else {
            return .none("the \(own.count) \(family) blocks of the node are full, and it may have no more")
        }
        return .none(
            "no address is left for the node in the pools that are for this pod" + snapshot.unreadablePools.note
        )
    }
}
