import NetworkTypes

/// The attributes of a message or of a nested attribute, as the kernel sent them.
///
/// When a type comes more than once, lookups give the last one, as the kernel's own parser does.
public struct Attributes {
    public struct Entry {
        /// The type without its flag bits.
        public let type: UInt16
        public let value: ArraySlice<UInt8>
    }

    public let entries: [Entry]

    /// - Throws: ``MalformedMessage`` when a length points outside of the bytes, or is shorter than its own header.
    public init(parsing bytes: ArraySlice<UInt8>) throws(MalformedMessage) {
        var entries: [Entry] = []
        try ByteReader(bytes).forEachAttribute { type, value in
            entries.append(Entry(type: type, value: value.remaining))
        }
        self.entries = entries
    }

    public subscript(_ type: some NetlinkAttribute) -> ArraySlice<UInt8>? {
        entries.last { $0.type == type.rawValue }?.value
    }

    /// An integer in host byte order; `nil` when the attribute is absent.
    public func integer<Value: FixedWidthInteger>(
        _ type: some NetlinkAttribute,
        as: Value.Type = Value.self
    ) throws(MalformedMessage) -> Value? {
        guard let value = self[type] else { return nil }
        guard value.count == MemoryLayout<Value>.size else {
            throw MalformedMessage(
                "attribute \(type) has \(value.count) bytes instead of \(MemoryLayout<Value>.size)"
            )
        }
        var reader = ByteReader(value)
        return try reader.read(Value.self)
    }

    /// Text up to its NUL.
    public func text(_ type: some NetlinkAttribute) -> String? {
        self[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// An IPv4 or IPv6 address in network byte order.
    public func address(_ type: some NetlinkAttribute) throws(MalformedMessage) -> IPAddress? {
        guard let value = self[type] else { return nil }
        guard let address = IPAddress(bytes: value) else {
            throw MalformedMessage("attribute \(type) is an address of \(value.count) bytes")
        }
        return address
    }

    public func nested(_ type: some NetlinkAttribute) throws(MalformedMessage) -> Attributes? {
        guard let value = self[type] else { return nil }
        return try Attributes(parsing: value)
    }
}
