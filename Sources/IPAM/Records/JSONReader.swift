import FoundationEssentials

/// Reads JSON text in one pass, straight into the record that is wanted.
///
/// A full block is some 15 kB; reading 10,000 of them for `ipam show`, or one for every ADD, should not first build
/// a tree of boxed values, as `JSONDecoder` does.
struct JSONReader {
    struct Failure: Error, CustomStringConvertible {
        let offset: Int
        let problem: String

        var description: String { "\(problem) at byte \(offset)" }
    }

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var depth = 0

    /// Deeper nesting is refused rather than followed.
    private static let deepest = 64

    /// Reads the whole text as one value.
    static func read<Value>(
        _ text: Data,
        _ value: (inout JSONReader) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let result = text.withUnsafeBytes { raw -> Result<Value, Failure> in
            var reader = JSONReader(bytes: raw.bindMemory(to: UInt8.self))
            do throws(Failure) {
                let answer = try value(&reader)
                guard reader.next() == nil else { throw reader.failure("unexpected text behind the value") }
                return .success(answer)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    /// Calls `member` for each name, with the reader at its value, which it has to read or ``skip()``.
    mutating func object(_ member: (String, inout JSONReader) throws(Failure) -> Void) throws(Failure) {
        try enter(UInt8(ascii: "{"), "an object")
        var first = true
        while try !leave(UInt8(ascii: "}"), &first) {
            guard next() == UInt8(ascii: "\"") else { throw failure("expected a member name") }
            let name = try string()
            try take(UInt8(ascii: ":"), "a colon")
            try member(name, &self)
        }
    }

    /// Calls `element` with the reader at each value, which it has to read or ``skip()``.
    mutating func array(_ element: (inout JSONReader) throws(Failure) -> Void) throws(Failure) {
        try enter(UInt8(ascii: "["), "an array")
        var first = true
        while try !leave(UInt8(ascii: "]"), &first) { try element(&self) }
    }

    /// Steps over `null` when it is next.
    mutating func null() -> Bool {
        guard next() == UInt8(ascii: "n"), literal("null") else { return false }
        return true
    }

    mutating func optional<Value>(
        _ value: (inout JSONReader) throws(Failure) -> Value
    ) throws(Failure) -> Value? {
        null() ? nil : try value(&self)
    }

    mutating func boolean() throws(Failure) -> Bool {
        switch next() {
        case UInt8(ascii: "t") where literal("true"): return true
        case UInt8(ascii: "f") where literal("false"): return false
        default: throw failure("expected true or false")
        }
    }

    /// A whole number without exponent, within the range of the type.
    mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type = Integer.self) throws(Failure) -> Integer {
        let isNegative = next() == UInt8(ascii: "-")
        if isNegative { position += 1 }
        var value: Integer = 0
        let start = position
        while position < bytes.count, case let digit = bytes[position] &- UInt8(ascii: "0"), digit <= 9 {
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow2) =
                isNegative
                ? tens.subtractingReportingOverflow(Integer(digit)) : tens.addingReportingOverflow(Integer(digit))
            guard !overflow, !overflow2 else { throw failure("number out of range") }
            value = sum
            position += 1
        }
        guard position > start, bytes[start] != UInt8(ascii: "0") || position == start + 1 else {
            throw failure("expected a whole number")
        }
        if position < bytes.count, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[position]) {
            throw failure("expected a whole number")
        }
        return value
    }

    mutating func string() throws(Failure) -> String {
        guard next() == UInt8(ascii: "\"") else { throw failure("expected a string") }
        position += 1
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                defer { position += 1 }
                return try text(UnsafeBufferPointer(rebasing: bytes[start..<position]))
            case UInt8(ascii: "\\"):
                return try escapedString(from: start)
            case 0..<0x20:
                throw failure("control character in a string")
            default:
                position += 1
            }
        }
        throw failure("unterminated string")
    }

    /// Steps over one value of any kind.
    mutating func skip() throws(Failure) {
        switch next() {
        case UInt8(ascii: "{"): try object { (_, reader) throws(Failure) in try reader.skip() }
        case UInt8(ascii: "["): try array { (reader) throws(Failure) in try reader.skip() }
        case UInt8(ascii: "\""): try skipString()
        case UInt8(ascii: "n") where literal("null"): break
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try boolean()
        default:
            let start = position
            while position < bytes.count, Self.isNumberByte(bytes[position]) { position += 1 }
            guard position > start else { throw failure("expected a value") }
        }
    }

    /// Steps over a string without looking at its escapes.
    private mutating func skipString() throws(Failure) {
        position += 1
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"): position += 2
            case 0..<0x20: throw failure("control character in a string")
            default: position += 1
            }
        }
        throw failure("unterminated string")
    }

    // MARK: Pieces

    func failure(_ problem: String) -> Failure { Failure(offset: position, problem: problem) }

    /// The next byte that is no white space, which stays unread.
    private mutating func next() -> UInt8? {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
            case let byte: return byte
            }
        }
        return nil
    }

    private mutating func take(_ byte: UInt8, _ what: String) throws(Failure) {
        guard next() == byte else { throw failure("expected \(what)") }
        position += 1
    }

    private mutating func enter(_ byte: UInt8, _ what: String) throws(Failure) {
        try take(byte, what)
        depth += 1
        guard depth <= Self.deepest else { throw failure("nested too deeply") }
    }

    /// Whether the end of an object or array comes next; otherwise steps over the comma before a further element.
    private mutating func leave(_ end: UInt8, _ first: inout Bool) throws(Failure) -> Bool {
        if next() == end {
            position += 1
            depth -= 1
            return true
        }
        if !first { try take(UInt8(ascii: ","), "a comma") }
        first = false
        return false
    }

    private mutating func literal(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard position + count <= bytes.count else { return false }
        for index in 0..<count where bytes[position + index] != word.utf8Start[index] { return false }
        position += count
        return true
    }

    private static func isNumberByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default:
            false
        }
    }

    private func text(_ bytes: UnsafeBufferPointer<UInt8>) throws(Failure) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw failure("string is not UTF-8") }
        return text
    }

    private mutating func escapedString(from start: Int) throws(Failure) -> String {
        var buffer = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: buffer, as: UTF8.self) else { throw failure("string is not UTF-8") }
                return text
            case UInt8(ascii: "\\"):
                try escape(into: &buffer)
            case 0..<0x20:
                throw failure("control character in a string")
            default:
                buffer.append(byte)
            }
        }
        throw failure("unterminated string")
    }

    private mutating func escape(into buffer: inout [UInt8]) throws(Failure) {
        guard position < bytes.count else { throw failure("unterminated string") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(byte)
        case UInt8(ascii: "b"): buffer.append(8)
        case UInt8(ascii: "f"): buffer.append(12)
        case UInt8(ascii: "n"): buffer.append(10)
        case UInt8(ascii: "r"): buffer.append(13)
        case UInt8(ascii: "t"): buffer.append(9)
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if code >> 10 == 0x36, literal("\\u") {
                let low = try hexadecimal()
                guard low >> 10 == 0x37 else { throw failure("lone surrogate in a string") }
                code = 0x10000 + (code & 0x3ff) << 10 + low & 0x3ff
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("lone surrogate in a string") }
            buffer.append(contentsOf: Character(scalar).utf8)
        default:
            throw failure("unknown escape in a string")
        }
    }

    private mutating func hexadecimal() throws(Failure) -> UInt32 {
        guard position + 4 <= bytes.count else { throw failure("unterminated string") }
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
                throw failure("expected four hexadecimal digits")
            }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        return code
    }
}
