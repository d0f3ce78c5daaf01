import Glibc
import NetworkTypes

/// The message types of rtnetlink (linux/rtnetlink.h).
enum RouteMessage {
    static let newLink: UInt16 = 16  // RTM_NEWLINK
    static let deleteLink: UInt16 = 17  // RTM_DELLINK
    static let getLink: UInt16 = 18  // RTM_GETLINK
    static let newAddress: UInt16 = 20  // RTM_NEWADDR
    static let deleteAddress: UInt16 = 21  // RTM_DELADDR
    static let getAddress: UInt16 = 22  // RTM_GETADDR
    static let newRoute: UInt16 = 24  // RTM_NEWROUTE
    static let deleteRoute: UInt16 = 25  // RTM_DELROUTE
    static let getRoute: UInt16 = 26  // RTM_GETROUTE
    static let newNeighbour: UInt16 = 28  // RTM_NEWNEIGH
    static let deleteNeighbour: UInt16 = 29  // RTM_DELNEIGH
    static let getNeighbour: UInt16 = 30  // RTM_GETNEIGH
    static let newRule: UInt16 = 32  // RTM_NEWRULE
    static let deleteRule: UInt16 = 33  // RTM_DELRULE
    static let getRule: UInt16 = 34  // RTM_GETRULE
    static let newNamespaceNumber: UInt16 = 88  // RTM_NEWNSID
    static let getNamespaceNumber: UInt16 = 90  // RTM_GETNSID
}

/// A group of notifications that a socket can subscribe to (RTNLGRP_* of linux/rtnetlink.h).
public enum RouteGroup: Int32, Sendable {
    case link = 1  // RTNLGRP_LINK
    case neighbour = 3  // RTNLGRP_NEIGH
    case ipv4Address = 5  // RTNLGRP_IPV4_IFADDR
    case ipv4Route = 7  // RTNLGRP_IPV4_ROUTE
    case ipv4Rule = 8  // RTNLGRP_IPV4_RULE
    case ipv6Address = 9  // RTNLGRP_IPV6_IFADDR
    case ipv6Route = 11  // RTNLGRP_IPV6_ROUTE
    case ipv6Rule = 19  // RTNLGRP_IPV6_RULE
}

/// How far away a destination or an address is (RT_SCOPE_*). The kernel knows no scope for IPv6 routes.
public enum RouteScope: Hashable, Sendable, RawRepresentable {
    case universe, site, link, host, nowhere
    case other(UInt8)

    public init(rawValue: UInt8) {
        self =
            switch rawValue {
            case 0: .universe
            case 200: .site
            case 253: .link
            case 254: .host
            case 255: .nowhere
            default: .other(rawValue)
            }
    }

    public var rawValue: UInt8 {
        switch self {
        case .universe: 0  // RT_SCOPE_UNIVERSE
        case .site: 200  // RT_SCOPE_SITE
        case .link: 253  // RT_SCOPE_LINK
        case .host: 254  // RT_SCOPE_HOST
        case .nowhere: 255  // RT_SCOPE_NOWHERE
        case .other(let value): value
        }
    }
}

extension IPFamily {
    /// AF_INET or AF_INET6.
    var socketFamily: UInt8 { UInt8(self == .ipv4 ? AF_INET : AF_INET6) }

    /// `nil` for every other family.
    init?(socketFamily: UInt8) {
        switch Int32(socketFamily) {
        case AF_INET: self = .ipv4
        case AF_INET6: self = .ipv6
        default: return nil
        }
    }

    var unspecified: IPAddress { self == .ipv4 ? .v4(.unspecified) : .v6(.unspecified) }
}
