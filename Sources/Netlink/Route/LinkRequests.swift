import Glibc
import NetworkTypes

/// How a request names an interface.
public enum LinkSelector: Hashable, Sendable, CustomStringConvertible {
    case index(InterfaceIndex)
    case name(String)

    public var description: String {
        switch self {
        case .index(let index): "\(index)"
        case .name(let name): name
        }
    }

    var index: InterfaceIndex { if case .index(let index) = self { index } else { 0 } }
    var name: String? { if case .name(let name) = self { name } else { nil } }
}

/// One end of a veth pair that is to be made.
public struct VethEnd: Hashable, Sendable {
    public let name: String
    /// `nil` lets the kernel choose a random one.
    public let mac: MACAddress?
    /// In bytes; `nil` for the kernel's default, 1500.
    public let mtu: Int?
    /// The number of transmit and of receive queues.
    public let queues: Int

    public init(name: String, mac: MACAddress? = nil, mtu: Int? = nil, queues: Int = 1) {
        self.name = name
        self.mac = mac
        self.mtu = mtu
        self.queues = queues
    }

    fileprivate func append(to builder: inout MessageBuilder) {
        builder.attribute(LinkAttribute.name, name)
        if let mac { builder.attribute(LinkAttribute.address, bytes: mac.bytes) }
        if let mtu { builder.attribute(LinkAttribute.mtu, UInt32(clamping: mtu)) }
        builder.attribute(LinkAttribute.transmitQueues, UInt32(clamping: queues))
        builder.attribute(LinkAttribute.receiveQueues, UInt32(clamping: queues))
    }
}

extension NetlinkRequest {
    private static func link(
        _ type: UInt16,
        flags: UInt16 = 0,
        retaining namespace: NetworkNamespace? = nil,
        summary: @autoclosure @escaping @Sendable () -> String,
        build: (inout MessageBuilder) -> Void
    ) -> NetlinkRequest {
        NetlinkRequest(
            type: type,
            flags: flags,
            headerLength: LinkHeader.length,
            attributes: LinkAttribute.self,
            retaining: namespace,
            summary: summary(),
            build: build
        )
    }

    /// Makes a veth pair. The peer appears directly in `namespace` (it never exists anywhere else); both ends are down.
    ///
    /// The kernel refuses with EEXIST when either name is taken in its namespace, and then makes neither end.
    /// - Parameter namespace: Where the peer appears; `nil` puts it beside the first end.
    public static func addVeth(
        _ end: VethEnd,
        peer: VethEnd,
        in namespace: NetworkNamespace? = nil
    ) -> NetlinkRequest {
        let descriptor = namespace?.descriptor
        return link(
            RouteMessage.newLink,
            flags: MessageFlags.create | MessageFlags.exclusive,
            retaining: namespace,
            summary: "add veth \(end.name) with peer \(peer.name)"
        ) { builder in
            LinkHeader.append(to: &builder)
            end.append(to: &builder)
            builder.nested(LinkAttribute.information) { information in
                information.attribute(LinkInformation.kind, "veth")
                information.nested(LinkInformation.data) { data in
                    data.attribute(VethAttribute.peer.rawValue) { content in
                        LinkHeader.append(to: &content)
                        peer.append(to: &content)
                        if let descriptor { content.attribute(LinkAttribute.namespace, descriptor) }
                    }
                }
            }
        }
    }

    /// Makes an interface of a kind that needs no parameters, as `bridge` or `dummy`.
    public static func addLink(name: String, kind: String, mac: MACAddress? = nil, mtu: Int? = nil) -> NetlinkRequest {
        link(
            RouteMessage.newLink,
            flags: MessageFlags.create | MessageFlags.exclusive,
            summary: "add \(kind) \(name)"
        ) { builder in
            LinkHeader.append(to: &builder)
            builder.attribute(LinkAttribute.name, name)
            if let mac { builder.attribute(LinkAttribute.address, bytes: mac.bytes) }
            if let mtu { builder.attribute(LinkAttribute.mtu, UInt32(clamping: mtu)) }
            builder.nested(LinkAttribute.information) { $0.attribute(LinkInformation.kind, kind) }
        }
    }

    /// Changes an interface; what is `nil` stays as it is.
    ///
    /// - Parameters:
    ///   - alias: Free text of at most 255 bytes; empty to have none.
    ///   - master: The bridge to become a port of; 0 to be none any more.
    public static func setLink(
        _ link: LinkSelector,
        up: Bool? = nil,
        mac: MACAddress? = nil,
        mtu: Int? = nil,
        alias: String? = nil,
        master: InterfaceIndex? = nil
    ) -> NetlinkRequest {
        // RTM_NEWLINK without NLM_F_CREATE is what RTM_SETLINK is, and finds interfaces by name on every kernel.
        self.link(RouteMessage.newLink, summary: "set link \(link)") { builder in
            let flag = UInt32(IFF_UP)
            LinkHeader.append(
                to: &builder,
                index: link.index,
                flags: up == true ? flag : 0,
                mask: up == nil ? 0 : flag
            )
            if let name = link.name { builder.attribute(LinkAttribute.name, name) }
            if let mac { builder.attribute(LinkAttribute.address, bytes: mac.bytes) }
            if let mtu { builder.attribute(LinkAttribute.mtu, UInt32(clamping: mtu)) }
            if let alias { builder.attribute(LinkAttribute.alias, bytes: alias.utf8) }
            if let master { builder.attribute(LinkAttribute.master, master) }
        }
    }

    /// Removes an interface, for a veth both ends; refused with ENODEV when there is none.
    public static func deleteLink(_ link: LinkSelector) -> NetlinkRequest {
        self.link(RouteMessage.deleteLink, summary: "delete link \(link)") { builder in
            LinkHeader.append(to: &builder, index: link.index)
            if let name = link.name { builder.attribute(LinkAttribute.name, name) }
        }
    }

    /// Asks for one interface. ``Link/init(_:)`` reads the answer; refused with ENODEV when there is none.
    fileprivate static func getLink(_ link: LinkSelector) -> NetlinkRequest {
        self.link(RouteMessage.getLink, summary: "get link \(link)") { builder in
            LinkHeader.append(to: &builder, index: link.index)
            if let name = link.name { builder.attribute(LinkAttribute.name, name) }
        }
    }

    fileprivate static func listLinks(master: InterfaceIndex?) -> NetlinkRequest {
        self.link(RouteMessage.getLink, flags: MessageFlags.dump, summary: "list links") { builder in
            LinkHeader.append(to: &builder)
            if let master { builder.attribute(LinkAttribute.master, master) }
        }
    }
}

extension NetlinkQuery<Link> {
    /// One interface; refused with ENODEV when there is none.
    public static func link(_ link: LinkSelector) -> NetlinkQuery {
        NetlinkQuery(.getLink(link)) { message throws(MalformedMessage) in try Link(message) }
    }

    /// All interfaces of the namespace, or the ports of one bridge.
    public static func links(master: InterfaceIndex? = nil) -> NetlinkQuery {
        NetlinkQuery(.listLinks(master: master)) { message throws(MalformedMessage) in
            guard let link = try Link(message), master == nil || link.masterIndex == master else { return nil }
            return link
        }
    }
}

extension NetlinkSocket {
    /// An interface, or `nil` when there is none.
    public func linkIfPresent(_ link: LinkSelector) throws(NetlinkError) -> Link? {
        do throws(NetlinkError) {
            return try get(.link(link))
        } catch {
            guard error.isRefusal(ENODEV) else { throw error }
            return nil
        }
    }
}
