import NetworkTypes

/// One table of one family, as this process has programmed it. Tells what a change asks for; does nothing itself.
struct ProgrammedChains: Sendable {
    let table: RuleTable
    let family: IPFamily
    let options: IPTablesOptions
    private var ports: [ServicePortName: [Frontend]] = [:]
    /// Those of which only `iptables-save` knows what is there, as their last change was refused.
    private(set) var uncertain: Set<ServicePortName> = []
    private var healthChecks: [String: UInt16] = [:]
    private var total = 0

    init(_ table: RuleTable, _ family: IPFamily, _ options: IPTablesOptions) {
        self.table = table
        self.family = family
        self.options = options
    }

    /// What is to be done at once.
    struct Batch {
        var script: RestoreScript
        /// As they are to be; empty for none.
        fileprivate(set) var ports: [ServicePortName: [Frontend]] = [:]
        /// Those among them that have to be looked at first.
        fileprivate(set) var uncertain: [ServicePortName] = []
        fileprivate var healthChecks: [String: UInt16] = [:]
        /// Whether something is refused from now on.
        fileprivate(set) var adds = false
        /// How many rules there are then.
        fileprivate(set) var total = 0
    }

    func rules(of frontends: [Frontend], _ port: ServicePortName) -> ChainRules {
        ServicePortRules(frontends, of: port, in: table, family, options).rules
    }

    func fixed(_ healthChecks: [String: UInt16]) -> FixedRules {
        FixedRules(table, family, options, healthChecks: healthChecks)
    }

    /// Whether other ports of health checks are written than there are.
    func isStale(_ healthChecks: [String: UInt16]) -> Bool { table == .filter && self.healthChecks != healthChecks }

    func batch(_ changes: [FrontendChange], healthChecks: [String: UInt16]) -> Batch {
        var batch = Batch(script: RestoreScript(table))
        batch.total = total
        batch.healthChecks = table == .filter ? healthChecks : [:]
        for change in changes {
            if let old = change.old {
                batch.ports[old.servicePort, default: ports[old.servicePort] ?? []].removeAll { $0.key == old.key }
            }
            if let new = change.new {
                batch.ports[new.servicePort, default: ports[new.servicePort] ?? []].removeAll { $0.key == new.key }
                batch.ports[new.servicePort, default: []].append(new)
            }
        }
        for (port, frontends) in batch.ports {
            guard !uncertain.contains(port) else {
                batch.uncertain.append(port)
                continue
            }
            let (old, new) = (rules(of: ports[port] ?? [], port), rules(of: frontends, port))
            let change = RuleChange(from: old, to: new)
            batch.script.add(change)
            batch.total += new.ruleCount - old.ruleCount
            if !change.insert.isEmpty { batch.adds = true }
        }
        if batch.healthChecks != self.healthChecks {
            let old = fixed(self.healthChecks).chains
            for chain in fixed(batch.healthChecks).chains where !old.contains(chain) { batch.script.write(chain) }
        }
        return batch
    }

    /// A batch has been carried out, but for some service ports.
    mutating func took(_ batch: Batch, except refused: Set<ServicePortName> = []) {
        healthChecks = batch.healthChecks
        total = batch.total
        for (port, frontends) in batch.ports where !refused.contains(port) {
            ports[port] = frontends.isEmpty ? nil : frontends
            uncertain.remove(port)
        }
        uncertain.formUnion(refused)
    }

    /// Everything has been compared with what was found.
    mutating func start(
        with ports: [ServicePortName: [Frontend]],
        healthChecks: [String: UInt16],
        total: Int,
        except refused: Set<ServicePortName>
    ) {
        self.total = total
        self.ports = ports.filter { !refused.contains($0.key) }
        self.healthChecks = table == .filter ? healthChecks : [:]
        uncertain = refused
    }

    func startPlan(
        from saved: SavedTable,
        to ports: [ServicePortName: [Frontend]],
        healthChecks: [String: UInt16]
    ) -> StartPlan {
        var rules: [ServicePortName: ChainRules] = [:]
        for (port, frontends) in ports { rules[port] = self.rules(of: frontends, port) }
        return StartPlan(table, family, from: saved, to: rules, fixed: fixed(healthChecks))
    }

    /// What a service port needs whose rules are not known, by what was found.
    func change(of port: ServicePortName, to frontends: [Frontend], from saved: SavedTable) -> RuleChange {
        let owner = SavedTable.owner(port)
        let found = fixed([:]).tails.map(\.name).flatMap { chain in
            (saved.chains[chain] ?? []).filter { SavedTable.owner(of: $0) == owner }
                .map { SharedRule(chain: chain, rule: $0) }
        }
        return RuleChange(found: found, in: saved, to: rules(of: frontends, port))
    }
}

extension FrontendChange {
    /// What is wanted after the change; `nil` when nothing is.
    var new: Frontend? {
        switch self {
        case .add(let frontend), .replace(_, let frontend): frontend
        case .remove: nil
        }
    }
}
