/// A 48-bit hardware address.
public struct MACAddress: Hashable, Sendable {
    /// The address in the low 48 bits, first octet most significant.
    public let bits: UInt64

    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, _ e: UInt8, _ f: UInt8) {
        bits = [a, b, c, d, e, f].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Reads six octets; `nil` when there are not exactly six.
    @inlinable
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        bits = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A random address of a single interface, locally administered, as the kernel gives to interfaces that ask for none.
    public static func random() -> MACAddress {
        let bits = UInt64.random(in: 0..<1 << 48)
        return MACAddress(bits: bits & ~(1 << 40) | 1 << 41)
    }

    private init(bits: UInt64) {
        self.bits = bits
    }

    public var bytes: [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: bits >> (40 - 8 * $0)) } }

    /// Whether the address names a group; an interface cannot have such an address.
    public var isMulticast: Bool { bits >> 40 & 1 == 1 }

    /// The link-local address that the kernel derives from this hardware address (EUI-64, RFC 4291 appendix A).
    public var linkLocalAddress: IPv6Address {
        let octets = bytes
        let identifier = [octets[0] ^ 2, octets[1], octets[2], 0xff, 0xfe, octets[3], octets[4], octets[5]]
        return IPv6Address(high: 0xfe80 << 48, low: identifier.reduce(0) { $0 << 8 | UInt64($1) })
    }
}

extension MACAddress: LosslessStringConvertible {
    /// Parses six octets of two hexadecimal digits, all separated by `:` or all by `-`.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 17, bytes[2] == UInt8(ascii: ":") || bytes[2] == UInt8(ascii: "-") else { return nil }
        var octets: [UInt8] = []
        for start in stride(from: 0, to: 17, by: 3) {
            guard let high = AddressParser.hexDigit(bytes[start]), let low = AddressParser.hexDigit(bytes[start + 1]),
                start == 15 || bytes[start + 2] == bytes[2]
            else { return nil }
            octets.append(high << 4 | low)
        }
        self.init(bytes: octets)
    }

    public var description: String {
        var text: [UInt8] = []
        for byte in bytes {
            if !text.isEmpty { text.append(UInt8(ascii: ":")) }
            for digit in [byte >> 4, byte & 15] {
                text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
