import ClusterClient
import KubernetesAPI
import NetworkTypes

extension Allocator {
    /// Takes back the addresses of a handle, or those of one of its interfaces, and tells which they were (R7, H3).
    ///
    /// An unknown handle has none; that is no error. An address recorded without an interface belongs to all.
    ///
    /// - Parameter beside: what else is to be written in the same transaction. Asked at each attempt, but not for a handle
    ///   that there is not, nor on a store without transactions.
    /// - Throws: ``IPAMError/inconsistent(_:)`` when one of its blocks cannot be read, after the others were released from.
    @discardableResult
    public func release(
        handle id: String,
        interface: String? = nil,
        beside: () async throws(DatastoreError) -> [RecordChange] = { () throws(DatastoreError) in [] }
    ) async throws(IPAMError) -> [IPAddress] {
        var released: [IPAddress] = []
        var emptied: [CIDR] = []
        let unreadable = try await attempting { () async throws(AttemptError) -> [UnreadableRecord] in
            guard let found = try await read(handle: id, withPools: false) else { return [] }
            var handle = found.handle
            let now = clock.now()
            var changes: [RecordChange] = []
            var addresses: [IPAddress] = []
            emptied = []
            for cidr in found.cidrs where !found.unreadable.contains(where: { $0.key == .block(cidr) }) {
                guard var stored = found.blocks[cidr] else {
                    handle?.handle.blocks[cidr] = nil
                    continue
                }
                let ordinals = stored.block.ordinals(handle: id, interface: interface)
                let remaining = stored.block.ordinals(handle: id, interface: nil).count - ordinals.count
                // Without transactions, another interface may be counted already while its block is about to be
                // written, so one interface less is counted down. What is counted for a block that has nothing of it,
                // or beyond all that is released, was left by a crash (X6).
                let isLeftOver = ordinals.isEmpty && remaining == 0
                let counted = handle?.handle.blocks[cidr] ?? 0
                handle?.handle.blocks[cidr] =
                    datastore.commitsAtomically || isLeftOver || interface == nil
                    ? remaining : max(remaining, counted - ordinals.count)
                guard !ordinals.isEmpty else { continue }
                addresses += ordinals.map(stored.block.address)
                changes.append(stored.release(ordinals, now: now, cooldown: found.cooldown))
                if stored.block.isEmpty { emptied.append(cidr) }
            }
            if let change = handle?.change, !addresses.isEmpty || handle?.handle != found.handle?.handle {
                changes.append(change)
            }
            if datastore.commitsAtomically {
                do throws(DatastoreError) {
                    changes += try await beside()
                } catch {
                    throw AttemptError(error)
                }
            }
            if !changes.isEmpty { try await commitRelease(changes) { released += addresses } }
            return found.unreadable
        }
        for cidr in emptied { await giveUpUnselected(cidr) }
        if !unreadable.isEmpty { throw .inconsistent(unreadable.map(\.problem).joined(separator: "; ")) }
        var seen: Set<IPAddress> = []
        return released.filter { seen.insert($0).inserted }
    }

    /// The addresses that a handle, or one of its interfaces, has.
    ///
    /// - Parameter withPools: whether to tell the pool of each, which some stores are asked for by one request more.
    public func addresses(
        ofHandle id: String,
        interface: String? = nil,
        withPools: Bool = true
    ) async throws(IPAMError) -> [AssignedAddress] {
        try await attempting { () async throws(AttemptError) in
            guard let found = try await read(handle: id, withPools: withPools) else { return [] }
            if let record = found.unreadable.first { throw .failed(.inconsistent(record.problem)) }
            return found.blocks.values.sorted { $0.block.cidr < $1.block.cidr }.flatMap { stored in
                stored.block.ordinals(handle: id, interface: interface).compactMap { ordinal in
                    AssignedAddress(stored.block.address(ordinal), in: stored.block, found.pools)
                }
            }
        }
    }

    /// Every address that this host's containers have, by what is noted with it, in whichever block; and the blocks that
    /// cannot be read, which may have more.
    ///
    /// It takes one listing of all blocks, however many containers there are.
    public func assignments() async throws(IPAMError) -> (assigned: [AssignedAddress], unreadable: [UnreadableRecord]) {
        try await attempting { () async throws(AttemptError) in
            let answers = try await read([.collection(.blocks(.ipv4)), .collection(.blocks(.ipv6))])
            var unreadable: [UnreadableRecord] = []
            let blocks = unreadable.readable(answers.joined()) { (record) throws(IPAMError) in
                try StoredBlock(record).block
            }
            let assigned = blocks.flatMap { block in
                block.allocations.indices.compactMap { AssignedAddress(block.address($0), in: block, []) }
            }
            return (assigned.filter { $0.attributes["node"] == host }, unreadable)
        }
    }

    /// A handle's blocks, and what goes into its record.
    private struct HandleContent {
        /// `nil` for a record that cannot be read, and is left as it is.
        let handle: StoredHandle?
        /// Those that the handle may have addresses in; some may not exist.
        let cidrs: [CIDR]
        let blocks: [CIDR: StoredBlock]
        /// Those that cannot be read.
        let unreadable: [UnreadableRecord]
        let pools: [IPPool]
        let cooldown: Duration
    }

    /// A handle with the blocks it names; `nil` when there is no such handle.
    private func read(handle id: String, withPools: Bool) async throws(AttemptError) -> HandleContent? {
        // Alone: usually there is none, and then nothing else is needed.
        guard let record = try await read([.record(.handle(id))]).first?.first else { return nil }
        // Without its index an address is looked for in all blocks, where the truth is.
        let handle = try? StoredHandle(id: id, record)
        let named = handle?.handle.blocks.keys.sorted() ?? []
        let blockQueries: [RecordQuery] =
            handle == nil
            ? [.collection(.blocks(.ipv4)), .collection(.blocks(.ipv6))] : named.map { .record(.block($0)) }
        let poolQueries: [RecordQuery] = withPools ? [.collection(.resources(.ipPools))] : []
        let answers = try await read([.record(IPAMConfiguration.recordKey)] + blockQueries + poolQueries)
        let cooldown = IPAMConfiguration.cooldown(answers[0].first)
        let now = clock.now()
        var blocks: [CIDR: StoredBlock] = [:]
        var unreadable: [UnreadableRecord] = []
        for var stored in unreadable.readable(answers[1..<(1 + blockQueries.count)].joined(), StoredBlock.init) {
            stored.block.endCooldowns(now: now, cooldown: cooldown)
            guard handle != nil || !stored.block.ordinals(handle: id, interface: nil).isEmpty else { continue }
            blocks[stored.block.cidr] = stored
        }
        return HandleContent(
            handle: handle,
            cidrs: handle == nil ? blocks.keys.sorted() : named,
            blocks: blocks,
            // Of all blocks that are looked through one may be anybody's.
            unreadable: handle == nil ? [] : unreadable,
            pools: withPools ? PoolList(answers[blockQueries.count + 1]).pools : [],
            cooldown: cooldown
        )
    }
}

extension RecordOperations {
    /// Commits, and calls `done` when the changes happened or may have happened.
    func commitRelease(_ changes: [RecordChange], _ done: () -> Void) async throws(AttemptError) {
        do throws(AttemptError) {
            try await commit(changes)
            done()
        } catch {
            // On a store without transactions the blocks, which come first, may be written while the handle is not.
            if case .again(let cause) = error, cause.reason == .unavailable || !datastore.commitsAtomically { done() }
            throw error
        }
    }
}

extension StoredBlock {
    /// Takes addresses back and gives the write for it: deletion when nothing is left and nobody owns the block (R4).
    mutating func release(_ ordinals: [Int], now: Timestamp, cooldown: Duration) -> RecordChange {
        block.release(ordinals, now: now, cooldown: cooldown)
        if block.isEmpty, block.affinity == nil, let revision { return .delete(.block(block.cidr), revision) }
        return change()
    }
}
