import NetworkTypes

/// What the frontends of one service port are in iptables, in kube-proxy's layout. Pure, and independent of how the
/// frontends came to be what they are.
struct ServicePortRules {
    /// Of one table.
    private(set) var rules = ChainRules()

    private let table: RuleTable
    private let name: ServicePortName
    private let family: IPFamily
    private let options: IPTablesOptions
    private var lists: [ListID: String] = [:]
    private var externals: [ExternalID: String] = [:]
    private var firewalls: [FirewallID: String] = [:]
    /// What comes before the choice of an endpoint, by the chain that makes it.
    private var marks: [String: [String]] = [:]
    private var picks: [(chain: String, rules: [String])] = []

    private struct ListID: Hashable {
        let backends: [Backend]
        let isLocalOnly: Bool
        let memory: UInt32?
    }

    private struct ExternalID: Hashable {
        let route: Route
        let near: Route?
        let memory: UInt32?
    }

    private struct FirewallID: Hashable {
        let sources: [CIDR]
        let target: String
    }

    /// - Parameter frontends: all of one service port and one family.
    init(
        _ frontends: [Frontend],
        of name: ServicePortName,
        in table: RuleTable,
        _ family: IPFamily,
        _ options: IPTablesOptions
    ) {
        self.table = table
        self.name = name
        self.family = family
        self.options = options
        for frontend in frontends.sorted(by: { $0.sortKey < $1.sortKey }) {
            if frontend.kind == .clusterIP { addInternal(frontend) } else { addExternal(frontend) }
        }
        for pick in picks { add(OwnChain(name: pick.chain, rules: (marks[pick.chain] ?? []) + pick.rules)) }
    }

    // MARK: Frontends

    private mutating func addInternal(_ frontend: Frontend) {
        guard let list = list(frontend.route, frontend) else {
            return refuse(frontend, in: ChainName.services, frontend.route.whenEmpty)
        }
        let match = match(frontend)
        let note = RuleText.comment("\(name) cluster IP")
        switch frontend.route.masquerade {
        case .never: break
        case .always: marks[list, default: []].append(mark(match, note, unless: nil))  // MQ-1
        case .unlessLocal:
            // MQ-2; without a detector nothing is known to be local, and all is left alone (1.8).
            if let local = localSources.first { marks[list, default: []].append(mark(match, note, unless: local)) }
        }
        dispatch(frontend, to: restricted(frontend, list), note)
    }

    private func mark(_ match: PacketMatch, _ note: String, unless local: LocalSource?) -> String {
        words(
            local?.source.map { "! \($0)" },
            match.destination,
            local?.interface.map { "! \($0)" },
            match.protocolWord,
            note
        ) + " \(match.port) -j \(ChainName.markMasquerade)"
    }

    private mutating func addExternal(_ frontend: Frontend) {
        let kind =
            switch frontend.kind {
            case .loadBalancerIP: " loadbalancer IP"
            case .externalIP: " external IP"
            case .nodePort, .clusterIP: " node port"
            }
        if let external = external(frontend) {
            dispatch(frontend, to: restricted(frontend, external), RuleText.comment("\(name)\(kind)"))
        }
        if frontend.route.backends.isEmpty {
            refuse(frontend, in: ChainName.externalServices, frontend.route.whenEmpty)
        }
    }

    private mutating func dispatch(_ frontend: Frontend, to target: String, _ note: String) {
        let match = match(frontend)
        add(
            SharedRule(
                chain: frontend.isNodePort ? ChainName.nodePorts : ChainName.services,
                rule: words(match.destination, match.protocolWord, note) + " \(match.port) -j \(target)"
            ),
            in: .nat
        )
    }

    private mutating func add(_ rule: SharedRule, in table: RuleTable) {
        if table == self.table { rules.shared.append(rule) }
    }

    /// Chains of service ports are all in the table nat.
    private mutating func add(_ chain: OwnChain) {
        if table == .nat { rules.add(chain) }
    }

    /// Without endpoints (FE-1, FE-2).
    private mutating func refuse(_ frontend: Frontend, in chain: String, _ refusal: Route.Refusal) {
        let match = match(frontend)
        let note = RuleText.comment("\(name) has no \(refusal == .reject ? "" : "local ")endpoints")
        let place = frontend.isNodePort ? " -m addrtype --dst-type LOCAL" : ""
        let verdict =
            switch (refusal, frontend.key.transport, family) {
            case (.drop, _, _): "DROP"
            case (.reject, .tcp, _): "REJECT --reject-with tcp-reset"
            case (.reject, _, .ipv4): "REJECT --reject-with icmp-port-unreachable"
            case (.reject, _, .ipv6): "REJECT --reject-with icmp6-port-unreachable"
            }
        add(
            SharedRule(
                chain: chain,
                rule: words(match.destination, match.protocolWord, note) + "\(place) \(match.port) -j \(verdict)"
            ),
            in: .filter
        )
    }

    // MARK: Chains

    /// The chain that picks an endpoint of a list; `nil` for an empty one.
    private mutating func list(_ route: Route, _ frontend: Frontend) -> String? {
        guard !route.backends.isEmpty else { return nil }
        let memory = frontend.affinityTimeout.flatMap { $0 == 0 ? nil : $0 }
        let id = ListID(backends: route.backends, isLocalOnly: route.isLocalOnly, memory: memory)
        if let chain = lists[id] { return chain }
        let index = lists.keys.count { $0.isLocalOnly == route.isLocalOnly }
        let chain = ChainName.servicePort(route.isLocalOnly ? .local : .cluster, name, index)
        lists[id] = chain
        guard table == .nat else { return chain }
        var rules: [String] = []
        let endpoints = route.backends.map { backend in
            (
                backend: backend, chain: ChainName.endpoint(backend, of: name),
                note: RuleText.comment("\(name) -> \(backend.socket)")
            )
        }
        if let memory {
            // SA-2: who is remembered goes where it was; the first in order wins (SA-5).
            for endpoint in endpoints {
                let recent = RuleText.recent("--rcheck --seconds \(memory) --reap", endpoint.chain, family)
                rules.append("\(endpoint.note) \(recent) -j \(endpoint.chain)")
            }
        }
        for (position, endpoint) in endpoints.enumerated() {
            let left = endpoints.count - position
            let chance = left > 1 ? " \(RuleText.oneIn(left))" : ""
            rules.append("\(endpoint.note)\(chance) -j \(endpoint.chain)")  // EP-8
            add(endpointChain(endpoint.chain, endpoint.backend, remembers: memory != nil))
        }
        picks.append((chain, rules))
        return chain
    }

    private func endpointChain(_ chain: String, _ backend: Backend, remembers: Bool) -> OwnChain {
        var rules: [String] = []
        // MQ-5
        if backend.isLocal { rules.append("-s \(backend.address.hostPrefix) -j \(ChainName.markMasquerade)") }
        let transport = name.transport.lowercased
        let memory = remembers ? " \(RuleText.recent("--set", chain, family))" : ""  // SA-3
        rules.append("-p \(transport)\(memory) -m \(transport) -j DNAT --to-destination \(backend.socket)")
        return OwnChain(name: chain, rules: rules)
    }

    /// The chain for what comes from outside (FE-5, FE-6); `nil` when there is no endpoint for anybody.
    private mutating func external(_ frontend: Frontend) -> String? {
        let id = ExternalID(route: frontend.route, near: frontend.nearRoute, memory: frontend.affinityTimeout)
        if let chain = externals[id] { return chain }
        var near: (route: Route, list: String)?
        if let route = frontend.nearRoute, let list = self.list(route, frontend) { near = (route, list) }
        let list = self.list(frontend.route, frontend)
        guard list != nil || near != nil else { return nil }
        var rules: [String] = []
        if let near { rules += nearRules(near.route, near.list) }
        if let list {
            let note = RuleText.comment("masquerade traffic for \(name) external destinations")
            switch frontend.route.masquerade {
            case .never: break
            case .always: rules.append("\(note) -j \(ChainName.markMasquerade)")
            case .unlessLocal:
                if let local = localSources.first {
                    rules.append("! \(local.match) \(note) -j \(ChainName.markMasquerade)")
                }
            }
            rules.append("-j \(list)")
        }
        let chain = ChainName.servicePort(.external, name, externals.count)
        externals[id] = chain
        add(OwnChain(name: chain, rules: rules))
        return chain
    }

    /// FE-6: pods keep their addresses, the node itself does not.
    private func nearRules(_ route: Route, _ list: String) -> [String] {
        var rules: [String] = []
        for source in localSources.map(\.match) {
            let note = RuleText.comment("pod traffic for \(name) external destinations")
            if route.masquerade == .always { rules.append("\(source) \(note) -j \(ChainName.markMasquerade)") }
            rules.append("\(source) \(note) -j \(list)")
        }
        let isLocal = "-m addrtype --src-type LOCAL"
        if route.masquerade != .never {
            let note = RuleText.comment("masquerade LOCAL traffic for \(name) external destinations")
            rules.append("\(note) \(isLocal) -j \(ChainName.markMasquerade)")
        }
        let note = RuleText.comment("route LOCAL traffic for \(name) external destinations")
        rules.append("\(note) \(isLocal) -j \(list)")
        return rules
    }

    /// Where a frontend leads: to a chain that lets only allowed sources on, if it has such (2.4).
    private mutating func restricted(_ frontend: Frontend, _ target: String) -> String {
        guard let sources = frontend.allowedSources else { return target }
        let chain = firewall(sources, before: target)
        // What that does not let through is not translated, and ends here (1.10, 8).
        let match = match(frontend)
        let note = RuleText.comment("\(name) traffic not accepted by \(chain)")
        add(
            SharedRule(
                chain: ChainName.firewall,
                rule: words(match.destination, match.protocolWord, note) + " \(match.port) -j DROP"
            ),
            in: .filter
        )
        return chain
    }

    private mutating func firewall(_ sources: [CIDR], before target: String) -> String {
        let id = FirewallID(sources: sources, target: target)
        if let chain = firewalls[id] { return chain }
        let chain = ChainName.servicePort(.sources, name, firewalls.count)
        firewalls[id] = chain
        let note = RuleText.comment("\(name) loadbalancer IP")
        add(OwnChain(name: chain, rules: sources.map { "-s \($0) \(note) -j \(target)" }))
        return chain
    }

    // MARK: Matches

    private struct PacketMatch {
        let destination: String?
        let protocolWord: String
        let port: String
    }

    private func match(_ frontend: Frontend) -> PacketMatch {
        switch frontend.key {
        case .address(let address, let transport, let port):
            PacketMatch(
                destination: "-d \(address.hostPrefix)",
                protocolWord: "-p \(transport.lowercased)",
                port: RuleText.port(transport, port)
            )
        case .nodePort(_, let transport, let port):
            PacketMatch(
                destination: nil,
                protocolWord: "-p \(transport.lowercased)",
                port: RuleText.port(transport, port)
            )
        }
    }

    /// What is known to be a pod, by its address or by the interface that it comes in by (1.8).
    private struct LocalSource {
        var source: String?
        var interface: String?

        var match: String { source ?? interface ?? "" }
    }

    private var localSources: [LocalSource] {
        switch options.surroundings.localSources {
        case .within:
            options.surroundings.localSources.prefixes(family).map { LocalSource(source: "-s \($0)") }
        case .interface(let name): [LocalSource(interface: "-i \(name)")]
        case .interfaces(let prefix):
            // With `+` it must be no longer than a name may be; and a name of that length begins with nothing else.
            [LocalSource(interface: prefix.utf8.count < Match.nameLimit ? "-i \(prefix)+" : "-i \(prefix)")]
        }
    }

    private func words(_ words: String?...) -> String { words.compactMap(\.self).joined(separator: " ") }
}
