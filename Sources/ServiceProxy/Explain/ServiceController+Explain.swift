import KubernetesAPI
import NetworkTypes
import PrometheusText

// What the controller tells those who ask. It only copies values; what is made of them happens elsewhere, so that no
// change has to wait for a person's question.

extension ServiceController {
    /// What the backend itself has to tell.
    func backendMetrics() async -> [MetricFamily] { await backend?.metrics() ?? [] }

    /// The kinds that it does not know completely yet.
    var awaitedKinds: [String] { awaited.map(\.rawValue).sorted() }

    /// The names of all Services, in no order.
    func serviceNames() -> [ObjectName] { catalog.serviceNames }

    /// What is known of some Services, in the same order; those that are gone are left out.
    func facts(of names: [ObjectName]) -> [ServiceFacts] {
        names.compactMap { name in
            guard let service = catalog.service(name) else { return nil }
            let families = IPFamily.allCases.map { Catalog.ServiceID(name, $0) }
            return ServiceFacts(service: service, wanted: families.flatMap { wanted(by: $0) })
        }
    }

    private func wanted(by id: Catalog.ServiceID) -> [ServiceFacts.Wanted] {
        table.wanted(by: id).map { frontend, standing in
            // What the backend has is not certain then.
            let isUncertain = needsWholeState && standing == .programmed
            return ServiceFacts.Wanted(frontend: frontend, standing: isUncertain ? .waiting : standing)
        }
    }

    /// What decides about packets to a destination, as it is programmed.
    func facts(about destination: IPAddress, _ transport: TransportProtocol, _ port: UInt16) -> DestinationFacts {
        let keys: [Frontend.Key] = [
            .address(destination, transport, port), .nodePort(destination.family, transport, port),
        ]
        let candidates = keys.compactMap { key -> DestinationFacts.Candidate? in
            let state = table.state(of: key)
            guard state.programmed != nil || state.owner != nil else { return nil }
            let name = state.programmed.map {
                ObjectName(namespace: $0.servicePort.namespace, name: $0.servicePort.name)
            }
            return DestinationFacts.Candidate(
                key: key,
                frontend: state.programmed,
                standing: needsWholeState ? .waiting : state.owner?.standing ?? .waiting,
                service: (name ?? state.owner?.service.name).flatMap { catalog.service($0) },
                losers: state.losers.map(\.name)
            )
        }
        var neighbours: [Frontend] = []
        var proxied: [ObjectName] = []
        if candidates.first?.key != keys[0] {
            neighbours = table.keys { key in
                if case .address(destination, _, _) = key { true } else { false }
            }.compactMap { table.frontend($0) }
            proxied = catalog.services { $0.ingress.contains { $0.address == destination && !$0.isVIP } }
                .map(\.metadata.objectName)
        }
        return DestinationFacts(
            candidates: candidates,
            neighbours: neighbours.sorted { ($0.servicePort.transport, $0.port) < ($1.servicePort.transport, $1.port) },
            proxied: proxied.sorted(),
            surroundings: surroundings,
            node: catalog.node,
            awaited: awaitedKinds,
            isProgrammed: awaited.isEmpty && hasBackend
        )
    }
}

/// A Service with what it wants, in both families, and how that stands.
struct ServiceFacts: Sendable {
    struct Wanted: Sendable {
        let frontend: Frontend
        let standing: FrontendTable.Standing
    }

    let service: Service
    let wanted: [Wanted]
}

/// What is known about an address with a port.
struct DestinationFacts: Sendable {
    /// A frontend that packets to the destination could meet.
    struct Candidate: Sendable {
        let key: Frontend.Key
        /// What is programmed; `nil` when nothing is yet.
        let frontend: Frontend?
        let standing: FrontendTable.Standing
        /// The Service that it is of.
        let service: Service?
        /// Services that would have the key if it were not taken.
        let losers: [ObjectName]
    }

    /// The exact address first, then the node port (FE-7).
    let candidates: [Candidate]
    /// Frontends at the same address, where none has this port and protocol; by protocol and port.
    let neighbours: [Frontend]
    /// Services whose load balancer has the address and wants to see all traffic itself (`ipMode: Proxy`).
    let proxied: [ObjectName]
    /// What the table was made for.
    let surroundings: Surroundings
    let node: NodeFacts
    /// The kinds that are not known completely yet.
    let awaited: [String]
    /// Whether anything was programmed since the start.
    let isProgrammed: Bool
}

extension Frontend {
    var port: UInt16 {
        switch key {
        case .address(_, _, let port), .nodePort(_, _, let port): port
        }
    }
}
