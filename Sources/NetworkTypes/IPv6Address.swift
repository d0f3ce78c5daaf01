/// An IPv6 address without a zone, held as two integers in host byte order.
public struct IPv6Address: Hashable, Sendable {
    /// The first 64 bits.
    public let high: UInt64
    /// The last 64 bits.
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads sixteen octets in network byte order; `nil` when there are not exactly sixteen.
    @inlinable
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The sixteen octets in network byte order.
    public var bytes: [UInt8] {
        [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) } }
    }

    /// The eight 16-bit groups, most significant first.
    var groups: [UInt16] {
        [high, low].flatMap { half in (0..<4).map { UInt16(truncatingIfNeeded: half >> (48 - 16 * $0)) } }
    }

    /// The IPv4 address inside `::ffff:0:0/96`, or `nil` for every other address.
    public var ipv4Mapped: IPv4Address? {
        high == 0 && low >> 32 == 0xffff ? IPv4Address(bits: UInt32(truncatingIfNeeded: low)) : nil
    }

    /// Whether the address is in `fe80::/10`.
    public var isLinkLocal: Bool { high >> 54 == 0x3fa }

    public static let unspecified = IPv6Address(high: 0, low: 0)
    public static let loopback = IPv6Address(high: 0, low: 1)
}

extension IPv6Address: Comparable {
    public static func < (left: IPv6Address, right: IPv6Address) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension IPv6Address: LosslessStringConvertible {
    /// Parses the forms that Go's `netip.ParseAddr` accepts, except for a zone (see ``ZonedAddress``).
    public init?(_ text: String) {
        guard case .v6(let address)? = IPAddress(text) else { return nil }
        self = address
    }

    /// The canonical text of RFC 5952: lower case, the first longest run of two or more zero groups as `::`,
    /// and the dotted form for IPv4-mapped addresses.
    public var description: String {
        if let ipv4Mapped { return "::ffff:\(ipv4Mapped)" }
        let groups = self.groups
        var longest = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start >= 2, end - start > longest.count { longest = start..<end }
            start = max(end, start) + 1
        }
        var text = ""
        var index = 0
        while index < 8 {
            if index == longest.lowerBound, !longest.isEmpty {
                text += "::"
                index = longest.upperBound
                continue
            }
            if index > 0, index != longest.upperBound || longest.isEmpty { text += ":" }
            text += String(groups[index], radix: 16)
            index += 1
        }
        return text
    }
}
