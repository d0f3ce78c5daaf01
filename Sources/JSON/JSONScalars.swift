extension JSONReader {
    /// A whole number without fraction and exponent, within the range of the type.
    @inlinable
    public mutating func integer<Integer: FixedWidthInteger>(
        _ type: Integer.Type = Integer.self
    ) throws(Failure) -> Integer {
        let (magnitude, isNegative) = try wholeNumber()
        if !isNegative {
            if let value = Integer(exactly: magnitude) { return value }
        } else if magnitude <= 1 << 63, let value = Integer(exactly: Int64(bitPattern: 0 &- magnitude)) {
            return value
        }
        throw failure("number out of range")
    }

    @usableFromInline
    mutating func wholeNumber() throws(Failure) -> (magnitude: UInt64, isNegative: Bool) {
        let isNegative = next() == UInt8(ascii: "-")
        if isNegative { position += 1 }
        let start = position
        var magnitude: UInt64 = 0
        while position < bytes.count, case let digit = bytes[position] &- UInt8(ascii: "0"), digit <= 9 {
            let (tens, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, overflow2) = tens.addingReportingOverflow(UInt64(digit))
            guard !overflow, !overflow2 else { throw failure("number out of range") }
            magnitude = sum
            position += 1
        }
        guard position > start, bytes[start] != UInt8(ascii: "0") || position == start + 1 else {
            throw unexpected(wanted: "a whole number")
        }
        if position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"): throw unexpected(wanted: "a whole number")
            default: break
            }
        }
        return (magnitude, isNegative)
    }

    /// Any number, as it is written.
    public mutating func number() throws(Failure) -> String {
        guard try kind() == .number else { throw unexpected(wanted: "a number") }
        let start = position
        try skipNumber()
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    mutating func skipNumber() throws(Failure) {
        _ = literal("-")
        if !literal("0") { try skipDigits() }
        if literal(".") { try skipDigits() }
        if literal("e") || literal("E") {
            if !literal("+") { _ = literal("-") }
            try skipDigits()
        }
    }

    private mutating func skipDigits() throws(Failure) {
        let start = position
        while position < bytes.count, bytes[position] &- UInt8(ascii: "0") <= 9 { position += 1 }
        guard position > start else { throw unexpected(wanted: "a digit") }
    }

    public mutating func string() throws(Failure) -> String {
        guard next() == UInt8(ascii: "\"") else { throw unexpected(wanted: "a string") }
        position += 1
        let start = position
        // Most strings have no escape and are taken in one piece.
        guard try stopsAtEscape() else {
            return try text(UnsafeBufferPointer(rebasing: bytes[start..<position - 1]))
        }
        var buffer: [UInt8] = []
        var piece = start
        repeat {
            buffer.append(contentsOf: bytes[piece..<position])
            buffer.append(contentsOf: try escape().utf8)
            piece = position
        } while try stopsAtEscape()
        buffer.append(contentsOf: bytes[piece..<position - 1])
        return try text(buffer)
    }

    mutating func skipString() throws(Failure) {
        position += 1
        while try stopsAtEscape() { _ = try escape() }
    }

    /// Goes on inside a string: to the next backslash, or else behind the end of the string.
    private mutating func stopsAtEscape() throws(Failure) -> Bool {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return false
            case UInt8(ascii: "\\"): return true
            case 0..<0x20: throw failure("control character in a string")
            default: position += 1
            }
        }
        throw unexpected(wanted: "the end of the string")
    }

    private func text(_ bytes: some Sequence<UInt8>) throws(Failure) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw failure("string is not UTF-8") }
        return text
    }

    /// Reads an escape, with the reader at its backslash.
    private mutating func escape() throws(Failure) -> Unicode.Scalar {
        position += 1
        guard position < bytes.count else { throw unexpected(wanted: "an escape") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            var code = try codeUnit()
            if code & 0xfc00 == 0xd800, literal("\\u") {
                let low = try codeUnit()
                guard low & 0xfc00 == 0xdc00 else { throw failure("half of a surrogate pair in a string") }
                code = 0x10000 + (code & 0x3ff) << 10 + low & 0x3ff
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("half of a surrogate pair in a string") }
            return scalar
        default:
            position -= 1
            throw failure("unknown escape in a string")
        }
    }

    /// The four hexadecimal digits of a `\u` escape.
    private mutating func codeUnit() throws(Failure) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count, let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
                throw unexpected(wanted: "a hexadecimal digit")
            }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }
}
