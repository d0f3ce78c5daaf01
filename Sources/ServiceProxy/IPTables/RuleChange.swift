/// How the rules of one service port differ from what is there.
struct RuleChange: Hashable {
    private(set) var write: [OwnChain] = []
    private(set) var insert: [SharedRule] = []
    private(set) var delete: [SharedRule] = []
    private(set) var remove: [String] = []

    var isEmpty: Bool { write.isEmpty && insert.isEmpty && delete.isEmpty && remove.isEmpty }

    /// How many chains and rules it is about.
    var count: Int { write.reduce(insert.count + delete.count + remove.count) { $0 + 1 + $1.rules.count } }

    /// From what is known to be there.
    init(from old: ChainRules, to new: ChainRules) {
        let before = Set(old.chains)
        write = new.chains.filter { !before.contains($0) }
        remove = old.chains.map(\.name).filter { !new.names.contains($0) }
        insert = new.shared.filter { !old.shared.contains($0) }
        delete = old.shared.filter { !new.shared.contains($0) }
    }

    /// From what was found.
    ///
    /// - Parameters:
    ///   - found: the rules that this service port has in chains for all.
    ///   - saved: all that was found.
    init(found: [SharedRule], in saved: SavedTable, to new: ChainRules) {
        write = new.chains.filter { saved.chains[$0.name] != $0.rules }
        delete = found
        for rule in new.shared {
            if let index = delete.firstIndex(of: rule) { delete.remove(at: index) } else { insert.append(rule) }
        }
        // What is reached from here is of this service port alone.
        var visited: Set<String> = []
        var next = found.compactMap { SavedTable.target(of: $0.rule).map(String.init) } + new.chains.map(\.name)
        while let chain = next.popLast() {
            guard ChainName.isOfServicePort(chain), visited.insert(chain).inserted, let rules = saved.chains[chain]
            else { continue }
            if !new.names.contains(chain) { remove.append(chain) }
            next += rules.compactMap { SavedTable.target(of: $0).map(String.init) }
        }
        remove.sort()
    }
}

extension RestoreScript {
    /// - Parameter whole: chains that are written anew as a whole, so that their single rules need no change.
    mutating func add(_ change: RuleChange, except whole: Set<String> = []) {
        for chain in change.write { write(chain) }
        for rule in change.insert where !whole.contains(rule.chain) { insert(rule) }
        for rule in change.delete where !whole.contains(rule.chain) { delete(rule) }
        for chain in change.remove { remove(chain) }
    }
}
