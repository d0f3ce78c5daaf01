/// An IPv4 address, held as one integer in host byte order.
public struct IPv4Address: Hashable, Sendable {
    /// The 32 bits, most significant octet first: `10.0.0.1` is `0x0a00_0001`.
    public let bits: UInt32

    public init(bits: UInt32) {
        self.bits = bits
    }

    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        bits = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }

    /// Reads four octets in network byte order; `nil` when there are not exactly four.
    @inlinable
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        bits = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The four octets in network byte order.
    public var bytes: [UInt8] {
        [
            UInt8(truncatingIfNeeded: bits >> 24), UInt8(truncatingIfNeeded: bits >> 16),
            UInt8(truncatingIfNeeded: bits >> 8), UInt8(truncatingIfNeeded: bits),
        ]
    }

    public static let unspecified = IPv4Address(bits: 0)
    public static let loopback = IPv4Address(127, 0, 0, 1)
}

extension IPv4Address: Comparable {
    public static func < (left: IPv4Address, right: IPv4Address) -> Bool { left.bits < right.bits }
}

extension IPv4Address: LosslessStringConvertible {
    /// Parses dotted decimal as Go's `netip.ParseAddr` does: four fields of 0 to 255, without leading zeros.
    public init?(_ text: String) {
        guard case .v4(let address)? = IPAddress(text) else { return nil }
        self = address
    }

    public var description: String {
        "\(bits >> 24).\(bits >> 16 & 0xff).\(bits >> 8 & 0xff).\(bits & 0xff)"
    }
}
