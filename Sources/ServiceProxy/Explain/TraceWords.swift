import KubernetesAPI
import NFTables
import NetworkTypes
import ProxyAPI

/// Says in words what the rules did to a packet, and which setting of which Service is behind it.
struct TraceWords {
    let packet: SimulatedPacket
    let facts: DestinationFacts
    let options: NFTablesOptions
    /// How many backends the packet can go to.
    let backendCount: Int

    typealias Visit = PacketWalk.Visit
    typealias Candidate = DestinationFacts.Candidate

    private var destination: String { "\(hostPort(packet.destination, packet.destinationPort))/\(packet.transport)" }

    private func candidate(_ scope: Scope) -> Candidate? { facts.candidates.first { $0.key.scope == scope } }

    /// Whether a set or chain is that of node ports.
    private func scope(_ name: String) -> Scope { name.contains(Scope.nodePort.prefix) ? .nodePort : .service }

    /// The last look-up of a rule that was about the packet: the chain of a number follows from the element before.
    private func look(_ visit: Visit) -> Visit.LookUp? { visit.lookUps.last { !$0.set.hasSuffix("-chains") } }

    /// The set of a rule's last look-up, without the prefix of node ports.
    private func set(_ visit: Visit) -> String? {
        guard let name = look(visit)?.set else { return nil }
        let prefix = Scope.nodePort.prefix
        return name.hasPrefix(prefix) && name != "nodeport-addresses" ? String(name.dropFirst(prefix.count)) : name
    }

    /// The frontend that decided about a packet: the one that a rule found, or else the one at its destination.
    func candidate(of walk: PacketWalk) -> Candidate? {
        for visit in walk.visits {
            guard let look = look(visit), look.element != nil, let set = set(visit),
                ["frontends", "no-endpoints", "restricted", "allowed-sources", "connections"].contains(set)
            else { continue }
            return candidate(scope(look.set))
        }
        return candidate(.service)
    }

    // MARK: One step

    func step(_ visit: Visit) -> PacketTrace.Step {
        PacketTrace.Step(
            hook: "\(visit.hook)",
            chain: visit.chain,
            rule: visit.rule,
            element: element(visit),
            result: result(visit),
            why: why(visit)
        )
    }

    private func element(_ visit: Visit) -> String? {
        guard let look = look(visit), let element = look.element else { return nil }
        guard look.isRandom, backendCount > 1, let slot = look.key.lastIndex(of: " . ") else { return element }
        return "\(look.key[..<slot]) . 0-\(backendCount - 1)"
    }

    private func result(_ visit: Visit) -> String {
        switch visit.result {
        case .noMatch: return "no match"
        case .matched: return visit.mark == nil ? "match" : "marked for masquerade"
        case .verdict(let verdict): return "\(verdict)"
        case .translated(let address, let port):
            let isRandom = look(visit)?.isRandom == true && backendCount > 1
            return "dnat to " + (isRandom ? "one of \(backendCount)" : hostPort(address, port))
        case .masqueraded: return "masquerade"
        case .rejected(let withReset): return withReset ? "reject with tcp reset" : "reject"
        }
    }

    private func why(_ visit: Visit) -> String {
        let isFound = look(visit)?.element != nil
        let candidate = candidate(scope(look(visit)?.set ?? visit.chain))
        let name = candidate?.name ?? "a Service"
        if let pick = PickChain(name: visit.chain) { return why(visit, in: pick, self.candidate(pick.scope)) }
        switch (visit.chain, set(visit)) {
        case ("filter-prerouting", nil), ("filter-output-first", nil):
            return "a new connection: may its source connect?"
        case ("nat-prerouting", nil), ("nat-output", nil):
            return "a new connection: is its destination one of a Service?"
        case (_, nil) where visit.result == .verdict(.jump("check-cluster-ips")):
            return "was it left though it is for a cluster IP?"
        case ("filter-input", nil), ("filter-forward", nil), ("filter-output", nil):
            return visit.result == .noMatch
                ? "\(packet.destination) is no address of this node"
                : "does a Service without endpoints have its destination?"
        case (_, "restricted"): return "everyone may connect: no loadBalancerSourceRanges"
        case (_, "allowed-sources"):
            return isFound
                ? "\(packet.source) is in the loadBalancerSourceRanges of \(name)"
                : "\(packet.source) is in none of the loadBalancerSourceRanges of \(name)"
        case (_, "connections"): return isFound ? "counted for \(name)" : "nothing is counted for this destination"
        case (_, "nodeport-addresses"): return "\(packet.destination) is no address that serves node ports"
        case ("services", "frontends"): return isFound ? found(candidate, name) : notFound(candidate)
        case ("services", nil): return "\(packet.destination) is no address of this node that serves node ports"
        case (_, "local-sources"): return "\(packet.source) is in no range of pods"
        case (_, "near-frontends"):
            let source = visit.rule.hasPrefix("fib") ? "this node" : "a pod"
            return "the packet is from \(source): externalTrafficPolicy Local does not bind it"
        case (_, "far-frontends"):
            return isFound
                ? "the packet is from elsewhere: externalTrafficPolicy Local leaves the endpoints of this node"
                : "externalTrafficPolicy of \(name) is Local, and no endpoint is on this node"
        case (_, "no-endpoints"): return isFound ? empty(candidate) : "no Service without endpoints has the destination"
        case (_, "cluster-ips"): return isFound ? undefinedPort : "the destination is no cluster IP"
        case (_, "service-cidrs"):
            return isFound
                ? "\(packet.destination) is in a range that cluster IPs are taken from, and no Service has it"
                : "the destination is in no range of cluster IPs"
        case ("refuse", _):
            return visit.result == .noMatch ? "it is not TCP" : "so that the client fails at once and does not wait"
        case ("nat-postrouting", "hairpin"):
            return isFound
                ? "the endpoint reaches itself, and must not see its own address as the client's"
                : "the endpoint is not the client itself"
        case ("nat-postrouting", _):
            if visit.rule.hasPrefix("ct status dnat") { return "the packet was not translated" }
            return visit.result == .noMatch
                ? "not marked: the source address stays" : "marked: the source becomes the node's own address"
        case ("by-source", nil), ("nodeport-by-source", nil):
            return visit.rule.hasPrefix("fib")
                ? "the packet is not from this node" : "it came in by no interface of pods"
        default: return visit.comment ?? ""
        }
    }

    private func why(_ visit: Visit, in pick: PickChain, _ candidate: Candidate?) -> String {
        let route = pick.isNear ? candidate?.frontend?.nearRoute : candidate?.frontend?.route
        switch visit.result {
        case .translated:
            var text =
                switch look(visit)?.isRandom {
                case true: pick.count == 1 ? "the only endpoint" : "one of \(pick.count) endpoints, at random"
                default: "the endpoint that this client was sent to before"
                }
            if let policy = policy(candidate, route) { text += "; \(policy)" }
            if pick.memory > 0 { text += "; sessionAffinity is ClientIP, remembered for \(pick.memory) s" }
            return text
        case .noMatch where visit.rule.contains("mark set"): return "\(packet.source) is a pod and keeps its address"
        case .noMatch:
            return look(visit)?.set == "affinity-endpoints"
                ? "the endpoint that is remembered for \(packet.source) is gone"
                : "no endpoint is remembered for \(packet.source)"
        default: break
        }
        guard visit.mark != nil else { return visit.comment ?? "" }
        switch pick.marking {
        case .unlessLocal: return "\(packet.source) is no pod: replies have to come back through this node"
        case .always where pick.isNear: return "the packet is from this node: replies have to come back to it"
        case .always where candidate?.frontend?.kind == .clusterIP: return "masqueradeAll is on"
        case .always, .never: return "externalTrafficPolicy is Cluster: replies have to come back through this node"
        }
    }

    private func found(_ candidate: Candidate?, _ name: String) -> String {
        guard let frontend = candidate?.frontend else { return "" }
        switch frontend.kind {
        case .clusterIP: return "the cluster IP of \(name)"
        case .externalIP: return "an external IP of \(name)"
        case .loadBalancerIP: return "a load-balancer IP of \(name)"
        case .nodePort: return "the node port of \(name)"
        }
    }

    private func notFound(_ candidate: Candidate?) -> String {
        guard let candidate else { return "no Service has this destination" }
        guard candidate.frontend != nil else { return "\(candidate.name ?? "a Service") is not programmed yet" }
        return "\(candidate.name ?? "a Service") has this destination, and no endpoint to send to"
    }

    private var undefinedPort: String {
        let owner = facts.neighbours.first { $0.kind == .clusterIP }?.servicePort
        return "\(packet.destination) is a cluster IP\(owner.map { " of \($0.namespace)/\($0.name)" } ?? ""), "
            + "and no Service has \(packet.transport) port \(packet.destinationPort) there"
    }

    /// Which policy has left the backends that there are.
    private func policy(_ candidate: Candidate?, _ route: Route?) -> String? {
        guard let frontend = candidate?.frontend, let route, route.isLocalOnly else { return nil }
        return "\(frontend.policyName) is Local: only those of this node"
    }

    private func empty(_ candidate: Candidate?) -> String {
        guard let candidate, let frontend = candidate.frontend else { return "" }
        let name = candidate.name ?? ""
        return frontend.route.whenEmpty == .drop
            ? "\(frontend.policyName) of \(name) is Local, and no endpoint is on this node"
            : "\(name) has no endpoint that is ready, on any node"
    }

    // MARK: The whole

    func verdict(of walk: PacketWalk) -> PacketTrace.Verdict {
        switch walk.end {
        case .dropped: .dropped
        case .rejected: .rejected
        case .delivered, .sent: walk.packet.isTranslated || walk.isTranslated ? .translated : .untouched
        }
    }

    func summary(of walk: PacketWalk) -> String {
        // The rule that decided; what the kernel does with the rest of them is detail.
        let deciding = walk.visits.last { visit in
            switch visit.result {
            case .translated, .rejected, .verdict(.drop): true
            case .verdict(.goto("refuse")): true
            default: false
            }
        }
        switch verdict(of: walk) {
        case .dropped: return deciding.map { why($0) } ?? ""
        case .rejected:
            let cause = walk.visits.last { $0.result == .verdict(.goto("refuse")) }
            return cause.map { why($0) } ?? ""
        case .translated:
            let candidate = candidate(of: walk)
            return "\(found(candidate, candidate?.name ?? "a Service")): \(deciding.map { why($0) } ?? "")"
        case .untouched: return "no Service has \(destination); the proxy leaves the packet as it is"
        }
    }

    /// What else one should know.
    func notes(of walk: PacketWalk) -> [String] {
        var notes: [String] = []
        let sources = facts.surroundings.localSources
        if packet.inputInterface.isEmpty, walk.visits.first?.hook == .prerouting, sources.detects(packet.source.family),
            sources.prefixes(packet.source.family).isEmpty
        {
            notes.append("pods are \(sources): without --interface the packet counts as none of theirs")
        }
        for candidate in facts.candidates {
            let name = candidate.name ?? "a Service"
            switch candidate.standing {
            case .programmed, .conflicting: break
            case .waiting: notes.append("a change of \(candidate.key) of \(name) waits to be programmed")
            case .refused(let reason): notes.append("a change of \(candidate.key) of \(name) was refused: \(reason)")
            }
            for loser in candidate.losers {
                notes.append("\(loser) wants \(candidate.key) too; \(name) is older and has it")
            }
        }
        if candidate(.service) != nil, candidate(.nodePort) != nil, verdict(of: walk) == .translated {
            notes.append("\(packet.destinationPort) is a node port too; the exact address comes first")
        }
        guard candidate(.service) == nil, verdict(of: walk) != .translated else { return notes }
        if let nodePort = candidate(.nodePort),
            !walk.visits.contains(where: { set($0) == "no-endpoints" && look($0)?.element != nil })
        {
            let selection = facts.surroundings.nodePorts[packet.destination.family] ?? .all
            notes.append(
                "\(packet.destinationPort) is a node port of \(nodePort.name ?? "a Service"), which is served \(selection)"
            )
        }
        for neighbour in facts.neighbours.prefix(8) {
            notes.append(
                "\(packet.destination) has \(neighbour.servicePort.transport) port \(neighbour.port): "
                    + "\(neighbour.servicePort)"
            )
        }
        for service in facts.proxied {
            notes.append(
                "\(packet.destination) is a load-balancer IP of \(service) with ipMode Proxy, left to its load balancer"
            )
        }
        return notes
    }
}

extension DestinationFacts.Candidate {
    /// `namespace/name:port`
    fileprivate var name: String? {
        frontend.map { "\($0.servicePort)" } ?? service.map { "\($0.metadata.objectName)" }
    }
}

extension Frontend {
    /// The field of the Service that binds traffic to this node.
    fileprivate var policyName: String { kind == .clusterIP ? "internalTrafficPolicy" : "externalTrafficPolicy" }
}

extension PacketWalk {
    /// Also where a backend is at the very address that was dialled.
    fileprivate var isTranslated: Bool {
        visits.contains { if case .translated = $0.result { true } else { false } }
    }
}

extension String {
    /// Where a text begins for the last time.
    fileprivate func lastIndex(of text: String) -> String.Index? {
        var index = endIndex
        while index > startIndex {
            index = self.index(before: index)
            if self[index...].hasPrefix(text) { return index }
        }
        return nil
    }
}
