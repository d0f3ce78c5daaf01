/// What kube-proxy has put into the tables of iptables in its modes iptables and ipvs. Pure.
///
/// The kubelet's chains stay (KUBE-FIREWALL, KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT, and KUBE-MARK-MASQ, which both and
/// some CNI plugins use).
struct IPTablesLeftovers: Hashable {
    /// What `iptables-restore --noflush` reads in order to remove them, each table in one step; empty for nothing.
    let removal: String
    /// How many chains that removes.
    let chainCount: Int

    private static let chains: Set<Substring> = [
        "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-FORWARD", "KUBE-POSTROUTING",
        "KUBE-PROXY-FIREWALL", "KUBE-PROXY-CANARY",
        // ipvs
        "KUBE-LOAD-BALANCER", "KUBE-NODE-PORT", "KUBE-SOURCE-RANGES-FIREWALL", "KUBE-IPVS-FILTER",
        "KUBE-IPVS-OUT-FILTER",
    ]
    private static let prefixes = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-"]

    private static func isKubeProxys(_ chain: Substring) -> Bool {
        chains.contains(chain) || prefixes.contains { chain.hasPrefix($0) }
    }

    /// - Parameter saved: what `iptables-save` printed.
    init(in saved: String) {
        var removal = ""
        var count = 0
        var table: (name: Substring, chains: [Substring], rules: [Substring])?
        for line in saved.split(separator: "\n") {
            if line.hasPrefix("*") {
                table = (line, [], [])
            } else if line.hasPrefix(":") {
                let chain = line.dropFirst().prefix { $0 != " " }
                if Self.isKubeProxys(chain) { table?.chains.append(chain) }
            } else if line.hasPrefix("-A ") {
                let rule = line.dropFirst(3)
                guard !Self.isKubeProxys(rule.prefix { $0 != " " }), let target = SavedTable.target(of: rule),
                    Self.isKubeProxys(target)
                else { continue }
                table?.rules.append(rule)
            } else if line == "COMMIT", let done = table {
                table = nil
                guard !done.chains.isEmpty else { continue }
                count += done.chains.count
                var lines = [String(done.name)]
                // Declared anew, a chain is empty: so none is the target of another's rule when it goes.
                lines += done.chains.map { ":\($0) - [0:0]" }
                lines += done.rules.map { "-D \($0)" }
                lines += done.chains.map { "-X \($0)" }
                removal += lines.joined(separator: "\n") + "\nCOMMIT\n"
            }
        }
        self.removal = removal
        chainCount = count
    }
}
