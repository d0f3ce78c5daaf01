import NetworkTypes

/// A hash that is the same in every process and on every node, unlike `Hasher`.
struct StableHash {
    private(set) var value: UInt64

    init(seed: UInt64) {
        value = Self.mix(seed &+ 0x9e37_79b9_7f4a_7c15)
    }

    init(_ address: IPAddress, seed: UInt64) {
        self.init(seed: seed)
        combine(address)
    }

    init(_ target: TransportAddress, seed: UInt64) {
        self.init(seed: seed)
        combine(target.address)
        combine(UInt64(target.port))
    }

    mutating func combine(_ word: UInt64) {
        value = Self.mix((value ^ word) &+ 0x9e37_79b9_7f4a_7c15)
    }

    private mutating func combine(_ address: IPAddress) {
        switch address {
        case .v4(let address): combine(UInt64(address.bits))
        case .v6(let address):
            combine(address.high)
            combine(address.low)
        }
    }

    /// The finalizer of splitmix64: each bit of the input decides over half of the bits of the output.
    private static func mix(_ word: UInt64) -> UInt64 {
        var word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
