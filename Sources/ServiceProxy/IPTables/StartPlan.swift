import NetworkTypes

/// How one table becomes what it should be, from what was found in it. Pure.
struct StartPlan {
    /// One service port that is not as it should be.
    struct Unit {
        /// `nil` for one that is wanted no longer.
        let port: ServicePortName?
        let change: RuleChange
    }

    /// All of it.
    let whole: RestoreScript
    /// The parts, for when that is refused: first what is for all,
    let fixed: RestoreScript
    /// then service port by service port,
    let units: [Unit]
    /// and at last chains that nothing leads to.
    let leftovers: RestoreScript
    /// How many rules there are in the end.
    let total: Int
    /// Frontends that were found and that nobody wants.
    let removed: Set<Frontend.Key>

    /// More chains and rules than this are written in several runs: the time that `iptables-nft-restore` takes grows with
    /// the square of its input. Each run leaves whole service ports behind.
    static let runLimit = 10_000

    /// From so many changed rules on, a chain is written anew: finding a rule takes as long as the chain.
    static let rewriteLimit = 32

    init(
        _ table: RuleTable,
        _ family: IPFamily,
        from saved: SavedTable,
        to ports: [ServicePortName: ChainRules],
        fixed: FixedRules
    ) {
        let shared = Set(fixed.tails.map(\.name))
        var found: [String: [SharedRule]] = [:]
        for chain in shared {
            for rule in saved.chains[chain] ?? [] {
                guard let owner = SavedTable.owner(of: rule) else { continue }
                found[owner, default: []].append(SharedRule(chain: chain, rule: rule))
            }
        }
        var units: [Unit] = []
        var reached: Set<String> = []
        for (port, rules) in ports {
            let change = RuleChange(
                found: found.removeValue(forKey: SavedTable.owner(port)) ?? [],
                in: saved,
                to: rules
            )
            if !change.isEmpty { units.append(Unit(port: port, change: change)) }
            reached.formUnion(rules.chains.map(\.name))
            reached.formUnion(change.remove)
        }
        for rules in found.values {
            let change = RuleChange(found: rules, in: saved, to: ChainRules())
            units.append(Unit(port: nil, change: change))
            reached.formUnion(change.remove)
        }
        units.sort { ($0.port?.description ?? "~") < ($1.port?.description ?? "~") }
        self.units = units

        let wanted = Set(fixed.chains.map(\.name)).union(shared)
        let unreached = saved.chains.keys.filter { !wanted.contains($0) && !reached.contains($0) }.sorted()
        var leftovers = RestoreScript(table)
        for chain in unreached { leftovers.remove(chain) }
        self.leftovers = leftovers

        var changed: [String: Int] = [:]
        for unit in units {
            for rule in unit.change.insert + unit.change.delete { changed[rule.chain, default: 0] += 1 }
        }
        let rewritten = Set(changed.filter { $0.value > Self.rewriteLimit }.keys)
        self.fixed = Self.script(table, saved, fixed, rewriting: [], ports)
        var whole = Self.script(table, saved, fixed, rewriting: rewritten, ports)
        for unit in units { whole.add(unit.change, except: rewritten) }
        for chain in unreached { whole.remove(chain) }
        self.whole = whole

        total = fixed.ruleCount + ports.values.reduce(0) { $0 + $1.ruleCount }
        let gone = units.flatMap { $0.change.delete.compactMap { SavedTable.key(of: $0, family) } }
        let there = Set(ports.values.flatMap { $0.shared.compactMap { SavedTable.key(of: $0, family) } })
        removed = table == .nat ? Set(gone).subtracting(there) : []
    }

    /// The units in as few runs as that takes.
    var runs: [ArraySlice<Unit>] {
        var runs: [ArraySlice<Unit>] = []
        var (start, size) = (0, 0)
        for (index, unit) in units.enumerated() {
            let count = unit.change.count
            if size + count > Self.runLimit, index > start {
                runs.append(units[start..<index])
                (start, size) = (index, 0)
            }
            size += count
        }
        if start < units.count { runs.append(units[start...]) }
        return runs
    }

    private static func script(
        _ table: RuleTable,
        _ saved: SavedTable,
        _ fixed: FixedRules,
        rewriting: Set<String>,
        _ ports: [ServicePortName: ChainRules]
    ) -> RestoreScript {
        var script = RestoreScript(table)
        for chain in fixed.chains where saved.chains[chain.name] != chain.rules { script.write(chain) }
        var rewritten: [String: [String]] = [:]
        for rule in rewriting.isEmpty ? [] : ports.values.flatMap(\.shared) where rewriting.contains(rule.chain) {
            rewritten[rule.chain, default: []].append(rule.rule)
        }
        for tail in fixed.tails {
            let rules = saved.chains[tail.name]
            if rules == nil || rewriting.contains(tail.name) {
                script.write(OwnChain(name: tail.name, rules: (rewritten[tail.name] ?? []).sorted() + tail.rules))
                continue
            }
            let ownerless = rules?.filter { SavedTable.owner(of: $0) == nil } ?? []
            guard ownerless != tail.rules || (rules ?? []).suffix(tail.rules.count) != tail.rules[...] else { continue }
            for rule in ownerless { script.delete(SharedRule(chain: tail.name, rule: rule)) }
            for rule in tail.rules { script.append(rule, to: tail.name) }
        }
        let missing = fixed.jumps.filter { !saved.jumps.contains($0) }
        for jump in missing.reversed() { script.insert(jump) }
        var needed = Set(fixed.jumps)
        // What other programs have in chains of theirs is their own.
        for jump in saved.jumps where RuleTable.builtInChains.contains(jump.chain) && needed.remove(jump) == nil {
            script.delete(jump)
        }
        return script
    }
}
