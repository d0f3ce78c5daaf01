import ClusterClient
import NetworkTypes

extension Allocator {
    /// Whether this host could probably get an address of one of these pools now. Changes nothing.
    ///
    /// It looks at the host's own blocks first, then whether a block could be claimed, and reads the blocks of others
    /// only when neither helps (rules ST1 and ST4). The pools are of one family and exist.
    public func hasRoom(in pools: [IPPool]) async throws(IPAMError) -> Bool {
        guard let family = pools.first?.family else { return false }
        return try await attempting { () async throws(AttemptError) in
            let answers = try await read([
                .record(IPAMConfiguration.recordKey), .collection(.resources(.ipReservations)),
            ])
            let (configuration, reserved) = try deciding { () throws(IPAMError) in
                var configuration = IPAMConfiguration()
                if let record = answers[0].first { configuration = try IPAMConfiguration(record) }
                return (configuration, try ReservedRanges(reservations: answers[1]))
            }
            func hasRoom(
                _ blocks: [CIDR],
                _ isUsable: (Block) -> Bool = { _ in true }
            ) async throws(AttemptError) -> Bool {
                let records = try await read(blocks.map { .record(.block($0)) })
                return records.joined().contains { record in
                    // One that cannot be read gives no address.
                    guard var block = try? StoredBlock(record).block else { return false }
                    block.endCooldowns(now: clock.now(), cooldown: configuration.cooldown)
                    return isUsable(block) && block.freeCount(reserved: reserved) > 0
                }
            }

            var own: [CIDR] = []
            for case .blockAffinity(_, let cidr) in try await keys(.blockAffinities(owner, family))
            where pools.contains(where: { $0.cidr.contains(cidr) }) {
                own.append(cidr)
            }
            if try await hasRoom(own, { $0.affinity == owner }) { return true }
            let isAtLimit = own.count >= configuration.effectiveMaxBlocksPerHost
            if configuration.autoAllocateBlocks, isAtLimit, configuration.strictAffinity { return false }

            var others: [CIDR] = []
            for case .block(let cidr) in try await keys(.blocks(family))
            where pools.contains(where: { $0.cidr.contains(cidr) }) {
                others.append(cidr)
            }
            let mayClaim = configuration.autoAllocateBlocks && !isAtLimit
            if mayClaim, pools.contains(where: { hasUnclaimedBlock($0, besides: Set(others), reserved) }) {
                return true
            }
            guard configuration.strictAffinity else { return try await hasRoom(others) }
            return mayClaim ? try await hasRoom(others) { $0.isReclaimable(by: owner, now: clock.now()) } : false
        }
    }

    private func hasUnclaimedBlock(_ pool: IPPool, besides existing: Set<CIDR>, _ reserved: ReservedRanges) -> Bool {
        let order = BlockOrder(pool: pool, host: host, seed: 0, reserved: reserved)
        return order.prefix(existing.count + 1).contains { !existing.contains($0) }
    }
}
