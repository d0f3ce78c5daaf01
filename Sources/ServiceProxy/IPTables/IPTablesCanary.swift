import NetworkTypes

/// Looks from time to time whether the rules are still there (1.10, 4): a chain in each table says so, with a rule in it,
/// so that emptying all chains shows too.
actor IPTablesCanary {
    private let tools: IPTablesTools
    private let families: [IPFamily]
    private let interval: Duration
    private let drift: AsyncStream<BackendDrift>.Continuation
    private var task: Task<Void, Never>?

    init(
        tools: IPTablesTools,
        families: [IPFamily],
        interval: Duration,
        _ drift: AsyncStream<BackendDrift>.Continuation
    ) {
        self.tools = tools
        self.families = families
        self.interval = interval
        self.drift = drift
    }

    deinit {
        task?.cancel()
        drift.finish()
    }

    /// Begins to look, if it has not yet.
    func watch() {
        guard task == nil else { return }
        let (tools, families, interval, drift) = (tools, families, interval, drift)
        task = Task {
            while (try? await Task.sleep(for: interval)) != nil {
                var gone: [String] = []
                for family in families {
                    for table in RuleTable.allCases where await Self.isGone(tools, table, family) {
                        gone.append("table \(table.rawValue) of \(tools.flavour.program(family))")
                    }
                }
                // One repair for all.
                guard !gone.isEmpty else { continue }
                drift.yield(BackendDrift(what: "rules in \(gone.joined(separator: ", "))", by: "unknown"))
            }
        }
    }

    func rest() {
        task?.cancel()
        task = nil
    }

    /// What is looked at: the canary, and where packets come in, as others empty the chains of the kernel alone too.
    private static func watched(_ table: RuleTable) -> [(chain: String, sign: String)] {
        let entries = table == .nat ? ["PREROUTING", "OUTPUT"] : ["FORWARD"]
        return [(ChainName.canary, "-A ")] + entries.map { ($0, " -j \(ChainName.services)") }
    }

    private static func isGone(_ tools: IPTablesTools, _ table: RuleTable, _ family: IPFamily) async -> Bool {
        for (chain, sign) in watched(table) {
            do {
                let rules = try await tools.rules(of: chain, in: table, family) ?? ""
                let isThere = rules.split(separator: "\n").contains { $0.hasPrefix(sign) || $0.hasSuffix(sign) }
                if !isThere { return true }
            } catch {
                return false  // The lock is held, or the tool could not run: it can be told the next time.
            }
        }
        return false
    }
}
