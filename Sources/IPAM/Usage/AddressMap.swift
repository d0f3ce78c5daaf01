import ClusterClient
import KubernetesAPI
import NetworkTypes

/// What becomes of each address of the blocks that exist: `ipam show --map`.
public struct AddressMap: Hashable, Sendable {
    public enum Cell: Hashable, Sendable {
        case free, inUse, coolingDown, reserved
    }

    public struct Block: Hashable, Sendable {
        public let cidr: CIDR
        public let affinity: BlockOwner?
        /// One for each address, in order.
        public let cells: [Cell]
        /// The nodes that use addresses of it, other than its owner.
        public let borrowers: Set<String>

        public var inUseCount: Int { cells.count { $0 == .inUse || $0 == .coolingDown } }
    }

    public struct Pool: Hashable, Sendable {
        public let name: String
        public let cidr: CIDR
        public let blockSize: Int
        /// How many blocks it has room for, those that exist included.
        public let blockCount: UInt64
        /// Those that exist, by address.
        public let blocks: [Block]

        /// Where in the pool a block lies, counted in blocks.
        public func position(of block: CIDR) -> UInt64 {
            UInt64(
                truncatingIfNeeded: (block.address.number - cidr.address.number)
                    >> UInt128(cidr.family.addressBits - blockSize)
            )
        }

        /// The block at a position; `nil` beyond the last.
        public func cidr(at position: UInt64) -> CIDR? {
            guard position < blockCount else { return nil }
            let number = cidr.address.number + UInt128(position) << UInt128(cidr.family.addressBits - blockSize)
            return CIDR(IPAddress(number: number, cidr.family), prefixLength: blockSize)
        }
    }

    /// By name.
    public let pools: [Pool]
    /// Blocks in no pool, by address.
    public let orphanBlocks: [Block]

    public init(pools: [IPPool], blocks: [IPAM.Block], reserved: ReservedRanges) {
        let known = blocks.sorted { $0.cidr < $1.cidr }.map { Block($0, reserved) }
        self.pools = pools.sorted { $0.name < $1.name }.map { pool in
            Pool(
                name: pool.name,
                cidr: pool.cidr,
                blockSize: pool.spec.blockSize,
                blockCount: pool.blockCount,
                blocks: known.filter { pool.cidr.contains($0.cidr) && $0.cidr.prefixLength == pool.spec.blockSize }
            )
        }
        let placed = Set(self.pools.flatMap(\.blocks).map(\.cidr))
        orphanBlocks = known.filter { !placed.contains($0.cidr) }
    }

    /// Reads pools, blocks and reservations of a store, or what a filter leaves of them.
    ///
    /// - Parameter leaveOut: is told of each record that cannot be read; without it that is an error.
    public static func read(
        from datastore: any Datastore,
        _ filter: UsageFilter = UsageFilter(),
        now: Timestamp = .now,
        leaveOut: ((UnreadableRecord) -> Void)? = nil
    ) async throws(IPAMError) -> AddressMap {
        let answers = try await IPAMUsage.records(
            datastore,
            [
                .collection(.resources(.ipPools)), .collection(.resources(.ipReservations)),
                .collection(.blocks(.ipv4)), .collection(.blocks(.ipv6)), .record(IPAMConfiguration.recordKey),
            ]
        )
        let cooldown = IPAMConfiguration.cooldown(answers[4].first)
        let known = PoolList(answers[0])
        var unreadable = known.unreadable
        let pools = try filter.wanted(known.pools)
        let blocks = unreadable.readable(answers[2] + answers[3]) { (record) throws(IPAMError) in
            try IPAM.Block(record, now: now, cooldown: cooldown)
        }
        .filter { block in
            (filter.pools.isEmpty || pools.contains { $0.cidr.contains(block.cidr) }) && filter.wants(block)
        }
        let reserved = ReservedRanges(reservations: answers[1], &unreadable)
        try unreadable.leaveOut(telling: leaveOut)
        return AddressMap(
            pools: pools.filter { pool in
                !filter.asksForOwners || blocks.contains { pool.cidr.contains($0.cidr) }
            },
            blocks: blocks,
            reserved: reserved
        )
    }
}

extension AddressMap.Block {
    fileprivate init(_ block: Block, _ reserved: ReservedRanges) {
        cidr = block.cidr
        affinity = block.affinity
        let hasReserved = reserved.intersects(block.cidr)
        cells = block.allocations.indices.map { ordinal in
            guard let attribute = block.attribute(ordinal) else {
                return hasReserved && reserved.contains(block.address(ordinal)) ? .reserved : .free
            }
            return attribute.releasedAt == nil ? .inUse : .coolingDown
        }
        borrowers = Set(
            block.allocations.indices.compactMap { block.attribute($0)?.secondary["node"] }.filter {
                .host($0) != block.affinity
            }
        )
    }
}
