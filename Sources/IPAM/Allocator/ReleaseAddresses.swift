import ClusterClient
import NetworkTypes

/// What became of addresses that were to be released.
public struct ReleaseResult: Hashable, Sendable {
    public var released: [IPAddress] = []
    /// Free already, cooling down, or in no block: nothing had to be done (R2, X10).
    public var unallocated: [IPAddress] = []
}

extension RecordOperations {
    /// Takes back addresses one by one, as long as they still are what the options say (R1, R2).
    ///
    /// Throws ``IPAMError/staleRelease(_:_:)`` when one has another handle or sequence number; then nothing of its
    /// block was released, while other blocks may have been. A repeated address counts once.
    public func release(_ options: [ReleaseOptions]) async throws(IPAMError) -> ReleaseResult {
        let options = Dictionary(options.map { ($0.address, $0) }) { first, _ in first }
        let blocks = try await attempting { () async throws(AttemptError) -> [CIDR: [IPAddress]] in
            try await self.blocks(of: options.keys.sorted())
        }
        var result = ReleaseResult()
        var strays: [IPAddress] = []
        for (cidr, addresses) in blocks.sorted(by: { $0.key < $1.key }) {
            guard let released = try await release(addresses.compactMap { options[$0] }, in: cidr) else {
                strays += addresses
                continue
            }
            result.released += released
        }
        for (cidr, addresses) in try await self.blocks(ofStrays: strays) {
            result.released += try await release(addresses.compactMap { options[$0] }, in: cidr) ?? []
        }
        let released = Set(result.released)
        result.unallocated = options.keys.filter { !released.contains($0) }.sorted()
        return result
    }

    /// The block each address is in, by the pools and, for addresses outside of all pools, by the blocks that exist.
    func blocks(of addresses: [IPAddress]) async throws(AttemptError) -> [CIDR: [IPAddress]] {
        let pools = try await poolsThatCanBeRead()
        var blocks: [CIDR: [IPAddress]] = [:]
        var outside: [IPAddress] = []
        for address in addresses {
            if let pool = pools.first(where: { $0.cidr.contains(address) }) {
                blocks[pool.block(of: address), default: []].append(address)
            } else {
                outside.append(address)
            }
        }
        blocks.merge(try await existingBlocks(of: outside)) { $0 + $1 }
        return blocks
    }

    /// A release needs them only to find a block without a look at the names of all.
    private func poolsThatCanBeRead() async throws(AttemptError) -> [IPPool] {
        do throws(AttemptError) {
            return PoolList(try await read([.collection(.resources(.ipPools))]).first ?? []).pools
        } catch {
            guard case .failed(.datastore(let cause)) = error, cause.reason == .corrupt else { throw error }
            return []
        }
    }

    /// The blocks that exist of addresses for which their pool's are missing: those of a pool that was made anew with
    /// another block size.
    func blocks(ofStrays addresses: [IPAddress]) async throws(IPAMError) -> [(CIDR, [IPAddress])] {
        guard !addresses.isEmpty else { return [] }
        return try await attempting { () async throws(AttemptError) -> [CIDR: [IPAddress]] in
            try await existingBlocks(of: addresses)
        }.sorted { $0.key < $1.key }
    }

    private func existingBlocks(of addresses: [IPAddress]) async throws(AttemptError) -> [CIDR: [IPAddress]] {
        var blocks: [CIDR: [IPAddress]] = [:]
        for family in Set(addresses.map(\.family)) {
            for case .block(let cidr) in try await keys(.blocks(family)) {
                let inside = addresses.filter { cidr.contains($0) }
                if !inside.isEmpty { blocks[cidr] = inside }
            }
        }
        return blocks
    }

    /// Takes back addresses of one block; `nil` when there is no such block.
    ///
    /// - Parameter leavesStale: whether one that has another handle or sequence number is left as it is, and is no error.
    func release(
        _ options: [ReleaseOptions],
        in cidr: CIDR,
        leavesStale: Bool = false
    ) async throws(IPAMError) -> [IPAddress]? {
        var released: [IPAddress] = []
        var isEmptied = false
        var isMissing = false
        try await attempting { () async throws(AttemptError) in
            let answers = try await read([.record(.block(cidr)), .record(IPAMConfiguration.recordKey)])
            isMissing = answers[0].isEmpty
            guard let record = answers[0].first else { return }
            let now = clock.now()
            let cooldown = IPAMConfiguration.cooldown(answers[1].first)
            var stored = try deciding { () throws(IPAMError) in try StoredBlock(record) }
            stored.block.endCooldowns(now: now, cooldown: cooldown)
            let ordinals = try deciding { () throws(IPAMError) in
                try stored.block.ordinals(toRelease: options, leavesStale: leavesStale)
            }
            guard !ordinals.isEmpty else { return }
            let addresses = ordinals.map(stored.block.address)
            let handles = Set(ordinals.compactMap { stored.block.attribute($0)?.handle })
            let before = stored.block
            var changes = [stored.release(ordinals, now: now, cooldown: cooldown)]
            changes += try await handleChanges(handles, before, stored.block)
            isEmptied = stored.block.isEmpty
            try await commitRelease(changes) { released += addresses }
        }
        // A commit whose answer was lost may have deleted the block.
        guard !isMissing || !released.isEmpty else { return nil }
        if isEmptied { await giveUpUnselected(cidr) }
        var seen: Set<IPAddress> = []
        return released.filter { seen.insert($0).inserted }
    }

    /// The writes that make handles count what they have left in a block (R5).
    private func handleChanges(
        _ ids: Set<String>,
        _ before: Block,
        _ after: Block
    ) async throws(AttemptError) -> [RecordChange] {
        let ids = ids.sorted()
        guard !ids.isEmpty else { return [] }
        var changes: [RecordChange] = []
        for (id, records) in zip(ids, try await read(ids.map { .record(.handle($0)) })) {
            // One that cannot be read keeps counting too much, which a handle may.
            guard let record = records.first, var stored = try? StoredHandle(id: id, record) else { continue }
            let remaining = after.ordinals(handle: id, interface: nil).count
            let released = before.ordinals(handle: id, interface: nil).count - remaining
            stored.handle.blocks[after.cidr] =
                datastore.commitsAtomically
                ? remaining : max(remaining, (stored.handle.blocks[after.cidr] ?? 0) - released)
            if let change = stored.change { changes.append(change) }
        }
        return changes
    }
}

extension Block {
    /// The ordinals to release; throws when one is not what it has to be, leaving out those that are free (R2).
    fileprivate func ordinals(
        toRelease options: [ReleaseOptions],
        leavesStale: Bool
    ) throws(IPAMError) -> [Int] {
        var found: [Int] = []
        for option in options {
            guard let ordinal = ordinal(of: option.address), let attribute = attribute(ordinal),
                attribute.releasedAt == nil
            else { continue }
            if let problem = option.staleness(of: attribute, sequenceNumber(of: ordinal)) {
                if leavesStale { continue }
                throw .staleRelease(option.address, problem)
            }
            found.append(ordinal)
        }
        return found
    }
}

extension ReleaseOptions {
    /// Why this is not the assignment that was meant; `nil` when it is.
    fileprivate func staleness(of attribute: Block.Attribute, _ number: UInt64) -> String? {
        if let sequenceNumber, sequenceNumber != number {
            return "its sequence number is \(number), not \(sequenceNumber)"
        }
        if let handle, handle != attribute.handle {
            return "its handle is \(attribute.handle ?? "<none>"), not \(handle)"
        }
        return nil
    }
}
