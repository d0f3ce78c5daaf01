import Glibc
import Netlink
import NetworkTypes

/// The host's routes to pods: one for each address (4.2, 4.3).
struct HostRoutes {
    private let socket: NetlinkSocket

    init(_ socket: NetlinkSocket) {
        self.socket = socket
    }

    /// Brings the host end of a pod up and installs its addresses and routes.
    ///
    /// - Throws: ``PodNetworkError/routeConflict(destination:interface:)`` when an address is routed elsewhere, and that
    ///   is not the leftover of a pod that no longer has it, or when it is one of the host's own, upon which no route has
    ///   an influence (C3). Every route is in place otherwise.
    func install(
        _ side: PodNetworkPlan.Side,
        on interface: InterfaceIndex,
        owner: String?
    ) throws(PodNetworkError) {
        let requests = side.requests(on: interface, peerMAC: PodNetworkPlan.hostMAC, owner: owner)
        let lookups = side.routes.map { NetlinkQuery<Route>.route(toward: $0.destination.address) }
        let outcomes = try PodNetworkError.translating { try socket.exchange(requests + lookups.map(\.request)) }
        for (index, entry) in side.routes.enumerated() {
            let outcome = outcomes[requests.count + index]
            guard case .success = outcome else { continue }
            // Where packets go that the host takes for itself (local, broadcast, anycast) cannot be told as a route.
            guard try PodNetworkError.translating({ try lookups[index].element(in: outcome) }) == nil else { continue }
            throw .routeConflict(destination: entry.destination, interface: "the host itself")
        }
        let firstRoute = requests.count - side.routes.count
        for (index, outcome) in outcomes[..<requests.count].enumerated() {
            guard case .failure(let error) = outcome else { continue }
            guard index >= firstRoute, error.isRefusal(EEXIST) else { throw PodNetworkError(error) }
            try replace(side.routes[index - firstRoute].route(on: interface))
        }
    }

    /// Puts a route in the place of the one that is there, if nobody needs that one.
    private func replace(_ route: Route) throws(PodNetworkError) {
        var rivals = try routes(to: route.destination)
        if rivals.isEmpty {
            // There is one, but lookups pass it over, as they do when its interface is down.
            rivals = try PodNetworkError.translating {
                try socket.list(.routes(RouteFilter(destination: route.destination)))
            }
        }
        for existing in rivals {
            guard existing.nextHop != route.nextHop else { return }  // the node's agent was faster
            if let obstacle = try obstacle(existing) {
                throw .routeConflict(destination: route.destination, interface: obstacle)
            }
        }
        try PodNetworkError.translating { try socket.send(.replaceRoute(route)) }
    }

    /// Removes the routes to an address that lead to a pod which no longer has it (4.7).
    func removeOrphans(of address: IPAddress) throws(PodNetworkError) {
        for route in try routes(to: address.hostPrefix) where route.nextHop.interface != nil {
            guard try obstacle(route) == nil else { continue }
            do throws(NetlinkError) {
                try socket.send(.deleteRoute(route))
            } catch {
                guard error.isRefusal(ESRCH) else { throw PodNetworkError(error) }
            }
        }
    }

    /// Whether the host sends packets for an address to an interface.
    func isRouted(_ address: IPAddress, to interface: InterfaceIndex) throws(PodNetworkError) -> Bool {
        try routes(to: address.hostPrefix).contains { $0.nextHop == .interface(interface) }
    }

    /// The main table's routes to exactly this destination, as far as packets would take them.
    private func routes(to destination: CIDR) throws(PodNetworkError) -> [Route] {
        try PodNetworkError.translating {
            do throws(NetlinkError) {
                // One lookup answers unless the node has routing rules of its own; listing the table may be slow.
                let best = try socket.get(.route(toward: destination.address))
                if best.destination == destination, best.table == .main { return [best] }
                // The longest prefix there is does not reach it, so that the table cannot have it.
                if best.table == .main { return [] }
            } catch {
                if error.isRefusal(ENETUNREACH) || error.isRefusal(ESRCH) { return [] }
                // A route of another kind (blackhole, local …) is in the way of the lookup.
                guard [EHOSTUNREACH, EINVAL, EACCES].contains(error.code) || error.cause == .noAnswer else {
                    throw error
                }
            }
            return try socket.list(.routes(RouteFilter(destination: destination)))
        }
    }

    /// Who needs a route that is there; `nil` when it is the leftover of a pod: it leads to an interface like ours whose
    /// other end is down, gone, or does not have the address.
    private func obstacle(_ route: Route) throws(PodNetworkError) -> String? {
        guard case .interface(let index) = route.nextHop else { return "\(route.nextHop)" }
        return try PodNetworkError.translating {
            guard let link = try socket.linkIfPresent(.index(index)) else { return nil }
            guard link.isPodHostEnd else { return link.name }
            guard link.isUp, link.hasCarrier, let peer = link.peerIndex, let namespace = link.peerNamespace else {
                return nil
            }
            let addresses = try socket.list(.addresses(on: peer, inNamespace: namespace))
            return addresses.contains { $0.address == route.destination.address } ? link.name : nil
        }
    }
}
