import Glibc
import NetworkTypes

/// A network interface, as the kernel describes it (RTM_NEWLINK).
public struct Link: Hashable, Sendable {
    public let index: InterfaceIndex
    public let name: String
    /// `nil` for interfaces without a 48-bit hardware address.
    public let mac: MACAddress?
    public let mtu: Int
    /// IFF_* bits.
    public let flags: UInt32
    /// The driver's name as `veth` or `bridge` (IFLA_INFO_KIND); `nil` for hardware and loopback.
    public let kind: String?
    /// The other end of a veth, or the interface below (IFLA_LINK); counts in the namespace ``peerNamespace``.
    public let peerIndex: InterfaceIndex?
    /// Our namespace's number for the one that ``peerIndex`` counts in; `nil` when it is ours too (IFLA_LINK_NETNSID).
    public let peerNamespace: Int32?
    /// The bridge that this is a port of.
    public let masterIndex: InterfaceIndex?
    /// Free text that an administrator gave it (IFLA_IFALIAS).
    public let alias: String?
    public let transmitQueues: Int?
    public let receiveQueues: Int?

    /// Whether it was set up by an administrator; it may lack a carrier all the same.
    public var isUp: Bool { flags & UInt32(IFF_UP) != 0 }
    /// Whether there is something at the other end; for a veth: whether that is up.
    public var hasCarrier: Bool { flags & Self.lowerUp != 0 }

    private static let lowerUp: UInt32 = 1 << 16  // IFF_LOWER_UP, linux/if.h

    /// Reads a link; `nil` when the message is something else.
    public init?(_ message: Message) throws(MalformedMessage) {
        guard message.type == RouteMessage.newLink || message.type == RouteMessage.deleteLink else { return nil }
        var (header, attributes) = try message.split(headerLength: LinkHeader.length)
        let fixed = try LinkHeader(&header)
        index = fixed.index
        flags = fixed.flags
        name = attributes.text(LinkAttribute.name) ?? ""
        mac = attributes[LinkAttribute.address].flatMap { MACAddress(bytes: $0) }
        mtu = try attributes.integer(LinkAttribute.mtu, as: UInt32.self).map { Int($0) } ?? 0
        let peer = try attributes.integer(LinkAttribute.link, as: InterfaceIndex.self)
        // An interface that has nothing below it may name itself, or 0.
        peerNamespace = try attributes.integer(LinkAttribute.linkNamespace)
        peerIndex = peer == 0 || peer == fixed.index && peerNamespace == nil ? nil : peer
        masterIndex = try attributes.integer(LinkAttribute.master)
        alias = attributes.text(LinkAttribute.alias)
        transmitQueues = try attributes.integer(LinkAttribute.transmitQueues, as: UInt32.self).map { Int($0) }
        receiveQueues = try attributes.integer(LinkAttribute.receiveQueues, as: UInt32.self).map { Int($0) }
        kind = try attributes.nested(LinkAttribute.information)?.text(LinkInformation.kind)
    }
}

/// What `struct ifinfomsg` holds.
struct LinkHeader {
    static let length = 16

    let index: InterfaceIndex
    let flags: UInt32

    init(_ reader: inout ByteReader) throws(MalformedMessage) {
        try reader.skip(4)  // ifi_family, padding, ifi_type
        index = try reader.read()
        flags = try reader.read()
    }

    /// Appends a header that names an interface (0: none), with the flags that `mask` selects.
    static func append(
        to builder: inout MessageBuilder,
        index: InterfaceIndex = 0,
        flags: UInt32 = 0,
        mask: UInt32 = 0
    ) {
        builder.append(UInt32(0))
        builder.append(index)
        builder.append(flags)
        builder.append(mask)
    }
}

enum LinkAttribute: UInt16, NetlinkAttribute {
    case address = 1  // IFLA_ADDRESS
    case broadcast = 2  // IFLA_BROADCAST
    case name = 3  // IFLA_IFNAME
    case mtu = 4  // IFLA_MTU
    case link = 5  // IFLA_LINK
    case master = 10  // IFLA_MASTER
    case information = 18  // IFLA_LINKINFO
    case namespaceOfProcess = 19  // IFLA_NET_NS_PID
    case alias = 20  // IFLA_IFALIAS
    case familySpecific = 26  // IFLA_AF_SPEC
    case group = 27  // IFLA_GROUP
    case namespace = 28  // IFLA_NET_NS_FD
    case transmitQueues = 31  // IFLA_NUM_TX_QUEUES
    case receiveQueues = 32  // IFLA_NUM_RX_QUEUES
    case linkNamespace = 37  // IFLA_LINK_NETNSID
    case targetNamespace = 46  // IFLA_TARGET_NETNSID
}

enum LinkInformation: UInt16, NetlinkAttribute {
    case kind = 1  // IFLA_INFO_KIND
    case data = 2  // IFLA_INFO_DATA
}

enum VethAttribute: UInt16, NetlinkAttribute {
    case peer = 1  // VETH_INFO_PEER
}
