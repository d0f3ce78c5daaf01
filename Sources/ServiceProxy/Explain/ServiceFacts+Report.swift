import KubernetesAPI
import NetworkTypes
import ProxyAPI

extension ServiceFacts {
    /// The same in the words of the API.
    ///
    /// - Parameter connections: how many new connections each frontend has seen; `nil` when they are not counted.
    func report(_ connections: [Frontend.Key: UInt64]?) -> ServiceReport {
        ServiceReport(
            namespace: service.metadata.namespace,
            name: service.metadata.name,
            type: service.type.rawValue,
            externalTrafficPolicy: service.externalTrafficPolicy.rawValue,
            internalTrafficPolicy: service.internalTrafficPolicy.rawValue,
            sessionAffinitySeconds: service.affinityTimeout,
            notServed: service.type == .externalName
                ? Service.ServiceType.externalName.rawValue : service.clusterIPs.isEmpty ? "headless" : nil,
            ports: service.ports.map { port in
                ServicePortReport(
                    name: port.name,
                    protocol: "\(port.transport)",
                    port: port.port,
                    frontends: wanted.filter {
                        $0.frontend.servicePort.port == port.name && $0.frontend.servicePort.transport == port.transport
                    }.map { $0.report(connections) }
                )
            }
        )
    }
}

extension ServiceFacts.Wanted {
    fileprivate func report(_ connections: [Frontend.Key: UInt64]?) -> FrontendReport {
        let address: IPAddress? = if case .address(let address, _, _) = frontend.key { address } else { nil }
        var report = FrontendReport(
            kind: FrontendReport.Kind(frontend.kind),
            ipFamily: "\(frontend.key.family)",
            address: address,
            port: frontend.port,
            route: RouteReport(frontend.route),
            nearRoute: frontend.nearRoute.map { RouteReport($0) },
            allowedSources: frontend.allowedSources
        )
        switch standing {
        case .programmed: report.state = .programmed
        case .waiting: report.state = .waiting
        case .refused(let reason):
            report.state = .refused
            report.reason = reason
        case .conflicting(let owner):
            report.state = .conflicting
            report.owner = "\(owner.name)"
        }
        // Of a key that another Service has, the connections are that one's.
        if report.state != .conflicting { report.connections = connections.map { $0[frontend.key] ?? 0 } }
        return report
    }
}

extension FrontendReport.Kind {
    init(_ kind: Frontend.Kind) {
        switch kind {
        case .clusterIP: self = .clusterIP
        case .externalIP: self = .externalIP
        case .loadBalancerIP: self = .loadBalancerIP
        case .nodePort: self = .nodePort
        }
    }
}

extension RouteReport {
    init(_ route: Route) {
        let masquerade: Masquerade =
            switch route.masquerade {
            case .never: .never
            case .always: .always
            case .unlessLocal: .unlessLocal
            }
        self.init(
            backends: route.backends.map { BackendReport($0) },
            masquerade: masquerade,
            whenEmpty: route.whenEmpty == .drop ? "Drop" : "Reject",
            isLocalOnly: route.isLocalOnly
        )
    }
}

extension BackendReport {
    init(_ backend: Backend) {
        self.init(address: backend.address, port: backend.port, isLocal: backend.isLocal)
    }
}
