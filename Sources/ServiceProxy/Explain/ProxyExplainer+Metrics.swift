import KubernetesAPI
import NetworkTypes
import PrometheusText
import ProxyAPI

extension ProxyExplainer {
    /// How many Services are looked at in one go.
    private static let batch = 500

    /// What is known of the connections to Services: counters of the rules, if they count, and of the backend.
    public func connectionMetrics() async -> [MetricFamily] {
        let counted = await countedConnections().map { [$0] } ?? []
        return await counted + controller.backendMetrics()
    }

    /// The counters of new connections, one sample for each frontend; `nil` when they are not counted.
    private func countedConnections() async -> MetricFamily? {
        guard let counters else { return nil }
        let counts = await counters.current()
        var samples: [MetricSample] = []
        samples.reserveCapacity(counts.count)
        var names = await controller.serviceNames().sorted()[...]
        while !names.isEmpty {
            for facts in await controller.facts(of: Array(names.prefix(Self.batch))) {
                for wanted in facts.wanted {
                    guard let count = counts[wanted.frontend.key] else { continue }
                    if case .conflicting = wanted.standing { continue }
                    samples.append(MetricSample(Double(count), Self.labels(wanted.frontend)))
                }
            }
            names = names.dropFirst(Self.batch)
        }
        return MetricFamily(
            "swiftlet_proxy_service_connections_total",
            .counter,
            "New connections that have arrived at a frontend of a Service",
            samples
        )
    }

    private static func labels(_ frontend: Frontend) -> [MetricSample.Label] {
        let port = frontend.servicePort
        let address: String =
            if case .address(let address, _, _) = frontend.key { "\(address)" } else { "" }
        return [
            .init("namespace", port.namespace), .init("service", port.name), .init("port", port.port),
            .init("protocol", "\(port.transport)"), .init("kind", FrontendReport.Kind(frontend.kind).rawValue),
            .init("ip_family", "\(frontend.key.family)"),
            // A Service can have several external addresses, which come and go, each with its own count.
            .init("address", address),
        ]
    }
}
