import NetworkTypes
import ProxyAPI

/// `proxy show`: Services as the proxy has them.
public struct ProxyServices: Hashable, Sendable {
    let node: String
    let countsConnections: Bool
    /// In the order of namespace and name.
    let services: [ServiceReport]

    /// - Parameter pages: in any order; a Service that is in two of them is shown once.
    public init(_ pages: [ServicePage]) {
        node = pages.first?.node ?? ""
        countsConnections = pages.contains { $0.countsConnections }
        var seen: Set<String> = []
        services = pages.flatMap(\.services).filter { seen.insert("\($0.namespace)/\($0.name)").inserted }
            .sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
    }

    public var isEmpty: Bool { services.isEmpty }

    /// How many backends are named in a table that is not wide.
    private static let shownBackends = 3

    /// One row for each frontend.
    public func table(isWide: Bool = false) -> String {
        var titles = ["NAMESPACE", "NAME", "PORT", "FRONTEND", "KIND", "POLICY", "AFFINITY", "BACKENDS"]
        if isWide { titles += ["NEAR-BACKENDS", "MASQUERADE", "SOURCES"] }
        if countsConnections { titles.append("CONNECTIONS") }
        titles.append("STATE")
        var table = PlainTable(titles)
        for service in services {
            let frontends = service.ports.flatMap { port in port.frontends.map { (port, $0) } }
            if frontends.isEmpty {
                var row = [service.namespace, service.name] + titles.dropFirst(2).map { _ in "<none>" }
                row[titles.count - 1] = service.notServed.map { "Not served: \($0)" } ?? "Waiting"
                table.add(row)
            }
            for (port, frontend) in frontends {
                var row = [
                    service.namespace, service.name, port.title, frontend.title(port.protocol), frontend.kind.rawValue,
                    frontend.policy(of: service), service.sessionAffinitySeconds.map { "\($0)s" } ?? "<none>",
                ]
                row += isWide ? wideCells(frontend) : [narrowCell(frontend)]
                if countsConnections { row.append(frontend.connections.map { "\($0)" } ?? "<none>") }
                row.append(frontend.stateText)
                table.add(row)
            }
        }
        return table.text()
    }

    private func narrowCell(_ frontend: FrontendReport) -> String {
        let more = frontend.nearRoute.map { " (near: \($0.backends.count))" } ?? ""
        return frontend.route.text(atMost: Self.shownBackends) + more
    }

    private func wideCells(_ frontend: FrontendReport) -> [String] {
        let masquerade = [frontend.route, frontend.nearRoute].compactMap { $0?.masquerade.rawValue }
        return [
            frontend.route.text(), frontend.nearRoute?.text() ?? "<none>",
            masquerade.count == 2 ? "\(masquerade[0]) (near: \(masquerade[1]))" : masquerade[0],
            frontend.allowedSources.map { $0.map(\.description).joined(separator: ",") } ?? "<all>",
        ]
    }

    /// One row for each backend of each frontend.
    public func endpointsTable() -> String {
        var table = PlainTable(["NAMESPACE", "NAME", "PORT", "FRONTEND", "CLIENTS", "BACKEND", "NODE", "SHARE"])
        for service in services {
            for port in service.ports {
                for frontend in port.frontends where frontend.state != .conflicting {
                    let routes = [
                        (frontend.nearRoute == nil ? "all" : "elsewhere", frontend.route),
                        ("node,pods", frontend.nearRoute),
                    ]
                    let head = [service.namespace, service.name, port.title, frontend.title(port.protocol)]
                    for case (let clients, let route?) in routes {
                        if route.backends.isEmpty {
                            table.add(head + [clients, "<none>", "<none>", route.whenEmpty.lowercased()])
                        }
                        for backend in route.backends {
                            table.add(
                                head + [
                                    clients, hostPort(backend.address, backend.port),
                                    backend.isLocal ? "this" : "other", share(1 / Double(route.backends.count)),
                                ]
                            )
                        }
                    }
                }
            }
        }
        return table.text()
    }

    private struct Document: Encodable {
        let node: String
        let services: [ServiceReport]
    }

    public func json() throws -> String { try jsonText(Document(node: node, services: services)) }

    public func yaml() throws -> String { try yamlText(Document(node: node, services: services)) }
}

/// A probability as a percentage with at most one decimal: `33.3%`, `50%`.
func share(_ probability: Double) -> String {
    let tenths = Int((probability * 1000).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10)%" : "\(tenths / 10).\(tenths % 10)%"
}

extension ServicePortReport {
    fileprivate var title: String { name.isEmpty ? "\(port)/\(self.protocol)" : name }
}

extension FrontendReport {
    /// `10.96.0.10:80/TCP`, or `*:30080/TCP` and `[*]:30080/TCP` for node ports.
    fileprivate func title(_ transport: String) -> String {
        let host = address.map { hostPort($0, port) } ?? (ipFamily == "IPv6" ? "[*]:\(port)" : "*:\(port)")
        return "\(host)/\(transport)"
    }

    fileprivate func policy(of service: ServiceReport) -> String {
        kind == .clusterIP ? service.internalTrafficPolicy : service.externalTrafficPolicy
    }

    fileprivate var stateText: String {
        switch state {
        case .programmed, .waiting: state.rawValue
        case .refused: "Refused: \(reason ?? "")"
        case .conflicting: "Conflicting: \(owner ?? "another Service") has it"
        }
    }
}

extension RouteReport {
    /// The backends, those on this node with a star; when there are none, what happens instead.
    fileprivate func text(atMost limit: Int = .max) -> String {
        guard !backends.isEmpty else { return "<none> (\(whenEmpty.lowercased()))" }
        let shown = backends.prefix(limit).map { hostPort($0.address, $0.port) + ($0.isLocal ? "*" : "") }
        let rest = backends.count - shown.count
        return shown.joined(separator: ",") + (rest > 0 ? " + \(rest) more..." : "")
    }
}
