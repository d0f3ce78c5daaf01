/// One message of a datagram from the kernel: its header (struct nlmsghdr) and what follows it.
public struct Message {
    public let type: UInt16
    public let flags: UInt16
    /// The number of the request that this answers; 0 for a notification.
    public let sequence: UInt32
    /// The socket that this answers; 0 for a notification that no request caused.
    public let portID: UInt32
    public let body: ArraySlice<UInt8>

    static let headerLength = 16

    /// The body as a fixed header of `headerLength` bytes and the attributes behind it.
    public func split(
        headerLength: Int
    ) throws(MalformedMessage) -> (header: ByteReader, attributes: Attributes) {
        var reader = ByteReader(body)
        let header = try reader.read(count: headerLength)
        return (ByteReader(header), try Attributes(parsing: reader.remaining))
    }
}

/// The messages of one datagram, in order.
struct MessageReader {
    private var rest: ArraySlice<UInt8>

    init(_ datagram: ArraySlice<UInt8>) {
        rest = datagram
    }

    /// The next message, or `nil` at the end.
    mutating func next() throws(MalformedMessage) -> Message? {
        guard !rest.isEmpty else { return nil }
        var header = ByteReader(rest)
        let length = Int(try header.read(UInt32.self))
        guard length >= Message.headerLength, length <= rest.count else {
            throw MalformedMessage("a message claims \(length) bytes of \(rest.count)")
        }
        let message = Message(
            type: try header.read(),
            flags: try header.read(),
            sequence: try header.read(),
            portID: try header.read(),
            body: rest[rest.startIndex + Message.headerLength..<rest.startIndex + length]
        )
        rest = rest.dropFirst((length + 3) & ~3)
        return message
    }
}

/// Message types below NLMSG_MIN_TYPE, which every protocol shares.
enum ControlMessage {
    static let noop: UInt16 = 1  // NLMSG_NOOP
    static let error: UInt16 = 2  // NLMSG_ERROR
    static let done: UInt16 = 3  // NLMSG_DONE
    static let overrun: UInt16 = 4  // NLMSG_OVERRUN
}

/// Flags of a message header.
public enum MessageFlags {
    public static let request: UInt16 = 0x1  // NLM_F_REQUEST
    static let acknowledge: UInt16 = 0x4  // NLM_F_ACK
    static let dumpInterrupted: UInt16 = 0x10  // NLM_F_DUMP_INTR
    public static let dump: UInt16 = 0x300  // NLM_F_DUMP
    public static let replace: UInt16 = 0x100  // NLM_F_REPLACE
    public static let exclusive: UInt16 = 0x200  // NLM_F_EXCL
    public static let create: UInt16 = 0x400  // NLM_F_CREATE
    public static let append: UInt16 = 0x800  // NLM_F_APPEND
    static let capped: UInt16 = 0x100  // NLM_F_CAPPED, on an acknowledgement
    static let hasExtendedAcknowledgement: UInt16 = 0x200  // NLM_F_ACK_TLVS, on an acknowledgement
}
