import NetworkTypes

/// Writes the body of a netlink message: a fixed header and the attributes behind it.
///
/// Integers are written in host byte order unless a call says otherwise, and every attribute is padded to four
/// bytes, as `linux/netlink.h` asks. What cannot be encoded (an attribute beyond 64 KiB, text with a NUL in it) is
/// remembered in ``problem`` and refused when the request is sent; building never traps.
public struct MessageBuilder: Sendable {
    public private(set) var bytes: [UInt8] = []
    /// Why the message must not be sent, or `nil`.
    public private(set) var problem: String?

    public init() {
        bytes.reserveCapacity(128)
    }

    /// Appends an integer in host byte order.
    public mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    public mutating func append(bytes more: some Sequence<UInt8>) {
        bytes.append(contentsOf: more)
    }

    /// Fills up to a multiple of four bytes (NLMSG_ALIGN).
    public mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    /// An attribute that holds an integer in host byte order.
    public mutating func attribute<Value: FixedWidthInteger>(_ type: some NetlinkAttribute, _ value: Value) {
        attribute(type.rawValue) { $0.append(value) }
    }

    /// An attribute that holds text, with the NUL at its end that the kernel expects.
    public mutating func attribute(_ type: some NetlinkAttribute, _ text: String) {
        if text.utf8.contains(0) { problem = "the text \(text.debugDescription) contains a NUL" }
        attribute(type.rawValue) {
            $0.append(bytes: text.utf8)
            $0.append(UInt8(0))
        }
    }

    public mutating func attribute(_ type: some NetlinkAttribute, bytes value: some Sequence<UInt8>) {
        attribute(type.rawValue) { $0.append(bytes: value) }
    }

    /// An attribute that holds an address in network byte order.
    public mutating func attribute(_ type: some NetlinkAttribute, _ address: IPAddress) {
        attribute(type, bytes: address.bytes)
    }

    /// An attribute that holds further attributes, and is marked as such (NLA_F_NESTED).
    public mutating func nested(_ type: some NetlinkAttribute, _ content: (inout MessageBuilder) -> Void) {
        attribute(type.rawValue | AttributeFlag.nested, content)
    }

    /// An attribute whose content is written by `content`; the length is filled in afterwards.
    public mutating func attribute(_ type: UInt16, _ content: (inout MessageBuilder) -> Void) {
        let start = bytes.count
        append(UInt16(0))
        append(type)
        content(&self)
        let length = bytes.count - start
        if let length = UInt16(exactly: length) {
            withUnsafeBytes(of: length) { bytes.replaceSubrange(start..<start + 2, with: $0) }
        } else {
            problem = "an attribute of \(length) bytes does not fit into a netlink message"
        }
        pad()
    }
}

enum AttributeFlag {
    static let nested: UInt16 = 1 << 15  // NLA_F_NESTED
    static let networkByteOrder: UInt16 = 1 << 14  // NLA_F_NET_BYTEORDER
}
