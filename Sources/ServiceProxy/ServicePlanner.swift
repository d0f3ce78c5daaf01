import KubernetesAPI
import NetworkTypes

/// Turns one Service and its slices into the frontends of one family. Every policy is resolved here; a pure function.
public struct ServicePlanner: Hashable, Sendable {
    /// Whether everything that goes to a cluster IP is masqueraded (MQ-1).
    public let masqueradeAll: Bool
    /// The families in which the source of a packet tells whether it is a pod of this cluster (1.8).
    public let familiesWithLocalDetection: Set<IPFamily>
    /// Whether external IPs of Services are served (1.2).
    public var servesExternalIPs = true

    public init(masqueradeAll: Bool = false, familiesWithLocalDetection: Set<IPFamily> = []) {
        self.masqueradeAll = masqueradeAll
        self.familiesWithLocalDetection = familiesWithLocalDetection
    }

    /// - Parameter slices: those of the Service in this family.
    public func plan(
        _ service: Service,
        with slices: [EndpointSlice],
        in family: IPFamily,
        on node: NodeFacts
    ) -> ServicePlan {
        guard service.type != .externalName,
            let clusterIP = service.clusterIPs.first(where: { $0.family == family })
        else { return .empty }

        let externalIPs = servesExternalIPs ? service.externalIPs.filter { $0.family == family } : []
        let loadBalancerIPs = service.ingress.filter(\.isVIP).map(\.address).filter { $0.family == family }
        let sources = AllowedSources(
            of: service.loadBalancerSourceRanges,
            in: family,
            loadBalancerIPs: loadBalancerIPs,
            node: node
        )
        let wish = BalancingWish.Reading(of: service.metadata.annotations)
        var frontends: [Frontend] = []
        var servingUDP: [ServingPort] = []
        for port in service.ports {
            let name = ServicePortName(
                namespace: service.metadata.namespace,
                name: service.metadata.name,
                port: port.name,
                transport: port.transport
            )
            let isExternallyAccessible = port.nodePort != 0 || !loadBalancerIPs.isEmpty || !externalIPs.isEmpty
            let internalIsLocal = service.internalTrafficPolicy == .local
            let externalIsLocal = service.externalTrafficPolicy == .local && service.isExposed
            let candidates = EndpointCandidate.matching(port, in: slices, on: node)
            if port.transport == .udp { servingUDP.append(ServingPort(name, candidates)) }
            let selection = EndpointSelection(
                from: candidates,
                for: EndpointSelection.Use(
                    isExternallyAccessible: isExternallyAccessible,
                    internalPolicyIsLocal: internalIsLocal,
                    externalPolicyIsLocal: externalIsLocal
                ),
                on: node
            )

            func add(_ kind: Frontend.Kind, _ key: Frontend.Key, _ routes: (route: Route, near: Route?)) {
                frontends.append(
                    Frontend(
                        key: key,
                        kind: kind,
                        servicePort: name,
                        route: routes.route,
                        nearRoute: routes.near,
                        allowedSources: kind == .loadBalancerIP ? sources.ranges : nil,
                        affinityTimeout: service.affinityTimeout,
                        balancing: wish.wish
                    )
                )
            }

            let internalRoute = internalRoute(selection, isLocal: internalIsLocal, family)
            add(.clusterIP, .address(clusterIP, port.transport, port.port), (internalRoute, nil))
            guard isExternallyAccessible else { continue }
            let external = externalRoutes(selection, isLocal: externalIsLocal, family)
            for address in externalIPs {
                add(.externalIP, .address(address, port.transport, port.port), external)
            }
            for address in loadBalancerIPs {
                add(.loadBalancerIP, .address(address, port.transport, port.port), external)
            }
            if port.nodePort != 0 {
                add(.nodePort, .nodePort(family, port.transport, port.nodePort), external)
            }
        }
        var plan = ServicePlan(frontends: frontends, unreadableSourceRanges: sources.unreadable)
        plan.healthCheck = HealthCheck(service, slices, on: node)
        plan.servingUDP = servingUDP
        plan.unreadableAnnotations = wish.unreadable
        return plan
    }

    /// What happens to traffic for the cluster IP (FE-1).
    private func internalRoute(_ selection: EndpointSelection, isLocal: Bool, _ family: IPFamily) -> Route {
        let masquerade: Route.Masquerade =
            if masqueradeAll {
                .always  // MQ-1
            } else if familiesWithLocalDetection.contains(family) {
                .unlessLocal  // MQ-2
            } else {
                .never
            }
        return Route(
            backends: isLocal ? selection.local : selection.cluster,
            masquerade: masquerade,
            whenEmpty: selection.existsSomewhere ? .drop : .reject,
            isLocalOnly: isLocal
        )
    }

    /// What happens to traffic for node ports, external and load-balancer IPs (FE-2, FE-3).
    private func externalRoutes(
        _ selection: EndpointSelection,
        isLocal: Bool,
        _ family: IPFamily
    ) -> (route: Route, near: Route?) {
        let refusal: Route.Refusal = selection.existsSomewhere ? .drop : .reject
        guard isLocal else {
            return (Route(backends: selection.cluster, masquerade: .always, whenEmpty: refusal), nil)  // FE-5
        }
        let route = Route(backends: selection.local, masquerade: .never, whenEmpty: refusal, isLocalOnly: true)
        guard !selection.cluster.isEmpty else { return (route, nil) }
        // FE-6: pods keep their source address, the node itself does not. Without detection only the node is near.
        let masquerade: Route.Masquerade = familiesWithLocalDetection.contains(family) ? .unlessLocal : .always
        return (route, Route(backends: selection.cluster, masquerade: masquerade, whenEmpty: refusal))
    }
}

/// What one Service wants in one family.
public struct ServicePlan: Hashable, Sendable {
    /// In the order of the Service's ports; of each: cluster IP, external IPs, load-balancer IPs, node port.
    public let frontends: [Frontend]
    /// Source ranges that are no CIDRs, and are left out (1.2).
    public let unreadableSourceRanges: [String]
    /// Annotations whose values say nothing that is known, and are passed over, each with what would be.
    public var unreadableAnnotations: [String] = []
    /// What load balancers are told that ask this node; `nil` when none does.
    public var healthCheck: HealthCheck?
    /// Where the flows of the UDP service ports may go on to (CT-4).
    public var servingUDP: [ServingPort] = []

    public static let empty = ServicePlan(frontends: [], unreadableSourceRanges: [])
}

extension Service {
    /// Whether the external traffic policy counts (1.2).
    fileprivate var isExposed: Bool {
        switch type {
        case .nodePort, .loadBalancer: true
        case .clusterIP: !externalIPs.isEmpty
        case .externalName: false
        }
    }
}
