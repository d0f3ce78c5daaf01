import LoadBalancer
import NetworkTypes

/// What one frontend needs of the node in userspace mode. A pure function of the frontend and of what the host allows.
struct ListenerPlan: Hashable {
    /// Why a frontend cannot be served, in words for an operator.
    struct Refusal: Error, Hashable {
        let reason: String
    }

    /// What the host allows.
    struct Host: Hashable {
        /// Whether the node gets the addresses of Services.
        var ownsAddresses: Bool
        /// The node's addresses, without those that it got for Services.
        var localAddresses: Set<IPAddress>
        var nodePorts: NodePortSelections
        var portMap: UserspaceOptions.PortMap
        var algorithm: BalancingWish.Algorithm
    }

    /// What the node must have as an address of its own, and had not.
    let address: IPAddress?
    let listeners: [ListenerSpecification]

    init(_ frontend: Frontend, on host: Host) throws(Refusal) {
        let transport: ListenEndpoint.Transport
        switch frontend.key.transport {
        case .tcp: transport = .tcp
        case .udp: transport = .udp
        case .sctp:
            throw Refusal(
                reason:
                    "SCTP is not served in userspace mode, as its streams and paths end at a socket; use nftables mode"
            )
        }
        let endpoints: [ListenEndpoint]
        switch frontend.key {
        case .address(let ip, _, let port):
            if host.ownsAddresses {
                address = host.localAddresses.contains(ip) ? nil : ip
                endpoints = [ListenEndpoint(transport, ip, port)]
            } else {
                address = nil
                endpoints = try Self.endpoints(frontend, ip, port, transport, host)
            }
        case .nodePort(let family, _, let port):
            address = nil
            endpoints =
                switch host.nodePorts[family] ?? .all {
                case .all:
                    [ListenEndpoint(transport, family == .ipv4 ? .v4(.unspecified) : .v6(.unspecified), port)]
                case .only(let addresses):
                    // An address of a Service is no address of the node, though an interface has it.
                    addresses.intersection(host.localAddresses).sorted().map { ListenEndpoint(transport, $0, port) }
                }
        }
        for endpoint in endpoints {
            guard let own = Self.ownTarget(of: frontend, at: endpoint, host) else { continue }
            throw Refusal(
                reason: "\(own) is an endpoint of \(frontend.servicePort) and where it is served: "
                    + "the proxy would dial itself for ever; give the pod another port"
            )
        }
        listeners = endpoints.map { Self.specification(of: frontend, at: $0, host) }
    }

    /// Where an address is listened on that the node is not given.
    private static func endpoints(
        _ frontend: Frontend,
        _ ip: IPAddress,
        _ port: UInt16,
        _ transport: ListenEndpoint.Transport,
        _ host: Host
    ) throws(Refusal) -> [ListenEndpoint] {
        let name = frontend.servicePort.description
        if frontend.kind == .clusterIP, let mapped = host.portMap.ports[name] {
            return host.portMap.addresses.filter { $0.family == ip.family }.map {
                ListenEndpoint(transport, $0, mapped)
            }
        }
        guard host.localAddresses.contains(ip) else {
            throw Refusal(
                reason: "\(ip) is no address of this node, which may not be given any (CAP_NET_ADMIN is missing), "
                    + "and the port map has no port for \(name)"
            )
        }
        return [ListenEndpoint(transport, ip, port)]
    }

    private static func specification(
        of frontend: Frontend,
        at endpoint: ListenEndpoint,
        _ host: Host
    ) -> ListenerSpecification {
        ListenerSpecification(
            endpoint,
            group: "\(frontend.servicePort)/\(endpoint.transport)",
            route: targets(of: frontend.route),
            nearRoute: frontend.nearRoute.map(targets),
            allowedSources: frontend.allowedSources,
            balancing: Balancing(
                algorithm: (frontend.balancing.algorithm ?? host.algorithm).balancing,
                affinityTimeout: frontend.affinityTimeout.map { .seconds(Int64($0)) },
                sendsProxyHeader: frontend.balancing.sendsProxyHeader
            ),
            whenEmpty: frontend.route.whenEmpty == .drop ? .drop : .reject
        )
    }

    /// An endpoint at which the listener itself would answer.
    private static func ownTarget(of frontend: Frontend, at endpoint: ListenEndpoint, _ host: Host) -> TransportAddress?
    {
        let at = endpoint.at
        let isOwn = { (backend: Backend) in
            backend.port == at.port
                && (at.address.isUnspecified
                    ? backend.address.family == at.address.family && host.localAddresses.contains(backend.address)
                    : backend.address == at.address)
        }
        let backends = frontend.route.backends + (frontend.nearRoute?.backends ?? [])
        return backends.first(where: isOwn).map { TransportAddress($0.address, $0.port) }
    }

    private static func targets(of route: Route) -> TargetList {
        TargetList(route.backends.map { TransportAddress($0.address, $0.port) }, memory: route.isLocalOnly ? 1 : 0)
    }
}

extension BalancingWish.Algorithm {
    fileprivate var balancing: Balancing.Algorithm {
        switch self {
        case .random: .random
        case .roundRobin: .roundRobin
        case .leastConnections: .leastConnections
        case .maglev: .maglev
        }
    }
}
