import NetworkTypes

/// One direction of a tracked connection: who sends to whom (CTA_TUPLE_*, linux/netfilter/nfnetlink_conntrack.h).
public struct ConntrackTuple: Hashable, Sendable {
    public let source: IPAddress
    public let destination: IPAddress
    public let sourcePort: UInt16
    public let destinationPort: UInt16
    /// The number of the transport protocol, as in an IP header.
    public let transport: UInt8
    /// The conntrack zone of this direction alone, when it has one of its own.
    public let zone: UInt16?

    public init(
        from source: IPAddress,
        _ sourcePort: UInt16,
        to destination: IPAddress,
        _ destinationPort: UInt16,
        transport: UInt8,
        zone: UInt16? = nil
    ) {
        self.source = source
        self.destination = destination
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.transport = transport
        self.zone = zone
    }
}

/// A connection that the kernel tracks.
public struct ConntrackEntry: Hashable, Sendable {
    /// As the first packet came in, before any translation.
    public let original: ConntrackTuple
    /// What answers look like when they come in: their source is where the first packet was sent to in the end.
    public let reply: ConntrackTuple
    /// The zone of both directions; 0 unless somebody set another.
    public let zone: UInt16
    /// What tells the entry from a later one with the same tuples; `nil` when unknown.
    public let id: UInt32?

    public init(original: ConntrackTuple, reply: ConntrackTuple, zone: UInt16 = 0, id: UInt32? = nil) {
        self.original = original
        self.reply = reply
        self.zone = zone
        self.id = id
    }

    /// Whether packets reach another destination than they were sent to.
    public var isTranslated: Bool {
        reply.source != original.destination || reply.sourcePort != original.destinationPort
    }
}

extension ConntrackEntry {
    /// Reads an entry; `nil` when the message is something else, or a connection without ports.
    public init?(_ message: Message) throws(MalformedMessage) {
        guard message.type == ConntrackMessage.new else { return nil }
        var reader = ByteReader(message.body)
        try reader.skip(ConntrackMessage.headerLength)
        var (original, reply): (ConntrackTuple?, ConntrackTuple?)
        var zone: UInt16 = 0
        var id: UInt32?
        // A table has as many entries as a busy node has connections: nothing is allocated for one here.
        try reader.forEachAttribute { type, value throws(MalformedMessage) in
            switch ConntrackAttribute(rawValue: type) {
            case .original: original = try ConntrackTuple(attributes: value)
            case .reply: reply = try ConntrackTuple(attributes: value)
            case .zone: zone = try UInt16(networkOrder: value)
            case .id: id = try UInt32(networkOrder: value)
            default: break
            }
        }
        guard let original, let reply else { return nil }
        self.init(original: original, reply: reply, zone: zone, id: id)
    }
}

extension ConntrackTuple {
    /// `nil` when addresses, protocol or ports are missing.
    fileprivate init?(attributes: ByteReader) throws(MalformedMessage) {
        var (source, destination): (IPAddress?, IPAddress?)
        var (sourcePort, destinationPort): (UInt16?, UInt16?)
        var transport: UInt8?
        var zone: UInt16?
        try attributes.forEachAttribute { type, value throws(MalformedMessage) in
            switch ConntrackTupleAttribute(rawValue: type) {
            case .addresses:
                try value.forEachAttribute { type, value throws(MalformedMessage) in
                    switch ConntrackAddressAttribute(rawValue: type) {
                    case .sourceIPv4, .sourceIPv6: source = IPAddress(bytes: value.remaining)
                    case .destinationIPv4, .destinationIPv6: destination = IPAddress(bytes: value.remaining)
                    case nil: break
                    }
                }
            case .transport:
                try value.forEachAttribute { type, value throws(MalformedMessage) in
                    switch ConntrackTransportAttribute(rawValue: type) {
                    case .number: transport = try UInt8(networkOrder: value)
                    case .sourcePort: sourcePort = try UInt16(networkOrder: value)
                    case .destinationPort: destinationPort = try UInt16(networkOrder: value)
                    case nil: break
                    }
                }
            case .zone: zone = try UInt16(networkOrder: value)
            case nil: break
            }
        }
        guard let source, let destination, source.family == destination.family, let transport, let sourcePort,
            let destinationPort
        else { return nil }
        self.init(from: source, sourcePort, to: destination, destinationPort, transport: transport, zone: zone)
    }
}

extension FixedWidthInteger {
    /// The content of an attribute that holds one integer in network byte order.
    fileprivate init(networkOrder value: ByteReader) throws(MalformedMessage) {
        var value = value
        self = Self(bigEndian: try value.read())
    }
}

extension ConntrackTuple: CustomStringConvertible {
    /// `10.0.0.1:40000 -> 10.96.0.10:53`
    public var description: String {
        "\(Self.text(source, sourcePort)) -> \(Self.text(destination, destinationPort))"
    }

    private static func text(_ address: IPAddress, _ port: UInt16) -> String {
        address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}
