/// Bytes from the kernel that are not what the protocol says they are.
public struct MalformedMessage: Error, Hashable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Reads integers from the front of a message; running out of bytes is an error, never a trap.
public struct ByteReader {
    public private(set) var remaining: ArraySlice<UInt8>

    public init(_ bytes: ArraySlice<UInt8>) {
        remaining = bytes
    }

    /// The next integer in host byte order.
    public mutating func read<Value: FixedWidthInteger>(
        _ type: Value.Type = Value.self
    ) throws(MalformedMessage) -> Value {
        let bytes = try read(count: MemoryLayout<Value>.size)
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: Value.self) }
    }

    public mutating func read(count: Int) throws(MalformedMessage) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining.count else {
            throw MalformedMessage("\(count) bytes expected, \(remaining.count) left")
        }
        defer { remaining = remaining.dropFirst(count) }
        return remaining.prefix(count)
    }

    public mutating func skip(_ count: Int) throws(MalformedMessage) {
        _ = try read(count: count)
    }

    /// Calls `body` with the type (without its flag bits) and the value of each attribute that follows, as
    /// ``Attributes`` has them, but keeps none.
    func forEachAttribute(
        _ body: (_ type: UInt16, _ value: ByteReader) throws(MalformedMessage) -> Void
    ) throws(MalformedMessage) {
        var rest = remaining
        // Fewer bytes than a header are padding: the kernel ignores them too.
        while rest.count >= 4 {
            var header = ByteReader(rest.prefix(4))
            let length = Int(try header.read(UInt16.self))
            let type = try header.read(UInt16.self)
            guard length >= 4, length <= rest.count else {
                throw MalformedMessage("an attribute claims \(length) bytes of \(rest.count)")
            }
            let value = rest[rest.startIndex + 4..<rest.startIndex + length]
            try body(type & ~(AttributeFlag.nested | AttributeFlag.networkByteOrder), ByteReader(value))
            rest = rest.dropFirst((length + 3) & ~3)
        }
    }
}
