import CNetfilter

/// A netlink attribute that was received. Valid as long as the buffer it points into.
struct Attribute {
    /// Without the flags in the upper two bits.
    let type: UInt16
    let payload: UnsafeRawBufferPointer

    var nested: AttributeSequence { AttributeSequence(payload) }
    /// A number of four bytes in network byte order.
    var integer: UInt32? {
        payload.count == 4 ? UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self)) : nil
    }
    /// A number of eight bytes in network byte order.
    var long: UInt64? {
        payload.count == 8 ? UInt64(bigEndian: payload.loadUnaligned(as: UInt64.self)) : nil
    }
    var string: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }
}

/// The attributes in a piece of memory; ends at the first one that does not fit.
struct AttributeSequence: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes
    }

    mutating func next() -> Attribute? {
        guard rest.count >= 4 else { return nil }
        let length = Int(rest.loadUnaligned(fromByteOffset: 0, as: UInt16.self))
        let type = rest.loadUnaligned(fromByteOffset: 2, as: UInt16.self)
        guard (4...rest.count).contains(length) else { return nil }
        let payload = UnsafeRawBufferPointer(rebasing: rest[4..<length])
        rest = UnsafeRawBufferPointer(rebasing: rest[Swift.min(rest.count, (length + 3) & ~3)...])
        return Attribute(type: type & 0x3fff, payload: payload)
    }
}

/// A netlink message that was received. Valid as long as the buffer it points into.
struct Message {
    let bytes: UnsafeRawBufferPointer
    let type: UInt16
    let flags: UInt16
    let sequence: UInt32
    let portID: UInt32

    /// What follows the netlink header.
    var payload: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[16...]) }
    /// What follows the netfilter header of four bytes.
    var attributes: AttributeSequence {
        bytes.count >= 20
            ? AttributeSequence(UnsafeRawBufferPointer(rebasing: bytes[20...])) : AttributeSequence(payload)
    }
    /// The family of the object (nfgenmsg).
    var family: Family? { bytes.count >= 20 ? Family(rawValue: bytes[16]) : nil }
    /// Which nf_tables message this is, or `nil` if it belongs to another subsystem.
    var tableMessage: nf_tables_msg_types? {
        type >> 8 == UInt16(NFNL_SUBSYS_NFTABLES) ? nf_tables_msg_types(rawValue: UInt32(type & 0xff)) : nil
    }
    /// For libnftnl, which parses messages from their header on.
    func withHeader<Result>(_ body: (UnsafePointer<nlmsghdr>) -> Result) -> Result? {
        bytes.baseAddress.map { body($0.assumingMemoryBound(to: nlmsghdr.self)) }
    }
}

/// The messages in a piece of memory; ends at the first one that does not fit.
struct MessageSequence: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes
    }

    mutating func next() -> Message? {
        guard rest.count >= 16 else { return nil }
        let length = Int(rest.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
        guard (16...rest.count).contains(length) else { return nil }
        let message = Message(
            bytes: UnsafeRawBufferPointer(rebasing: rest[..<length]),
            type: rest.loadUnaligned(fromByteOffset: 4, as: UInt16.self),
            flags: rest.loadUnaligned(fromByteOffset: 6, as: UInt16.self),
            sequence: rest.loadUnaligned(fromByteOffset: 8, as: UInt32.self),
            portID: rest.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
        )
        rest = UnsafeRawBufferPointer(rebasing: rest[Swift.min(rest.count, (length + 3) & ~3)...])
        return message
    }
}
