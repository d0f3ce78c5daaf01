import NetworkTypes

/// A route (RTM_NEWROUTE).
///
/// What a route is for the kernel is told apart by table, destination, metric, and for IPv6 also by next hop.
public struct Route: Hashable, Sendable {
    /// Where matching packets go.
    public enum NextHop: Hashable, Sendable {
        /// To the neighbour with the packet's destination, on that interface.
        case interface(InterfaceIndex)
        /// To a router. On an interface without a prefix that holds the router, `isOnLink` makes the kernel believe that
        /// it is a neighbour there (RTNH_F_ONLINK).
        case gateway(IPAddress, on: InterfaceIndex?, isOnLink: Bool = false)
        /// Nowhere: dropped in silence (RTN_BLACKHOLE).
        case blackhole
        /// Nowhere, with an ICMP error (RTN_UNREACHABLE).
        case unreachable
        /// To several next hops, of which ``Route`` gives no details.
        case several

        public var interface: InterfaceIndex? {
            switch self {
            case .interface(let interface): interface
            case .gateway(_, let interface, _): interface
            case .blackhole, .unreachable, .several: nil
            }
        }
    }

    /// Who made a route (RTPROT_*).
    public struct Origin: Hashable, Sendable, RawRepresentable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        public static let unspecified = Origin(rawValue: 0)  // RTPROT_UNSPEC
        public static let kernel = Origin(rawValue: 2)  // RTPROT_KERNEL
        public static let boot = Origin(rawValue: 3)  // RTPROT_BOOT
        public static let `static` = Origin(rawValue: 4)  // RTPROT_STATIC
    }

    /// A routing table (RT_TABLE_*, or any other number).
    public struct Table: Hashable, Sendable, RawRepresentable {
        public let rawValue: UInt32

        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        public static let main = Table(rawValue: 254)  // RT_TABLE_MAIN
        public static let local = Table(rawValue: 255)  // RT_TABLE_LOCAL
    }

    /// Without host bits.
    public let destination: CIDR
    public let nextHop: NextHop
    public let scope: RouteScope
    public let origin: Origin
    public let table: Table
    /// Lower is preferred; `nil` for the kernel's default, 0 for IPv4 and 1024 for IPv6.
    public let metric: UInt32?
    /// The largest packet for this destination; `nil` for the interface's.
    public let mtu: Int?
    /// The source address of packets that this host sends.
    public let preferredSource: IPAddress?

    public init(
        to destination: CIDR,
        via nextHop: NextHop,
        scope: RouteScope = .universe,
        origin: Origin = .boot,
        table: Table = .main,
        metric: UInt32? = nil,
        mtu: Int? = nil,
        preferredSource: IPAddress? = nil
    ) {
        self.destination = destination.masked
        self.nextHop = nextHop
        self.scope = scope
        self.origin = origin
        self.table = table
        self.metric = metric
        self.mtu = mtu
        self.preferredSource = preferredSource
    }

    /// Reads a route; `nil` when the message is something else: no route, one that only exists in a cache, or one of
    /// a type that cannot be asked for (local, broadcast, multicast …).
    public init?(_ message: Message) throws(MalformedMessage) {
        guard message.type == RouteMessage.newRoute || message.type == RouteMessage.deleteRoute else { return nil }
        var (header, attributes) = try message.split(headerLength: RouteHeader.length)
        guard let family = IPFamily(socketFamily: try header.read()) else { return nil }
        let length = Int(try header.read(UInt8.self))
        try header.skip(2)  // rtm_src_len, rtm_tos
        let shortTable = UInt32(try header.read(UInt8.self))
        origin = Origin(rawValue: try header.read())
        scope = RouteScope(rawValue: try header.read())
        let type = try header.read(UInt8.self)
        let flags = try header.read(UInt32.self)
        guard flags & RouteHeader.clonedFlag == 0 else { return nil }

        let address = try attributes.address(RouteAttribute.destination) ?? family.unspecified
        guard let destination = CIDR(address, prefixLength: length), address.family == family else {
            throw MalformedMessage("a route to \(address)/\(length)")
        }
        self.destination = destination
        table = Table(rawValue: try attributes.integer(RouteAttribute.table) ?? shortTable)
        metric = try attributes.integer(RouteAttribute.priority)
        preferredSource = try attributes.address(RouteAttribute.preferredSource)
        mtu = try attributes.nested(RouteAttribute.metrics)?
            .integer(RouteMetric.mtu, as: UInt32.self).map { Int($0) }

        let interface = try attributes.integer(RouteAttribute.interface, as: InterfaceIndex.self)
        switch type {
        case RouteHeader.unicast:
            if let gateway = try Self.gateway(in: attributes) {
                nextHop = .gateway(gateway, on: interface, isOnLink: flags & RouteHeader.onLinkFlag != 0)
            } else if let interface {
                nextHop = .interface(interface)
            } else {
                nextHop = .several
            }
        case RouteHeader.blackhole: nextHop = .blackhole
        case RouteHeader.unreachable: nextHop = .unreachable
        default: return nil
        }
    }

    /// The router: in RTA_GATEWAY, or in RTA_VIA when it has another family than the destination.
    private static func gateway(in attributes: Attributes) throws(MalformedMessage) -> IPAddress? {
        if let gateway = try attributes.address(RouteAttribute.gateway) { return gateway }
        guard let via = attributes[RouteAttribute.via] else { return nil }
        guard let address = IPAddress(bytes: via.dropFirst(2)) else {
            throw MalformedMessage("a gateway of \(via.count) bytes")
        }
        return address
    }
}

extension Route: CustomStringConvertible {
    /// As `ip route` writes it, with the interface's index: `10.80.0.1/32 dev 7 scope link`.
    public var description: String {
        var text = "\(destination)"
        switch nextHop {
        case .interface(let interface): text += " dev \(interface)"
        case .gateway(let gateway, let interface, let isOnLink):
            text += " via \(gateway)"
            if let interface { text += " dev \(interface)" }
            if isOnLink { text += " onlink" }
        case .blackhole: text = "blackhole " + text
        case .unreachable: text = "unreachable " + text
        case .several: text += " via several next hops"
        }
        if scope == .link, destination.family == .ipv4 { text += " scope link" }
        if table != .main { text += " table \(table.rawValue)" }
        if let metric { text += " metric \(metric)" }
        if let mtu { text += " mtu \(mtu)" }
        return text
    }
}

/// What `struct rtmsg` holds.
enum RouteHeader {
    static let length = 12
    static let unicast: UInt8 = 1  // RTN_UNICAST
    static let blackhole: UInt8 = 6  // RTN_BLACKHOLE
    static let unreachable: UInt8 = 7  // RTN_UNREACHABLE
    static let onLinkFlag: UInt32 = 4  // RTNH_F_ONLINK
    static let clonedFlag: UInt32 = 0x200  // RTM_F_CLONED
    static let matchFlag: UInt32 = 0x2000  // RTM_F_FIB_MATCH

    static func append(
        to builder: inout MessageBuilder,
        family: UInt8,
        prefixLength: Int = 0,
        table: UInt32 = 0,
        origin: UInt8 = 0,
        scope: UInt8 = 0,
        type: UInt8 = 0,
        flags: UInt32 = 0
    ) {
        builder.append(family)
        builder.append(UInt8(clamping: prefixLength))
        builder.append(UInt16(0))  // no source prefix, no type of service
        builder.append(UInt8(exactly: table) ?? 0)  // larger numbers go into RTA_TABLE
        builder.append(origin)
        builder.append(scope)
        builder.append(type)
        builder.append(flags)
    }
}

enum RouteAttribute: UInt16, NetlinkAttribute {
    case destination = 1  // RTA_DST
    case source = 2  // RTA_SRC
    case incomingInterface = 3  // RTA_IIF
    case interface = 4  // RTA_OIF
    case gateway = 5  // RTA_GATEWAY
    case priority = 6  // RTA_PRIORITY
    case preferredSource = 7  // RTA_PREFSRC
    case metrics = 8  // RTA_METRICS
    case multipath = 9  // RTA_MULTIPATH
    case table = 15  // RTA_TABLE
    case via = 18  // RTA_VIA
}

enum RouteMetric: UInt16, NetlinkAttribute {
    case mtu = 2  // RTAX_MTU
}
