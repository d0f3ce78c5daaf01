import NetworkTypes

extension NetlinkRequest {
    private static func route(
        _ type: UInt16,
        flags: UInt16,
        _ route: Route,
        verb: StaticString
    ) -> NetlinkRequest {
        NetlinkRequest(
            type: type,
            flags: flags,
            headerLength: RouteHeader.length,
            attributes: RouteAttribute.self,
            summary: "\(verb) route \(route)"
        ) { builder in
            RouteHeader.append(
                to: &builder,
                family: route.destination.family.socketFamily,
                prefixLength: route.destination.prefixLength,
                table: route.table.rawValue,
                origin: route.origin.rawValue,
                scope: route.scope.rawValue,
                type: route.nextHop.routeType,
                flags: route.nextHop.routeFlags
            )
            if route.destination.prefixLength > 0 {
                builder.attribute(RouteAttribute.destination, route.destination.address)
            }
            if let interface = route.nextHop.interface { builder.attribute(RouteAttribute.interface, interface) }
            if case .gateway(let gateway, _, _) = route.nextHop {
                if gateway.family == route.destination.family {
                    builder.attribute(RouteAttribute.gateway, gateway)
                } else {
                    builder.attribute(RouteAttribute.via.rawValue) { via in
                        via.append(UInt16(gateway.family.socketFamily))
                        via.append(bytes: gateway.bytes)
                    }
                }
            }
            if UInt8(exactly: route.table.rawValue) == nil {
                builder.attribute(RouteAttribute.table, route.table.rawValue)
            }
            if let metric = route.metric { builder.attribute(RouteAttribute.priority, metric) }
            if let source = route.preferredSource { builder.attribute(RouteAttribute.preferredSource, source) }
            if let mtu = route.mtu {
                builder.nested(RouteAttribute.metrics) { $0.attribute(RouteMetric.mtu, UInt32(clamping: mtu)) }
            }
        }
    }

    /// Adds a route; refused with EEXIST when the table has one for the same destination and metric.
    public static func addRoute(_ route: Route) -> NetlinkRequest {
        self.route(
            RouteMessage.newRoute,
            flags: MessageFlags.create | MessageFlags.exclusive,
            route,
            verb: "add"
        )
    }

    /// Adds a route to the main table; refused with EEXIST when it has one for the same destination and metric.
    public static func addRoute(
        to destination: CIDR,
        via nextHop: Route.NextHop,
        scope: RouteScope = .universe
    ) -> NetlinkRequest {
        addRoute(Route(to: destination, via: nextHop, scope: scope))
    }

    /// Adds a route, in place of the one for the same destination and metric if there is one.
    public static func replaceRoute(_ route: Route) -> NetlinkRequest {
        self.route(
            RouteMessage.newRoute,
            flags: MessageFlags.create | MessageFlags.replace,
            route,
            verb: "replace"
        )
    }

    /// Removes a route that agrees with this one in everything given; refused with ESRCH when there is none.
    public static func deleteRoute(_ route: Route) -> NetlinkRequest {
        self.route(RouteMessage.deleteRoute, flags: 0, route, verb: "delete")
    }
}

extension Route.NextHop {
    fileprivate var routeType: UInt8 {
        switch self {
        case .interface, .gateway, .several: RouteHeader.unicast
        case .blackhole: RouteHeader.blackhole
        case .unreachable: RouteHeader.unreachable
        }
    }

    fileprivate var routeFlags: UInt32 {
        if case .gateway(_, _, isOnLink: true) = self { RouteHeader.onLinkFlag } else { 0 }
    }
}

/// Which routes to list; what is `nil` does not matter.
public struct RouteFilter: Hashable, Sendable {
    public var family: IPFamily?
    public var destination: CIDR?
    public var interface: InterfaceIndex?
    public var table: Route.Table?
    public var origin: Route.Origin?

    public init(
        family: IPFamily? = nil,
        destination: CIDR? = nil,
        interface: InterfaceIndex? = nil,
        table: Route.Table? = .main,
        origin: Route.Origin? = nil
    ) {
        self.family = family
        self.destination = destination
        self.interface = interface
        self.table = table
        self.origin = origin
    }

    public func matches(_ route: Route) -> Bool {
        (family == nil || family == route.destination.family)
            && (destination == nil || destination == route.destination)
            && (interface == nil || interface == route.nextHop.interface)
            && (table == nil || table == route.table)
            && (origin == nil || origin == route.origin)
    }
}

extension NetlinkQuery<Route> {
    /// The routes that a filter lets through. The kernel walks its tables for it: not for a hot path.
    public static func routes(_ filter: RouteFilter = RouteFilter()) -> NetlinkQuery {
        NetlinkQuery(
            NetlinkRequest(
                type: RouteMessage.getRoute,
                flags: MessageFlags.dump,
                headerLength: RouteHeader.length,
                attributes: RouteAttribute.self,
                summary: "list routes"
            ) { builder in
                RouteHeader.append(
                    to: &builder,
                    family: (filter.family ?? filter.destination?.family)?.socketFamily ?? 0,
                    origin: filter.origin?.rawValue ?? 0
                )
                if let table = filter.table { builder.attribute(RouteAttribute.table, table.rawValue) }
                if let interface = filter.interface { builder.attribute(RouteAttribute.interface, interface) }
            }
        ) { message throws(MalformedMessage) in
            guard let route = try Route(message), filter.matches(route) else { return nil }
            return route
        }
    }

    /// The route that a packet of this host to `address` would take, found by the rules and the longest prefix.
    ///
    /// - Throws: ENETUNREACH when there is none.
    public static func route(toward address: IPAddress) -> NetlinkQuery {
        NetlinkQuery(
            NetlinkRequest(
                type: RouteMessage.getRoute,
                headerLength: RouteHeader.length,
                attributes: RouteAttribute.self,
                summary: "look up the route to \(address)"
            ) { builder in
                RouteHeader.append(
                    to: &builder,
                    family: address.family.socketFamily,
                    prefixLength: address.family.addressBits,
                    flags: RouteHeader.matchFlag
                )
                builder.attribute(RouteAttribute.destination, address)
            }
        ) { message throws(MalformedMessage) in try Route(message) }
    }
}
