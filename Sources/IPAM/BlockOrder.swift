import NetworkTypes

/// The order in which a host tries the blocks of a pool (P9): from a place of its own on, once around.
///
/// Different hosts start at different places, so that they rarely meet; one host always starts at the same.
struct BlockOrder: Sequence {
    private let pool: IPPool
    private let start: UInt128
    private let reserved: ReservedRanges

    /// - Parameters:
    ///   - seed: stands in for the host in pools whose blocks are single addresses, where starting at the same place each
    ///     time would walk over the host's own.
    ///   - reserved: blocks that lie wholly in it are left out. A range may have any number of them, so that it is stepped
    ///     over as a whole.
    init(pool: IPPool, host: String, seed: UInt64, reserved: ReservedRanges = .none) {
        self.pool = pool
        self.reserved = reserved
        let isSingleAddress = pool.spec.blockSize == pool.family.addressBits
        let value = isSingleAddress ? seed : UInt64(Self.fnv1(host.utf8))
        start = UInt128(Self.spread(value)) % Swift.max(1, pool.exactBlockCount)
    }

    struct Iterator: IteratorProtocol {
        let pool: IPPool
        let start: UInt128
        let reserved: ReservedRanges
        var index: UInt128 = 0

        mutating func next() -> CIDR? {
            let count = pool.exactBlockCount
            let untilEnd = count - start
            while index < count {
                // Both are below the number of blocks.
                let number = index < untilEnd ? start + index : index - untilEnd
                let block = pool.block(number: number)
                guard let end = reserved.end(covering: block) else {
                    index += 1
                    return block
                }
                // At most to the end of the pool, behind which the walk goes on at its beginning.
                let step = Swift.min(pool.number(behind: end), count) - number
                let (next, isBehindAll) = index.addingReportingOverflow(step)
                index = isBehindAll ? .max : next
            }
            return nil
        }
    }

    /// Blocks of the pool in this order.
    func sorted(_ blocks: some Sequence<CIDR>) -> [CIDR] {
        let shift = UInt128(pool.family.addressBits - pool.spec.blockSize)
        func position(_ block: CIDR) -> UInt128 {
            let number = (block.address.number - pool.cidr.address.number) >> shift
            return number >= start ? number - start : pool.exactBlockCount - start + number
        }
        return blocks.map { (position($0), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
    }

    func makeIterator() -> Iterator { Iterator(pool: pool, start: start, reserved: reserved) }

    /// FNV-1, 32 bits (http://www.isthe.com/chongo/tech/comp/fnv).
    static func fnv1(_ bytes: some Sequence<UInt8>) -> UInt32 {
        bytes.reduce(0x811c_9dc5) { ($0 &* 0x0100_0193) ^ UInt32($1) }
    }

    /// The finalizer of SplitMix64: names that differ in the last letter alone end up far apart.
    private static func spread(_ value: UInt64) -> UInt64 {
        var value = value &+ 0x9e37_79b9_7f4a_7c15
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}

extension IPPool {
    /// The number of the first block that is not wholly at or before an address of the pool, or of what follows it.
    fileprivate func number(behind last: IPAddress) -> UInt128 {
        let last = Swift.min(last.number, cidr.lastAddress.number)
        let block = (last - cidr.address.number) >> UInt128(family.addressBits - spec.blockSize)
        return self.block(number: block).lastAddress.number == last ? block + 1 : block
    }

    /// All of IPv6 in blocks of one address counts one block less than it has.
    fileprivate var exactBlockCount: UInt128 {
        let bits = spec.blockSize - spec.cidr.prefixLength
        return bits < 0 ? 0 : bits >= 128 ? .max : 1 << UInt128(bits)
    }
}
