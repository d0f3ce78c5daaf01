import NetworkTypes

/// An entry of the neighbour table: the hardware address behind an IP address (RTM_NEWNEIGH), or an address that this
/// host answers for (a proxy entry).
public struct Neighbour: Hashable, Sendable {
    /// NUD_* bits.
    public struct State: OptionSet, Hashable, Sendable {
        public let rawValue: UInt16

        public init(rawValue: UInt16) {
            self.rawValue = rawValue
        }

        public static let reachable = State(rawValue: 0x02)  // NUD_REACHABLE
        public static let stale = State(rawValue: 0x04)  // NUD_STALE
        public static let failed = State(rawValue: 0x20)  // NUD_FAILED
        /// Needs no resolution on this interface.
        public static let noARP = State(rawValue: 0x40)  // NUD_NOARP
        /// Never asked for and never forgotten, as long as the interface is up.
        public static let permanent = State(rawValue: 0x80)  // NUD_PERMANENT
    }

    public let address: IPAddress
    public let mac: MACAddress?
    public let interface: InterfaceIndex
    public let state: State
    public let isProxy: Bool

    private init(address: IPAddress, mac: MACAddress?, interface: InterfaceIndex, state: State, isProxy: Bool) {
        self.address = address
        self.mac = mac
        self.interface = interface
        self.state = state
        self.isProxy = isProxy
    }

    /// A permanent entry.
    public static func permanent(_ address: IPAddress, at mac: MACAddress, on interface: InterfaceIndex) -> Neighbour {
        Neighbour(address: address, mac: mac, interface: interface, state: .permanent, isProxy: false)
    }

    /// An address for which the host answers on this interface.
    public static func proxy(_ address: IPAddress, on interface: InterfaceIndex) -> Neighbour {
        Neighbour(address: address, mac: nil, interface: interface, state: [], isProxy: true)
    }

    /// Reads an entry; `nil` when the message is something else, as a bridge's forwarding entry.
    public init?(_ message: Message) throws(MalformedMessage) {
        guard message.type == RouteMessage.newNeighbour || message.type == RouteMessage.deleteNeighbour else {
            return nil
        }
        var (header, attributes) = try message.split(headerLength: NeighbourHeader.length)
        guard IPFamily(socketFamily: try header.read()) != nil else { return nil }
        try header.skip(3)
        interface = try header.read()
        state = State(rawValue: try header.read())
        isProxy = try header.read(UInt8.self) & NeighbourHeader.proxyFlag != 0
        guard let address = try attributes.address(NeighbourAttribute.destination) else {
            throw MalformedMessage("a neighbour without an address")
        }
        self.address = address
        mac = attributes[NeighbourAttribute.linkLayerAddress].flatMap { MACAddress(bytes: $0) }
    }
}

/// What `struct ndmsg` holds.
enum NeighbourHeader {
    static let length = 12
    static let proxyFlag: UInt8 = 1 << 3  // NTF_PROXY

    static func append(
        to builder: inout MessageBuilder,
        family: UInt8,
        interface: InterfaceIndex = 0,
        state: Neighbour.State = [],
        isProxy: Bool = false
    ) {
        builder.append(family)
        builder.append(bytes: [0, 0, 0])
        builder.append(interface)
        builder.append(state.rawValue)
        builder.append(isProxy ? proxyFlag : 0)
        builder.append(UInt8(0))
    }
}

enum NeighbourAttribute: UInt16, NetlinkAttribute {
    case destination = 1  // NDA_DST
    case linkLayerAddress = 2  // NDA_LLADDR
    case interface = 8  // NDA_IFINDEX
}

extension NetlinkRequest {
    private static func neighbour(
        _ type: UInt16,
        flags: UInt16,
        _ neighbour: Neighbour,
        verb: StaticString
    ) -> NetlinkRequest {
        NetlinkRequest(
            type: type,
            flags: flags,
            headerLength: NeighbourHeader.length,
            attributes: NeighbourAttribute.self,
            summary: "\(verb) neighbour \(neighbour.address) on interface \(neighbour.interface)"
        ) { builder in
            NeighbourHeader.append(
                to: &builder,
                family: neighbour.address.family.socketFamily,
                interface: neighbour.interface,
                state: neighbour.state,
                isProxy: neighbour.isProxy
            )
            builder.attribute(NeighbourAttribute.destination, neighbour.address)
            if let mac = neighbour.mac { builder.attribute(NeighbourAttribute.linkLayerAddress, bytes: mac.bytes) }
        }
    }

    /// Adds an entry, or takes the place of one for the same address and interface.
    public static func setNeighbour(_ neighbour: Neighbour) -> NetlinkRequest {
        self.neighbour(
            RouteMessage.newNeighbour,
            flags: MessageFlags.create | MessageFlags.replace,
            neighbour,
            verb: "set"
        )
    }

    /// Removes an entry; refused with ENOENT when there is none.
    public static func deleteNeighbour(_ neighbour: Neighbour) -> NetlinkRequest {
        self.neighbour(RouteMessage.deleteNeighbour, flags: 0, neighbour, verb: "delete")
    }
}

extension NetlinkQuery<Neighbour> {
    /// The entries of a family (both, when `nil`), on one interface or on all.
    ///
    /// - Parameter proxies: Lists the proxy entries instead of the others; the kernel never gives both.
    public static func neighbours(
        family: IPFamily? = nil,
        on interface: InterfaceIndex? = nil,
        proxies: Bool = false
    ) -> NetlinkQuery {
        NetlinkQuery(
            NetlinkRequest(
                type: RouteMessage.getNeighbour,
                flags: MessageFlags.dump,
                headerLength: NeighbourHeader.length,
                attributes: NeighbourAttribute.self,
                summary: "list neighbours" + (interface.map { " on interface \($0)" } ?? "")
            ) { builder in
                NeighbourHeader.append(to: &builder, family: family?.socketFamily ?? 0, isProxy: proxies)
                if let interface { builder.attribute(NeighbourAttribute.interface, interface) }
            }
        ) { message throws(MalformedMessage) in
            guard let neighbour = try Neighbour(message),
                family == nil || neighbour.address.family == family,
                interface == nil || neighbour.interface == interface,
                neighbour.isProxy == proxies
            else { return nil }
            return neighbour
        }
    }
}
