/// Steps over the fields of a protobuf message in place, for the outer layers of what a server sends: their contents
/// are most of the bytes, and are not copied.
struct ProtobufFields {
    struct Field {
        let number: UInt64
        let value: Value
    }

    enum Value {
        case number(UInt64)
        /// Text, octets or a message: where its bytes are.
        case bytes(Range<Int>)
        /// 4 or 8 octets, which none of the fields that are read here has.
        case other
    }

    private var position: Int
    private let end: Int

    /// - Parameter range: where the message is, within the bytes that are passed to ``next(in:)``.
    init(_ range: Range<Int>) {
        position = range.lowerBound
        end = range.upperBound
    }

    /// The next field; `nil` at the end.
    mutating func next(in bytes: Span<UInt8>) throws(WireError) -> Field? {
        guard position < end else { return nil }
        let tag = try varint(bytes)
        let number = tag >> 3
        guard number != 0 else { throw malformed("a field has the number 0") }
        switch tag & 7 {
        case 0: return Field(number: number, value: .number(try varint(bytes)))
        case 1:
            try step(8)
            return Field(number: number, value: .other)
        case 2:
            let length = try varint(bytes)
            let start = position
            try step(length)
            return Field(number: number, value: .bytes(start..<position))
        case 5:
            try step(4)
            return Field(number: number, value: .other)
        default: throw malformed("a field has the wire type \(tag & 7)")
        }
    }

    /// Skips octets that must be there.
    private mutating func step(_ count: UInt64) throws(WireError) {
        guard count <= UInt64(end - position) else { throw malformed("a field is longer than its message") }
        position += Int(count)
    }

    private mutating func varint(_ bytes: Span<UInt8>) throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < end {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7f) << shift
            guard byte & 0x80 != 0 else { return value }
            shift += 7
            guard shift < 64 else { throw malformed("a number has more than 64 bits") }
        }
        throw malformed("the message ends within a number")
    }

    private func malformed(_ reason: String) -> WireError {
        WireError(.malformed, "not protobuf at byte \(position): \(reason)")
    }
}

extension Span<UInt8> {
    /// The text of a field.
    func text(_ range: Range<Int>) throws(WireError) -> String {
        let text = extracting(range).withUnsafeBufferPointer { String(validating: $0, as: UTF8.self) }
        guard let text else { throw WireError(.malformed, "not protobuf at byte \(range.lowerBound): not UTF-8 text") }
        return text
    }
}
