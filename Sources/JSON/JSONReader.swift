/// A strict reader of JSON text (RFC 8259) for input that nobody vouches for, in one pass and without a tree.
///
/// Each method reads the value that comes next. Depth is bounded, so that no input can exhaust the stack, and what is
/// read as a string must be UTF-8 without halves of surrogate pairs. It cannot be copied, so that it never outlives the
/// text it points into.
public struct JSONReader: ~Copyable {
    /// How deep arrays and objects may be nested.
    public static let maximumDepth = 128

    /// Why text is not JSON, or not the JSON that was wanted.
    public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        public let reason: String
        /// Where, counted in bytes from 0.
        public let offset: Int

        public var description: String { "\(reason) at byte \(offset)" }
    }

    /// What a value is.
    public enum Kind: Hashable, Sendable {
        case null, boolean, number, string, array, object
    }

    let bytes: UnsafeBufferPointer<UInt8>
    var position = 0
    var depth = 0

    /// Reads the whole text as one value.
    public static func read<Value>(
        _ text: Span<UInt8>,
        _ value: (inout JSONReader) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try text.withUnsafeBufferPointer { (bytes) throws(Failure) in
            var reader = JSONReader(bytes: bytes)
            let answer = try value(&reader)
            guard reader.next() == nil else { throw reader.failure("unexpected text behind the value") }
            return answer
        }
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    /// A complaint about what was read last.
    public func failure(_ reason: String) -> Failure { Failure(reason: reason, offset: position) }

    /// What the next value is, as far as its first byte tells.
    public mutating func kind() throws(Failure) -> Kind {
        switch next() {
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .boolean
        case UInt8(ascii: "-"), (UInt8(ascii: "0")...UInt8(ascii: "9"))?: return .number
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "{"): return .object
        default: throw unexpected(wanted: "a value")
        }
    }

    /// Calls `member` for each name, with the reader at its value, which it has to read or ``skip()``.
    public mutating func object(
        _ member: (String, inout JSONReader) throws(Failure) -> Void
    ) throws(Failure) {
        try enter(UInt8(ascii: "{"), "an object")
        var first = true
        while try !leave(UInt8(ascii: "}"), &first) {
            guard next() == UInt8(ascii: "\"") else { throw unexpected(wanted: "a member name") }
            let name = try string()
            try take(UInt8(ascii: ":"), "a colon")
            try member(name, &self)
        }
    }

    /// Calls `element` with the reader at each value, which it has to read or ``skip()``.
    public mutating func array(_ element: (inout JSONReader) throws(Failure) -> Void) throws(Failure) {
        try enter(UInt8(ascii: "["), "an array")
        var first = true
        while try !leave(UInt8(ascii: "]"), &first) { try element(&self) }
    }

    /// Steps over `null` when it is next.
    public mutating func null() -> Bool {
        next() == UInt8(ascii: "n") && literal("null")
    }

    /// Nothing for `null`.
    public mutating func optional<Value>(
        _ value: (inout JSONReader) throws(Failure) -> Value
    ) throws(Failure) -> Value? {
        null() ? nil : try value(&self)
    }

    public mutating func boolean() throws(Failure) -> Bool {
        switch next() {
        case UInt8(ascii: "t") where literal("true"): return true
        case UInt8(ascii: "f") where literal("false"): return false
        default: throw unexpected(wanted: "true or false")
        }
    }

    /// Steps over one value of any kind, which must be as well-formed as one that is read, except that nobody looks
    /// whether its strings are UTF-8.
    public mutating func skip() throws(Failure) {
        switch try kind() {
        case .null: guard null() else { throw unexpected(wanted: "a value") }
        case .boolean: _ = try boolean()
        case .number: try skipNumber()
        case .string: try skipString()
        case .array: try array { (reader) throws(Failure) in try reader.skip() }
        case .object:
            try enter(UInt8(ascii: "{"), "an object")
            var first = true
            while try !leave(UInt8(ascii: "}"), &first) {
                guard next() == UInt8(ascii: "\"") else { throw unexpected(wanted: "a member name") }
                try skipString()
                try take(UInt8(ascii: ":"), "a colon")
                try skip()
            }
        }
    }

    /// The next byte that is no white space, which stays unread.
    mutating func next() -> UInt8? {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
            case let byte: return byte
            }
        }
        return nil
    }

    mutating func literal(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard count <= bytes.count - position else { return false }
        for index in 0..<count where bytes[position + index] != word.utf8Start[index] { return false }
        position += count
        return true
    }

    func unexpected(wanted: String) -> Failure {
        failure(position < bytes.count ? "expected \(wanted)" : "unexpected end, expected \(wanted)")
    }

    private mutating func take(_ byte: UInt8, _ what: String) throws(Failure) {
        guard next() == byte else { throw unexpected(wanted: what) }
        position += 1
    }

    private mutating func enter(_ byte: UInt8, _ what: String) throws(Failure) {
        try take(byte, what)
        depth += 1
        guard depth <= Self.maximumDepth else { throw failure("nested deeper than \(Self.maximumDepth)") }
    }

    /// Whether the end of an object or array comes next; otherwise steps over the comma before a further element.
    private mutating func leave(_ end: UInt8, _ first: inout Bool) throws(Failure) -> Bool {
        if next() == end {
            position += 1
            depth -= 1
            return true
        }
        if !first { try take(UInt8(ascii: ","), "a comma or the end") }
        first = false
        return false
    }
}
