/// A chain with all of its rules.
struct OwnChain: Hashable {
    let name: String
    /// In their order, without `-A NAME`.
    let rules: [String]
}

/// A rule in a chain that several service ports share; its place there does not matter.
struct SharedRule: Hashable {
    let chain: String
    /// Without `-A NAME`.
    let rule: String
}

/// What one service port has in one table.
struct ChainRules: Hashable {
    /// Chains of its own.
    private(set) var chains: [OwnChain] = []
    var shared: [SharedRule] = []
    private(set) var names: Set<String> = []

    var ruleCount: Int { chains.reduce(shared.count) { $0 + $1.rules.count } }

    /// Adds a chain that may be there already.
    mutating func add(_ chain: OwnChain) {
        if names.insert(chain.name).inserted { chains.append(chain) }
    }
}

/// The tables of iptables that a proxy writes to.
enum RuleTable: String, CaseIterable {
    case nat, filter

    /// The chains that the kernel begins with.
    static let builtInChains: Set<String> = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]
}
