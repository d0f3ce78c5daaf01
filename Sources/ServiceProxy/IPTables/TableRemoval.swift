/// What removes a service proxy from one table. Pure.
struct TableRemoval {
    let script: RestoreScript

    init(_ table: RuleTable, of saved: SavedTable) {
        var script = RestoreScript(table)
        // CNI plugins mark packets for masquerade with these.
        let isUsed = saved.jumps.contains {
            !RuleTable.builtInChains.contains($0.chain)
                && SavedTable.target(of: $0.rule) == ChainName.markMasquerade[...]
        }
        let kept: Set<String> = isUsed ? [ChainName.markMasquerade, ChainName.postrouting] : []
        for jump in saved.jumps {
            guard let target = SavedTable.target(of: jump.rule), !kept.contains(String(target)) else { continue }
            script.delete(jump)
        }
        for chain in saved.chains.keys.sorted() where !kept.contains(chain) { script.remove(chain) }
        self.script = script
    }
}
