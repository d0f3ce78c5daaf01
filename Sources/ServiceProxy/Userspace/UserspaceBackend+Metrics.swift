import LoadBalancer
import PrometheusText

extension UserspaceBackend {
    /// What was done for each service port since it is served, for a metrics page.
    public func metrics() async -> [MetricFamily] {
        let counters = await counters
        var groups: [(labels: [MetricSample.Label], counters: GroupCounters)] = []
        for (group, port) in servicePorts.sorted(by: { $0.key < $1.key }) {
            guard let counters = counters[group] else { continue }
            let labels: [MetricSample.Label] = [
                .init("namespace", port.namespace), .init("service", port.name), .init("port", port.port),
                .init("protocol", "\(port.transport)"),
            ]
            groups.append((labels, counters))
        }
        func family(
            _ name: String,
            _ kind: MetricFamily.Kind,
            _ help: String,
            _ value: (GroupCounters) -> Double
        ) -> MetricFamily {
            let samples = groups.map { MetricSample(value($0.counters), $0.labels) }
            return MetricFamily("swiftlet_proxy_userspace_\(name)", kind, help, samples)
        }
        return [
            family("connections_total", .counter, "Connections and UDP flows begun for clients of a Service") {
                Double($0.connections)
            },
            family("open_connections", .gauge, "Connections and UDP flows of a Service that are open") {
                Double($0.open)
            },
            family("received_bytes_total", .counter, "Bytes from clients of a Service") { Double($0.received) },
            family("sent_bytes_total", .counter, "Bytes to clients of a Service") { Double($0.sent) },
            family("refused_total", .counter, "Clients of a Service that may not connect, or whom no endpoint served") {
                Double($0.refused)
            },
            family("shed_total", .counter, "Clients of a Service turned away for want of descriptors or flows") {
                Double($0.shed)
            },
            family("endpoint_failures_total", .counter, "Attempts at endpoints of a Service that failed") {
                Double($0.targetFailures)
            },
        ]
    }
}
