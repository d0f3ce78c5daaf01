import NetworkTypes

/// Writes rules as `iptables-save` prints them, so that what is there can be compared with what should be.
enum RuleText {
    /// Only what neither a shell nor iptables-restore would take for something else; and not longer than iptables takes.
    static func comment(_ text: String) -> String {
        let safe = text.utf8.prefix(240).map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                byte
            case _ where " -./:_[]>;,".utf8.contains(byte): byte
            default: UInt8(ascii: "?")
            }
        }
        return "-m comment --comment \"\(String(decoding: safe, as: UTF8.self))\""
    }

    /// The match of one destination port; the protocol itself goes before all other matches.
    static func port(_ transport: TransportProtocol, _ port: UInt16) -> String {
        "-m \(transport.lowercased) --dport \(port)"
    }

    /// One in so many, of those that come to the rule. The kernel keeps it as a multiple of 2^-31.
    static func oneIn(_ count: Int) -> String {
        let scale = UInt64(1) << 31
        let value = (scale * 2 + UInt64(count)) / (2 * UInt64(count))
        // 11 digits after the point, rounded to even as printf does: value / 2^31 * 10^11 = value * 5^11 / 2^20.
        let product = value * 48_828_125
        var digits = product >> 20
        let rest = product & ((1 << 20) - 1)
        let half = UInt64(1) << 19
        if rest > half || rest == half && digits & 1 == 1 { digits += 1 }
        let text = String(digits)
        let padded = String(repeating: "0", count: max(0, 12 - text.utf8.count)) + text
        let point = padded.index(padded.endIndex, offsetBy: -11)
        return "-m statistic --mode random --probability \(padded[..<point]).\(padded[point...])"
    }

    /// - Parameter action: `--set`, or `--rcheck` with its options.
    static func recent(_ action: String, _ name: String, _ family: IPFamily) -> String {
        let mask = family == .ipv4 ? "255.255.255.255" : "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        return "-m recent \(action) --name \(name) --mask \(mask) --rsource"
    }

    static func hexadecimal(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }
}
