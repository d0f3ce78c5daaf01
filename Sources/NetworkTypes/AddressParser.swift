/// The grammar of Go's `netip.ParseAddr`, byte by byte.
///
/// The one place where address text is understood; the public types only pick what they accept of it.
enum AddressParser {
    struct Parsed {
        let address: IPAddress
        /// Where the zone starts, behind the `%`; `nil` when there is none.
        let zoneStart: Int?
    }

    static func parse(_ text: UnsafeBufferPointer<UInt8>) -> Parsed? {
        for byte in text {
            switch byte {
            case UInt8(ascii: "."):
                return parseIPv4(text[...]).map { Parsed(address: .v4(IPv4Address(bits: $0)), zoneStart: nil) }
            case UInt8(ascii: ":"):
                return parseIPv6(text)
            case UInt8(ascii: "%"):
                return nil  // a zone, but no IPv6 address before it
            default:
                continue
            }
        }
        return nil
    }

    /// Four decimal fields of 0 to 255 and nothing else; a field other than `0` does not start with 0.
    private static func parseIPv4(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> UInt32? {
        var bits: UInt32 = 0
        var value: UInt32 = 0
        var digits = 0
        var dots = 0
        for byte in text {
            if byte == UInt8(ascii: ".") {
                guard digits > 0, dots < 3 else { return nil }
                bits = bits << 8 | value
                (value, digits) = (0, 0)
                dots += 1
            } else {
                guard let digit = decimalDigit(byte), digits == 0 || value != 0 else { return nil }
                value = value * 10 + UInt32(digit)
                digits += 1
                guard value <= 255 else { return nil }
            }
        }
        guard digits > 0, dots == 3 else { return nil }
        return bits << 8 | value
    }

    private static func parseIPv6(_ text: UnsafeBufferPointer<UInt8>) -> Parsed? {
        let percent = text.firstIndex(of: UInt8(ascii: "%"))
        if let percent, percent == text.count - 1 { return nil }
        let end = percent ?? text.count

        var groups: (high: UInt64, low: UInt64) = (0, 0)
        var filled = 0  // groups read so far, 0 to 8
        var ellipsis: Int?
        var position = 0

        func set(_ group: UInt64) {
            if filled < 4 {
                groups.high |= group << (48 - 16 * UInt64(filled))
            } else {
                groups.low |= group << (48 - 16 * UInt64(filled - 4))
            }
            filled += 1
        }

        if end >= 2, text[0] == UInt8(ascii: ":"), text[1] == UInt8(ascii: ":") {
            ellipsis = 0
            position = 2
        }
        while filled < 8, position < end {
            var group: UInt64 = 0
            var cursor = position
            while cursor < end, let digit = hexDigit(text[cursor]) {
                guard cursor - position < 4 else { return nil }
                group = group << 4 | UInt64(digit)
                cursor += 1
            }
            guard cursor > position else { return nil }
            if cursor < end, text[cursor] == UInt8(ascii: ".") {
                // The dotted form may only stand for the last two groups.
                guard ellipsis != nil || filled == 6, filled <= 6,
                    let embedded = parseIPv4(text[position..<end])
                else { return nil }
                set(UInt64(embedded >> 16))
                set(UInt64(embedded & 0xffff))
                position = end
                break
            }
            set(group)
            position = cursor
            guard position < end else { break }
            guard text[position] == UInt8(ascii: ":"), position + 1 < end else { return nil }
            position += 1
            if text[position] == UInt8(ascii: ":") {
                guard ellipsis == nil else { return nil }
                ellipsis = filled
                position += 1
            }
        }
        guard position == end else { return nil }
        if let ellipsis {
            guard filled < 8 else { return nil }  // `::` stands for at least one group
            groups = expand(groups, at: ellipsis, filled: filled)
        } else {
            guard filled == 8 else { return nil }
        }
        return Parsed(
            address: .v6(IPv6Address(high: groups.high, low: groups.low)),
            zoneStart: percent.map { $0 + 1 }
        )
    }

    /// Moves the groups behind the `::` to the end.
    private static func expand(
        _ groups: (high: UInt64, low: UInt64),
        at ellipsis: Int,
        filled: Int
    ) -> (high: UInt64, low: UInt64) {
        func group(_ index: Int) -> UInt64 {
            (index < 4 ? groups.high >> (48 - 16 * UInt64(index)) : groups.low >> (48 - 16 * UInt64(index - 4)))
                & 0xffff
        }
        var result: (high: UInt64, low: UInt64) = (0, 0)
        for index in 0..<8 {
            let source = index < ellipsis ? index : index - (8 - filled)
            guard index < ellipsis || source >= ellipsis else { continue }
            if index < 4 {
                result.high |= group(source) << (48 - 16 * UInt64(index))
            } else {
                result.low |= group(source) << (48 - 16 * UInt64(index - 4))
            }
        }
        return result
    }

    static func decimalDigit(_ byte: UInt8) -> UInt8? {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") ? byte - UInt8(ascii: "0") : nil
    }

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
