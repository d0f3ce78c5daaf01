import NetworkTypes

/// What one table has beside that of service ports: where packets come in, and the chains for all. Pure.
struct FixedRules: Hashable {
    /// Chains that nobody else has a part in.
    private(set) var chains: [OwnChain] = []
    /// Of chains that service ports have rules in: what comes after those.
    private(set) var tails: [OwnChain] = []
    /// Rules of the chains that the kernel starts with, in the order in which they should be met.
    private(set) var jumps: [SharedRule] = []

    var ruleCount: Int { (chains + tails).reduce(jumps.count) { $0 + $1.rules.count } }

    /// - Parameter healthChecks: the `healthCheckNodePort`s that are answered on, by the name of their Service.
    init(
        _ table: RuleTable,
        _ family: IPFamily,
        _ options: IPTablesOptions,
        healthChecks: [String: UInt16] = [:]
    ) {
        let canary = RuleText.comment("the KUBE- chains of this table are of swiftlet-proxy")
        chains.append(OwnChain(name: ChainName.canary, rules: [canary]))
        switch table {
        case .nat: addNAT(family, options)
        case .filter: addFilter(family, options, healthChecks)
        }
    }

    private mutating func jump(_ from: [String], to chain: String, _ note: String, isForNew: Bool = false) {
        for hook in from {
            let state = isForNew ? "-m conntrack --ctstate NEW " : ""
            jumps.append(SharedRule(chain: hook, rule: "\(state)\(RuleText.comment(note)) -j \(chain)"))
        }
    }

    private mutating func addNAT(_ family: IPFamily, _ options: IPTablesOptions) {
        let mark = RuleText.hexadecimal(options.masqueradeMark)
        chains += [
            OwnChain(name: ChainName.markMasquerade, rules: ["-j MARK --set-xmark \(mark)/\(mark)"]),
            OwnChain(
                name: ChainName.postrouting,
                rules: [
                    "-m mark ! --mark \(mark)/\(mark) -j RETURN",
                    // So that a copy in a tunnel is not masqueraded again (MQ-4).
                    "-j MARK --set-xmark \(mark)/0x0",
                    RuleText.comment("kubernetes service traffic requiring SNAT") + " -j MASQUERADE --random-fully",
                ]
            ),
        ]
        tails = [
            OwnChain(name: ChainName.services, rules: Self.nodePortJumps(family, options)),
            OwnChain(name: ChainName.nodePorts, rules: []),
        ]
        jump(["PREROUTING", "OUTPUT"], to: ChainName.services, "kubernetes service portals")
        jump(["POSTROUTING"], to: ChainName.postrouting, "kubernetes postrouting rules")
    }

    /// On which addresses node ports are served (1.7). After all addresses of Services (FE-7).
    private static func nodePortJumps(_ family: IPFamily, _ options: IPTablesOptions) -> [String] {
        let note = RuleText.comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain")
        let isLocal = "-m addrtype --dst-type LOCAL"
        let loopback = family == .ipv4 ? "127.0.0.0/8" : "::1/128"
        let servesLoopback = family == .ipv4 && options.servesLoopback
        switch options.surroundings.nodePorts[family] ?? .all {
        case .all:
            let place = servesLoopback ? "" : "! -d \(loopback) "
            return ["\(place)\(note) \(isLocal) -j \(ChainName.nodePorts)"]
        case .only(let addresses):
            var rules = addresses.filter { !$0.isLoopback }.sorted().map {
                "-d \($0.hostPrefix) \(note) -j \(ChainName.nodePorts)"
            }
            if servesLoopback { rules.append("-d \(loopback) \(note) \(isLocal) -j \(ChainName.nodePorts)") }
            return rules
        }
    }

    private mutating func addFilter(_ family: IPFamily, _ options: IPTablesOptions, _ healthChecks: [String: UInt16]) {
        let mark = RuleText.hexadecimal(options.masqueradeMark)
        var forward = [
            "\(RuleText.comment("kubernetes forwarding rules")) -m mark --mark \(mark)/\(mark) -j ACCEPT",
            RuleText.comment("kubernetes forwarding conntrack rule")
                + " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ]
        if options.dropsInvalid { forward.insert("-m conntrack --ctstate INVALID -j DROP", at: 0) }
        let accepted = healthChecks.sorted { $0.key < $1.key }.map { service, port in
            "-p tcp \(RuleText.comment("\(service) health check node port")) -m tcp --dport \(port) -j ACCEPT"
        }
        chains += [
            OwnChain(name: ChainName.forward, rules: forward),
            OwnChain(name: ChainName.nodePorts, rules: accepted),
        ]
        let unallocated = options.surroundings.serviceCIDRs.filter { $0.family == family }.sorted().map { range in
            "-d \(range) \(RuleText.comment("kubernetes cluster IPs without a service port")) -j DROP"
        }
        tails = [
            OwnChain(name: ChainName.services, rules: unallocated),
            OwnChain(name: ChainName.externalServices, rules: []),
            OwnChain(name: ChainName.firewall, rules: []),
        ]
        let hooks = ["INPUT", "FORWARD", "OUTPUT"]
        jump(hooks, to: ChainName.firewall, "kubernetes load balancer firewall", isForNew: true)
        jump(["INPUT"], to: ChainName.nodePorts, "kubernetes health check service ports")
        jump(hooks, to: ChainName.externalServices, "kubernetes externally-visible service portals", isForNew: true)
        jump(["FORWARD", "OUTPUT"], to: ChainName.services, "kubernetes service portals", isForNew: true)
        jump(["FORWARD"], to: ChainName.forward, "kubernetes forwarding rules")
        if family == .ipv4, options.servesLoopback {
            let note = RuleText.comment("block incoming localnet connections")
            chains.append(
                OwnChain(
                    name: ChainName.loopback,
                    rules: [
                        "! -s 127.0.0.0/8 -d 127.0.0.0/8 \(note) -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT "
                            + "-j DROP"
                    ]
                )
            )
            jump(["INPUT", "OUTPUT"], to: ChainName.loopback, "swiftlet-proxy: loopback addresses")
        }
    }
}
