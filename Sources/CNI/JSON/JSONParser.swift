/// A strict reader of JSON text (RFC 8259) for input that nobody vouches for.
///
/// Depth is bounded, so that no input can exhaust the stack. What is not UTF-8 inside a string, and halves of
/// surrogate pairs, become U+FFFD, as in Go.
public struct JSONParser {
    /// How deep arrays and objects may be nested.
    public static let maximumDepth = 128

    /// Why text is not JSON.
    public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        public let reason: String
        /// Where, counted in bytes from 0.
        public let offset: Int

        public var description: String { "\(reason) at byte \(offset)" }
    }

    private let text: [UInt8]
    private var position = 0

    /// Reads one value that fills the whole text.
    public static func parse(_ text: [UInt8]) throws(Failure) -> JSONValue {
        var parser = JSONParser(text: text)
        parser.skipSpace()
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        guard parser.position == text.count else { throw parser.failure("unexpected data after the value") }
        return value
    }

    private init(text: [UInt8]) {
        self.text = text
    }

    private var next: UInt8? { position < text.count ? text[position] : nil }

    private func failure(_ reason: String) -> Failure { Failure(reason: reason, offset: position) }

    private func unexpected(wanted: String) -> Failure {
        failure(next == nil ? "unexpected end, expected \(wanted)" : "expected \(wanted)")
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(Failure) -> JSONValue {
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case let byte? where byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte): return .number(try number())
        default: throw unexpected(wanted: "a value")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(Failure) -> JSONValue {
        for index in 0..<word.utf8CodeUnitCount {
            guard take(word.utf8Start[index]) else { throw unexpected(wanted: "\(word)") }
        }
        return value
    }

    private mutating func object(depth: Int) throws(Failure) -> JSONValue {
        guard depth < Self.maximumDepth else { throw failure("nested deeper than \(Self.maximumDepth)") }
        position += 1
        var members: [JSONObject.Member] = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(JSONObject(members: members)) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw unexpected(wanted: "a key") }
            let key = try string()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw unexpected(wanted: "a colon") }
            skipSpace()
            members.append(JSONObject.Member(key: key, value: try value(depth: depth + 1)))
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(JSONObject(members: members)) }
            guard take(UInt8(ascii: ",")) else { throw unexpected(wanted: "a comma or the end of the object") }
        }
    }

    private mutating func array(depth: Int) throws(Failure) -> JSONValue {
        guard depth < Self.maximumDepth else { throw failure("nested deeper than \(Self.maximumDepth)") }
        position += 1
        var elements: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            skipSpace()
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw unexpected(wanted: "a comma or the end of the array") }
        }
    }

    private mutating func number() throws(Failure) -> String {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        if take(UInt8(ascii: ".")) { try digits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        return String(decoding: text[start..<position], as: UTF8.self)
    }

    private mutating func digits() throws(Failure) {
        let start = position
        while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
        guard position > start else { throw unexpected(wanted: "a digit") }
    }

    private mutating func string() throws(Failure) -> String {
        position += 1
        let start = position
        // Most strings have no escape and are taken in one piece.
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        if next == UInt8(ascii: "\"") {
            position += 1
            return String(decoding: text[start..<(position - 1)], as: UTF8.self)
        }
        var bytes = Array(text[start..<position])
        while true {
            switch next {
            case nil: throw unexpected(wanted: "the end of the string")
            case UInt8(ascii: "\""):
                position += 1
                return String(decoding: bytes, as: UTF8.self)
            case UInt8(ascii: "\\"):
                position += 1
                try escape(into: &bytes)
            case let byte? where byte < 0x20: throw failure("control character in a string")
            case let byte?:
                bytes.append(byte)
                position += 1
            }
        }
    }

    private mutating func escape(into bytes: inout [UInt8]) throws(Failure) {
        guard let byte = next else { throw unexpected(wanted: "an escape") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(byte)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0c)
        case UInt8(ascii: "n"): bytes.append(0x0a)
        case UInt8(ascii: "r"): bytes.append(0x0d)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            let first = try codeUnit()
            var scalar = Unicode.Scalar(first)
            if first & 0xfc00 == 0xd800 {
                let behind = position
                if take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
                    let second = try codeUnit()
                    if second & 0xfc00 == 0xdc00 {
                        scalar = Unicode.Scalar(0x10000 + (first & 0x3ff) << 10 + second & 0x3ff)
                    }
                }
                if scalar == nil { position = behind }
            }
            bytes.append(contentsOf: String(Character(scalar ?? "\u{fffd}")).utf8)
        default:
            position -= 1
            throw failure("unknown escape")
        }
    }

    /// The four hexadecimal digits of a `\u` escape.
    private mutating func codeUnit() throws(Failure) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw unexpected(wanted: "a hexadecimal digit")
            }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }
}
