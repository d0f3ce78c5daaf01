/// The input of `iptables-restore --noflush` for one table: all of it happens in one step, or nothing.
struct RestoreScript {
    let table: RuleTable
    private var declarations = ""
    private var rules = ""
    private var removals = ""
    private var declared: Set<String> = []
    /// How many chains and rules it is about.
    private(set) var count = 0
    /// Rules that it writes.
    private(set) var ruleCount = 0

    init(_ table: RuleTable) { self.table = table }

    var isEmpty: Bool { count == 0 }

    var text: String { "*\(table.rawValue)\n\(declarations)\(rules)\(removals)COMMIT\n" }

    /// Makes a chain, or empties the one that is there.
    mutating func declare(_ chain: String) {
        guard declared.insert(chain).inserted else { return }
        declarations += ":\(chain) - [0:0]\n"
        count += 1
    }

    /// A chain as it should be, whatever it was.
    mutating func write(_ chain: OwnChain) {
        declare(chain.name)
        for rule in chain.rules { append(rule, to: chain.name) }
    }

    mutating func append(_ rule: String, to chain: String) {
        rules += "-A \(chain) \(rule)\n"
        count += 1
        ruleCount += 1
    }

    /// As the first rule of its chain: so what has to be last there stays last.
    mutating func insert(_ rule: SharedRule) {
        rules += "-I \(rule.chain) \(rule.rule)\n"
        count += 1
        ruleCount += 1
    }

    /// A rule that has to be there.
    mutating func delete(_ rule: SharedRule) {
        rules += "-D \(rule.chain) \(rule.rule)\n"
        count += 1
    }

    /// A chain that no rule leads to any more.
    mutating func remove(_ chain: String) {
        declare(chain)
        removals += "-X \(chain)\n"
    }
}
