import Netlink
import NetworkTypes

/// The network of one pod, decided: what there is on each side of its veth pair, in the order in which it is put in place.
///
/// A pure function of the request.
public struct PodNetworkPlan: Hashable, Sendable {
    /// A setting under /proc/sys/net (4.4).
    public struct Setting: Hashable, Sendable {
        public let sysctl: Sysctl
        public let value: String
        /// Whether the pod's network cannot do without; a failure of another one is a warning.
        public let isRequired: Bool
    }

    /// A route, to the other end of the veth pair or through a gateway there.
    public struct RouteEntry: Hashable, Sendable {
        public let destination: CIDR
        public let gateway: IPAddress?
        public let mtu: Int?
        /// `nil` for the kernel's default.
        public let priority: UInt32?
        /// Whether the route belongs to a further interface of a pod. It then yields to the same route of the first, and
        /// reaches its gateway without a route to that: the first interface has one, and a table has room for one.
        public let isSecondary: Bool

        init(
            to destination: CIDR,
            gateway: IPAddress? = nil,
            mtu: Int? = nil,
            priority: UInt32? = nil,
            isSecondary: Bool = false
        ) {
            self.destination = destination
            self.gateway = gateway
            self.mtu = mtu
            self.priority = priority
            self.isSecondary = isSecondary
        }

        /// The kernel's default metric for IPv6 routes; that for IPv4 is 0.
        private static let defaultMetric: UInt32 = 1024

        func route(on interface: InterfaceIndex) -> Route {
            var metric = priority
            if isSecondary, metric == nil {
                // A different metric for each interface, so that their routes do not exclude each other.
                metric = Self.defaultMetric + UInt32(clamping: interface)
            }
            return Route(
                to: destination,
                via: gateway.map { .gateway($0, on: interface, isOnLink: isSecondary) } ?? .interface(interface),
                scope: gateway == nil && destination.family == .ipv4 ? .link : .universe,
                metric: metric,
                mtu: mtu
            )
        }
    }

    /// One end of the veth pair and all that depends on it. The parts are put in place in this order.
    public struct Side: Hashable, Sendable {
        public let name: String
        /// `nil` for a random one.
        public let mac: MACAddress?
        /// Written while the interface is down, because some work only when it comes up.
        public let settings: [Setting]
        public let addresses: [CIDR]
        /// Addresses on the other end whose hardware address is entered permanently, so that nobody ever asks for it.
        public let neighbours: [IPAddress]
        public let routes: [RouteEntry]
    }

    public let host: Side
    public let container: Side
    /// For both ends; `nil` for the kernel's default.
    public let mtu: Int?
    public let queues: Int

    /// The hardware address of every host end (4.1).
    public static let hostMAC = MACAddress(0xee, 0xee, 0xee, 0xee, 0xee, 0xee)
    /// What a pod's IPv4 routes go through: an address that is on no interface. The host answers for it by proxy ARP,
    /// and the pod has it as a permanent neighbour, so that it works even where the host does not answer.
    public static let gatewayIPv4 = IPAddress.v4(IPv4Address(169, 254, 1, 1))
    /// What a pod's IPv6 routes go through: the link-local address that belongs to ``hostMAC``.
    public static let gatewayIPv6 = IPAddress.v6(hostMAC.linkLocalAddress)

    /// - Throws: ``PodNetworkError/invalidRequest(_:)`` for what the kernel would refuse or misunderstand.
    public init(_ request: PodNetworkRequest) throws(PodNetworkError) {
        try request.validate()
        let families = IPFamily.allCases.filter { family in request.addresses.contains { $0.family == family } }
        mtu = request.mtu
        queues = request.queues
        host = Side(
            name: request.hostInterfaceName,
            mac: Self.hostMAC,
            settings: Self.hostSettings(request.hostInterfaceName, families),
            // The kernel would give the interface this address by itself, but later, and on some hosts another one.
            addresses: families.contains(.ipv6) ? Self.linkLocalPrefix : [],
            neighbours: [],
            routes: request.addresses.map { RouteEntry(to: $0.hostPrefix) }
        )
        container = Side(
            name: request.interfaceName,
            mac: request.mac,
            settings: Self.containerSettings(request.interfaceName, families, request.allowForwarding),
            addresses: request.addresses.map(\.hostPrefix),
            neighbours: families.map(Self.gateway),
            routes: Self.containerRoutes(request, families)
        )
    }

    public static func gateway(_ family: IPFamily) -> IPAddress {
        family == .ipv4 ? gatewayIPv4 : gatewayIPv6
    }

    private static let linkLocalPrefix = CIDR(gatewayIPv6, prefixLength: 64).map { [$0] } ?? []

    private static func containerRoutes(_ request: PodNetworkRequest, _ families: [IPFamily]) -> [RouteEntry] {
        let isSecondary = request.interfaceName != HostInterfaceName.firstInterface
        var entries: [RouteEntry] = []
        if families.contains(.ipv4), !isSecondary {
            // IPv6 gateways with a link-local address need no such route.
            entries.append(RouteEntry(to: gatewayIPv4.hostPrefix))
        }
        let routes = request.routes.isEmpty ? families.map { PodRoute(to: $0.everything) } : request.routes
        for route in routes where families.contains(route.destination.family) {
            let entry = RouteEntry(
                to: route.destination,
                gateway: gateway(route.destination.family),
                mtu: route.mtu,
                priority: route.priority,
                isSecondary: isSecondary
            )
            // A table has room for one with a metric.
            let isThere = entries.contains {
                $0.destination == entry.destination && ($0.priority ?? 0) == (entry.priority ?? 0)
            }
            if !isThere { entries.append(entry) }
        }
        return entries
    }
}

extension IPFamily {
    /// The prefix that holds every address: 0.0.0.0/0 or ::/0.
    var everything: CIDR {
        let address: IPAddress = self == .ipv4 ? .v4(.unspecified) : .v6(.unspecified)
        return CIDR(address, prefixLength: 0) ?? address.hostPrefix
    }
}
