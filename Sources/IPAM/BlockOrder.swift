import NetworkTypes

/// The order in which a host tries the blocks of a pool (P9): from a place of its own on, once around.
///
/// Different hosts start at different places, so that they rarely meet; one host always starts at the same.
struct BlockOrder: Sequence {
    private let pool: IPPool
    private let start: UInt64

    /// - Parameter seed: stands in for the host in pools whose blocks are single addresses, where starting at the
    ///   same place each time would walk over the host's own.
    init(pool: IPPool, host: String, seed: UInt64) {
        self.pool = pool
        let isSingleAddress = pool.spec.blockSize == pool.family.addressBits
        let value = isSingleAddress ? seed : UInt64(Self.fnv1(host.utf8))
        start = Self.spread(value) % Swift.max(1, pool.blockCount)
    }

    struct Iterator: IteratorProtocol {
        let pool: IPPool
        let start: UInt64
        var index: UInt64 = 0

        mutating func next() -> CIDR? {
            guard index < pool.blockCount else { return nil }
            defer { index += 1 }
            // Both are below the number of blocks.
            let untilEnd = pool.blockCount - start
            return pool.block(number: index < untilEnd ? start + index : index - untilEnd)
        }
    }

    /// Blocks of the pool in this order.
    func sorted(_ blocks: some Sequence<CIDR>) -> [CIDR] {
        let shift = UInt128(pool.family.addressBits - pool.spec.blockSize)
        func position(_ block: CIDR) -> UInt64 {
            let number = UInt64(truncatingIfNeeded: (block.address.number - pool.cidr.address.number) >> shift)
            return number >= start ? number - start : pool.blockCount - start + number
        }
        return blocks.map { (position($0), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
    }

    func makeIterator() -> Iterator { Iterator(pool: pool, start: start) }

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
