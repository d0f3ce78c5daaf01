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
            func hasRoom(_ blocks: [CIDR]) async throws(AttemptError) -> Bool {
                let records = try await read(blocks.map { .record(.block($0)) })
                return records.joined().contains { record in
                    // One that cannot be read gives no address.
                    guard var block = try? StoredBlock(record).block else { return false }
                    block.endCooldowns(now: clock.now(), cooldown: configuration.cooldown)
                    return block.freeCount(reserved: reserved) > 0
                }
            }

            var own: [CIDR] = []
            for case .blockAffinity(_, let cidr) in try await keys(.blockAffinities(owner, family))
            where pools.contains(where: { $0.cidr.contains(cidr) }) {
                own.append(cidr)
            }
            if try await hasRoom(own) { return true }
            let isAtLimit = own.count >= configuration.effectiveMaxBlocksPerHost
            if configuration.autoAllocateBlocks, isAtLimit, configuration.strictAffinity { return false }

            var others: [CIDR] = []
            for case .block(let cidr) in try await keys(.blocks(family))
            where pools.contains(where: { $0.cidr.contains(cidr) }) {
                others.append(cidr)
            }
            let claimable = pools.contains { pool in
                UInt64(others.count { pool.cidr.contains($0) }) < pool.blockCount
            }
            if configuration.autoAllocateBlocks, claimable, !isAtLimit { return true }
            return configuration.strictAffinity ? false : try await hasRoom(others)
        }
    }
}
