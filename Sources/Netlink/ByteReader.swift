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
}
