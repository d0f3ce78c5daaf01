import ClusterClient
import KubernetesAPI
import NetworkTypes

/// How much of each pool and block is in use (7.2): what `ipam show` prints.
public struct IPAMUsage: Hashable, Sendable {
    /// By name; disabled ones too.
    public let pools: [PoolUsage]
    /// Blocks of both families that lie in no pool, by prefix.
    public let orphanBlocks: [BlockUsage]

    public init(pools: [PoolUsage], orphanBlocks: [BlockUsage]) {
        self.pools = pools
        self.orphanBlocks = orphanBlocks
    }
}

/// Numbers of addresses.
public struct AddressCounts: Hashable, Sendable {
    public let total: UInt128
    /// Assigned or cooling down.
    public let inUse: UInt128
    /// Covered by reservations, whether in use or not.
    public let reserved: UInt128
    /// Neither in use nor reserved.
    public let free: UInt128

    public init(total: UInt128, inUse: UInt128, reserved: UInt128, free: UInt128) {
        self.total = total
        self.inUse = inUse
        self.reserved = reserved
        self.free = free
    }
}

public struct PoolUsage: Hashable, Sendable {
    public let name: String
    public let cidr: CIDR
    /// Why nothing is assigned from it; none when it is enabled.
    public let refusals: [PoolRefusal]
    public let counts: AddressCounts
    /// By prefix.
    public let blocks: [BlockUsage]

    public var isDisabled: Bool { refusals.contains(.disabled) }

    func with(_ blocks: [BlockUsage]) -> PoolUsage {
        PoolUsage(name: name, cidr: cidr, refusals: refusals, counts: counts, blocks: blocks)
    }
}

public struct BlockUsage: Hashable, Sendable {
    public let cidr: CIDR
    /// `nil` for a block that no host owns.
    public let affinity: BlockOwner?
    public let counts: AddressCounts
    /// In use and reserved at once.
    let inUseReserved: UInt128

    public init(_ block: Block, reserved: ReservedRanges) {
        self.init(BlockOutline(block), reserved: reserved)
    }

    init(_ block: BlockOutline, reserved: ReservedRanges) {
        let cidr = block.cidr
        self.cidr = cidr
        affinity = block.affinity
        let total = UInt128(Block.size(of: cidr))
        let inUse = UInt128(block.inUse.count { $0 })
        let reservedCount = reserved.count(in: cidr)
        inUseReserved =
            reservedCount == 0
            ? 0
            : UInt128(
                block.inUse.indices.count { ordinal in
                    block.inUse[ordinal]
                        && reserved.contains(IPAddress(number: cidr.address.number + UInt128(ordinal), cidr.family))
                }
            )
        counts = AddressCounts(
            total: total,
            inUse: inUse,
            reserved: reservedCount,
            free: total - (inUse + reservedCount - inUseReserved)
        )
    }
}

extension IPAMUsage {
    /// Counts what the blocks say.
    public init(pools: [IPPool], blocks: [Block], reserved: ReservedRanges) {
        self.init(pools: pools, outlines: blocks.map { BlockOutline($0) }, reserved: reserved)
    }

    init(pools: [IPPool], outlines blocks: [BlockOutline], reserved: ReservedRanges) {
        let sortedPools = pools.sorted { $0.name < $1.name }
        // Pools do not overlap, so the last that starts at or before a block is the only one that can hold it.
        let byAddress = sortedPools.indices.sorted { sortedPools[$0].cidr < sortedPools[$1].cidr }
        var ofPool = [[BlockUsage]](repeating: [], count: pools.count)
        var orphans: [BlockUsage] = []
        for block in blocks.sorted(by: { $0.cidr < $1.cidr }) {
            let usage = BlockUsage(block, reserved: reserved)
            var low = 0
            var high = byAddress.count
            while low < high {
                let middle = (low + high) / 2
                if sortedPools[byAddress[middle]].cidr.address <= block.cidr.address {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            if low > 0, sortedPools[byAddress[low - 1]].cidr.contains(block.cidr) {
                ofPool[byAddress[low - 1]].append(usage)
            } else {
                orphans.append(usage)
            }
        }
        self.pools = zip(sortedPools, ofPool).map { pool, blocks in
            let bits = pool.family.addressBits - pool.cidr.prefixLength
            let total: UInt128 = bits >= 128 ? .max : 1 << UInt128(bits)
            let inUse = blocks.reduce(UInt128(0)) { $0 + $1.counts.inUse }
            let both = blocks.reduce(UInt128(0)) { $0 + $1.inUseReserved }
            let reservedCount = reserved.count(in: pool.cidr)
            return PoolUsage(
                name: pool.name,
                cidr: pool.cidr,
                refusals: pool.stateRefusals,
                counts: AddressCounts(
                    total: total,
                    inUse: inUse,
                    reserved: reservedCount,
                    free: total - reservedCount - (inUse - both)
                ),
                blocks: blocks
            )
        }
        orphanBlocks = orphans
    }

    /// Reads the whole of it from a store, or what a filter leaves.
    ///
    /// - Parameter leaveOut: is told of each record that cannot be read; without it that is an error.
    public static func read(
        from datastore: any Datastore,
        _ filter: UsageFilter = UsageFilter(),
        now: Timestamp = .now,
        leaveOut: ((UnreadableRecord) -> Void)? = nil
    ) async throws(IPAMError) -> IPAMUsage {
        let answers = try await records(
            datastore,
            [
                .collection(.resources(.ipPools)), .collection(.resources(.ipReservations)),
                .collection(.blocks(.ipv4)), .collection(.blocks(.ipv6)), .record(IPAMConfiguration.recordKey),
            ]
        )
        let cooldown = IPAMConfiguration.cooldown(answers[4].first)
        let known = PoolList(answers[0])
        var unreadable = known.unreadable
        let reserved = ReservedRanges(reservations: answers[1], &unreadable)
        // Who has the addresses is read only when it matters.
        var wanted: Set<CIDR>? = filter.asksForOwners ? [] : nil
        let blocks = unreadable.readable(answers[2] + answers[3]) { (record) throws(IPAMError) in
            guard wanted != nil else { return try BlockOutline(record, now: now, cooldown: cooldown) }
            let block = try Block(record, now: now, cooldown: cooldown)
            if filter.wants(block) { wanted?.insert(block.cidr) }
            return BlockOutline(block)
        }
        try unreadable.leaveOut(telling: leaveOut)
        return IPAMUsage(pools: known.pools, outlines: blocks, reserved: reserved)
            .filtered(filter, pools: try filter.wanted(known.pools), blocks: wanted)
    }

    static func records(
        _ datastore: any Datastore,
        _ queries: [RecordQuery]
    ) async throws(IPAMError) -> [[Record]] {
        do throws(DatastoreError) {
            return try await datastore.read(queries)
        } catch {
            throw .datastore(error)
        }
    }
}

extension ReservedRanges {
    /// The union of what all reservations reserve.
    init(reservations: [Record]) throws(IPAMError) {
        var unreadable: [UnreadableRecord] = []
        self.init(reservations: reservations, &unreadable)
        try unreadable.leaveOut(telling: nil)
    }

    /// The union of what all reservations reserve; those that cannot be read are appended to `unreadable`.
    init(reservations: [Record], _ unreadable: inout [UnreadableRecord]) {
        let readable = unreadable.readable(reservations) { (record) throws(IPAMError) in try IPReservation(record) }
        self.init(readable.flatMap(\.reservedCIDRs))
    }
}
