/// An address and a prefix length, as `10.80.0.0/16`. The address keeps its host bits; ``masked`` drops them.
public struct CIDR: Hashable, Sendable {
    public let address: IPAddress
    /// 0 to 32, or 0 to 128.
    public let prefixLength: Int

    /// `nil` when the prefix length is negative or longer than an address of this family.
    public init?(_ address: IPAddress, prefixLength: Int) {
        guard (0...address.family.addressBits).contains(prefixLength) else { return nil }
        self.init(uncheckedAddress: address, prefixLength: prefixLength)
    }

    init(uncheckedAddress address: IPAddress, prefixLength: Int) {
        self.address = address
        self.prefixLength = prefixLength
    }

    public var family: IPFamily { address.family }

    /// The same prefix without host bits: `10.80.1.2/16` gives `10.80.0.0/16`.
    public var masked: CIDR {
        CIDR(uncheckedAddress: Self.mask(address, prefixLength), prefixLength: prefixLength)
    }

    public var isMasked: Bool { masked == self }

    /// The last address of the prefix.
    public var lastAddress: IPAddress {
        switch address {
        case .v4(let address): .v4(IPv4Address(bits: address.bits | (UInt32.max.shiftedRight(prefixLength))))
        case .v6(let address):
            .v6(
                IPv6Address(
                    high: address.high | UInt64.max.shiftedRight(prefixLength),
                    low: address.low | UInt64.max.shiftedRight(max(0, prefixLength - 64))
                )
            )
        }
    }

    /// How many addresses the prefix holds, exact up to 2^53 and rounded to a power of two beyond (it is one).
    public var addressCount: Double {
        var count = 1.0
        for _ in prefixLength..<family.addressBits { count *= 2 }
        return count
    }

    /// Whether the address is inside. Families never mix: an IPv4-mapped IPv6 address is not in an IPv4 prefix.
    public func contains(_ other: IPAddress) -> Bool {
        other.family == family && Self.mask(other, prefixLength) == Self.mask(address, prefixLength)
    }

    /// Whether every address of the other prefix is inside this one.
    public func contains(_ other: CIDR) -> Bool {
        other.prefixLength >= prefixLength && contains(other.address)
    }

    public func overlaps(_ other: CIDR) -> Bool {
        contains(other) || other.contains(self)
    }

    private static func mask(_ address: IPAddress, _ length: Int) -> IPAddress {
        switch address {
        case .v4(let address): .v4(IPv4Address(bits: address.bits & ~UInt32.max.shiftedRight(length)))
        case .v6(let address):
            .v6(
                IPv6Address(
                    high: address.high & ~UInt64.max.shiftedRight(length),
                    low: address.low & ~UInt64.max.shiftedRight(max(0, length - 64))
                )
            )
        }
    }
}

extension FixedWidthInteger where Self: UnsignedInteger {
    /// Shifts in zeros; a count of the width or more gives 0.
    fileprivate func shiftedRight(_ count: Int) -> Self { self >> count }
}

extension CIDR: Comparable {
    /// By address, the wider prefix first.
    public static func < (left: CIDR, right: CIDR) -> Bool {
        (left.address, left.prefixLength) < (right.address, right.prefixLength)
    }
}

extension CIDR: LosslessStringConvertible {
    /// Parses what Go's `netip.ParsePrefix` accepts: an address without zone, `/`, and a decimal length without
    /// sign or leading zero. Host bits may be set.
    public init?(_ text: String) {
        guard let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")),
            let address = IPAddress(String(text[..<slash]))
        else { return nil }
        let digits = text.utf8[text.utf8.index(after: slash)...]
        guard (1...3).contains(digits.count), digits.first != UInt8(ascii: "0") || digits.count == 1 else { return nil }
        var length = 0
        for byte in digits {
            guard let digit = AddressParser.decimalDigit(byte) else { return nil }
            length = length * 10 + Int(digit)
        }
        self.init(address, prefixLength: length)
    }

    public var description: String { "\(address)/\(prefixLength)" }
}
