import KubernetesAPI
import NetworkTypes

extension ProxyExplainer {
    /// How many Services are looked at in one go.
    private static let batch = 500

    /// The counters of new connections in Prometheus' text format, one line for each frontend; empty when they are not
    /// counted.
    public func connectionMetrics() async -> String {
        guard let counters else { return "" }
        let counts = await counters.current()
        let name = "swiftlet_proxy_service_connections_total"
        var text =
            "# HELP \(name) New connections that have arrived at a frontend of a Service\n# TYPE \(name) counter\n"
        var names = await controller.serviceNames().sorted()[...]
        while !names.isEmpty {
            for facts in await controller.facts(of: Array(names.prefix(Self.batch))) {
                for wanted in facts.wanted {
                    guard let count = counts[wanted.frontend.key] else { continue }
                    if case .conflicting = wanted.standing { continue }
                    text += "\(name){\(Self.labels(wanted.frontend))} \(count)\n"
                }
            }
            names = names.dropFirst(Self.batch)
        }
        return text
    }

    /// Names of objects and ports have no character that needs an escape.
    private static func labels(_ frontend: Frontend) -> String {
        let port = frontend.servicePort
        let (kind, address): (String, String) =
            switch (frontend.kind, frontend.key) {
            case (.clusterIP, .address(let address, _, _)): ("ClusterIP", "\(address)")
            case (.externalIP, .address(let address, _, _)): ("ExternalIP", "\(address)")
            case (.loadBalancerIP, .address(let address, _, _)): ("LoadBalancerIP", "\(address)")
            default: ("NodePort", "")
            }
        return [
            ("namespace", port.namespace), ("service", port.name), ("port", port.port),
            ("protocol", "\(port.transport)"), ("kind", kind), ("ip_family", "\(frontend.key.family)"),
            // A Service can have several external addresses, which come and go, each with its own count.
            ("address", address),
        ].map { "\($0)=\"\($1)\"" }.joined(separator: ",")
    }
}
