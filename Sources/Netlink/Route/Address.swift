import Glibc
import NetworkTypes

/// An address of an interface (RTM_NEWADDR).
public struct InterfaceAddress: Hashable, Sendable {
    /// IFA_F_* bits.
    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt32

        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Usable at once, without asking first whether someone else has it (IPv6).
        public static let noDuplicateDetection = Flags(rawValue: 0x02)  // IFA_F_NODAD
        /// Duplicate detection found another owner.
        public static let duplicate = Flags(rawValue: 0x08)  // IFA_F_DADFAILED
        /// Duplicate detection still runs; the address cannot be used yet.
        public static let tentative = Flags(rawValue: 0x40)  // IFA_F_TENTATIVE
        public static let permanent = Flags(rawValue: 0x80)  // IFA_F_PERMANENT
        /// No route to the prefix comes with the address.
        public static let noPrefixRoute = Flags(rawValue: 0x200)  // IFA_F_NOPREFIXROUTE
    }

    /// The address with the length of its prefix.
    public let prefix: CIDR
    public let interface: InterfaceIndex
    public let scope: RouteScope
    public let flags: Flags
    /// Who put it there (IFA_PROTO, Linux 5.18); 0 when nobody has said.
    public let origin: UInt8

    public var address: IPAddress { prefix.address }

    public init(
        _ prefix: CIDR,
        on interface: InterfaceIndex,
        scope: RouteScope = .universe,
        flags: Flags = [],
        origin: UInt8 = 0
    ) {
        self.origin = origin
        self.prefix = prefix
        self.interface = interface
        self.scope = scope
        self.flags = flags
    }

    /// Reads an address; `nil` when the message is something else.
    public init?(_ message: Message) throws(MalformedMessage) {
        guard message.type == RouteMessage.newAddress || message.type == RouteMessage.deleteAddress else { return nil }
        var (header, attributes) = try message.split(headerLength: AddressHeader.length)
        guard IPFamily(socketFamily: try header.read()) != nil else { return nil }
        let length = Int(try header.read(UInt8.self))
        let shortFlags = try header.read(UInt8.self)
        scope = RouteScope(rawValue: try header.read())
        interface = try header.read()
        flags = Flags(rawValue: try attributes.integer(AddressAttribute.flags) ?? UInt32(shortFlags))
        origin = try attributes.integer(AddressAttribute.origin) ?? 0
        // On a point-to-point interface IFA_ADDRESS is the other side; IFA_LOCAL is absent for IPv6 elsewhere.
        let local = try attributes.address(AddressAttribute.local)
        let other = try attributes.address(AddressAttribute.address)
        guard let address = local ?? other,
            let prefix = CIDR(address, prefixLength: length)
        else { throw MalformedMessage("an address message without a valid address") }
        self.prefix = prefix
    }
}

/// What `struct ifaddrmsg` holds.
enum AddressHeader {
    static let length = 8

    static func append(
        to builder: inout MessageBuilder,
        family: UInt8,
        prefixLength: Int = 0,
        scope: RouteScope = .universe,
        interface: InterfaceIndex = 0
    ) {
        builder.append(family)
        builder.append(UInt8(clamping: prefixLength))
        builder.append(UInt8(0))  // flags go into an attribute, which has room for all of them
        builder.append(scope.rawValue)
        builder.append(interface)
    }
}

enum AddressAttribute: UInt16, NetlinkAttribute {
    case address = 1  // IFA_ADDRESS
    case local = 2  // IFA_LOCAL
    case label = 3  // IFA_LABEL
    case broadcast = 4  // IFA_BROADCAST
    case flags = 8  // IFA_FLAGS
    case targetNamespace = 10  // IFA_TARGET_NETNSID
    case origin = 11  // IFA_PROTO
}

extension NetlinkRequest {
    private static func address(
        _ type: UInt16,
        flags: UInt16,
        _ address: InterfaceAddress,
        verb: StaticString
    ) -> NetlinkRequest {
        NetlinkRequest(
            type: type,
            flags: flags,
            headerLength: AddressHeader.length,
            attributes: AddressAttribute.self,
            summary: "\(verb) address \(address.prefix) on interface \(address.interface)"
        ) { builder in
            AddressHeader.append(
                to: &builder,
                family: address.prefix.family.socketFamily,
                prefixLength: address.prefix.prefixLength,
                scope: address.scope,
                interface: address.interface
            )
            builder.attribute(AddressAttribute.local, address.address)
            builder.attribute(AddressAttribute.address, address.address)
            if !address.flags.isEmpty { builder.attribute(AddressAttribute.flags, address.flags.rawValue) }
            if address.origin != 0 { builder.attribute(AddressAttribute.origin, address.origin) }
        }
    }

    /// Gives an interface an address; refused with EEXIST when it has that one already.
    public static func addAddress(_ address: InterfaceAddress) -> NetlinkRequest {
        self.address(
            RouteMessage.newAddress,
            flags: MessageFlags.create | MessageFlags.exclusive,
            address,
            verb: "add"
        )
    }

    /// Gives an interface an address, or changes the flags of one that it has.
    public static func replaceAddress(_ address: InterfaceAddress) -> NetlinkRequest {
        self.address(
            RouteMessage.newAddress,
            flags: MessageFlags.create | MessageFlags.replace,
            address,
            verb: "set"
        )
    }

    /// Takes an address away; refused with EADDRNOTAVAIL when the interface does not have it.
    public static func deleteAddress(_ address: InterfaceAddress) -> NetlinkRequest {
        self.address(RouteMessage.deleteAddress, flags: 0, address, verb: "delete")
    }
}

extension NetlinkQuery<InterfaceAddress> {
    /// The addresses of a family (both, when `nil`), on one interface or on all.
    ///
    /// - Parameter namespace: The number that the socket's namespace has for another one (``Link/peerNamespace``),
    ///   to list the addresses there instead.
    public static func addresses(
        family: IPFamily? = nil,
        on interface: InterfaceIndex? = nil,
        inNamespace namespace: Int32? = nil
    ) -> NetlinkQuery {
        NetlinkQuery(
            NetlinkRequest(
                type: RouteMessage.getAddress,
                flags: MessageFlags.dump,
                headerLength: AddressHeader.length,
                attributes: AddressAttribute.self,
                summary: "list addresses" + (interface.map { " on interface \($0)" } ?? "")
            ) { builder in
                AddressHeader.append(
                    to: &builder,
                    family: family?.socketFamily ?? 0,
                    interface: interface ?? 0
                )
                if let namespace { builder.attribute(AddressAttribute.targetNamespace, namespace) }
            }
        ) { message throws(MalformedMessage) in
            guard let address = try InterfaceAddress(message),
                family == nil || address.prefix.family == family,
                interface == nil || address.interface == interface
            else { return nil }
            return address
        }
    }
}
