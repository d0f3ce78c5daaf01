import NFTables

/// The word by which a map of frontends names where their packets go.
///
/// Frontends have names and not verdicts because the kernel validates every jump of a table again whenever a verdict was
/// added to one of its maps, which would make each change of a list's length cost in proportion to all Services. The names
/// lead to verdicts in maps with one element for each chain (``ServiceTable/Maps/Scoped/frontendChains`` and its siblings).
enum DispatchName {
    static let bySource = "by-source"

    /// The name of a verdict; `nil` for one that no frontend has.
    static func name(of verdict: Verdict) -> String? {
        guard let chain = verdict.chain else { return verdict == .drop ? "drop" : nil }
        if chain == "refuse" { return chain }
        if Scope.allCases.contains(where: { chain == $0.prefix + bySource }) { return bySource }
        return PickChain(name: chain)?.code
    }

    /// The verdict of a name in the maps of a scope.
    static func verdict(of name: String, in scope: Scope) -> Verdict? {
        switch name {
        case "drop": .drop
        case "refuse": .goto(name)
        case bySource: .goto(scope.prefix + bySource)
        default: PickChain(code: name, scope: scope)?.verdict
        }
    }

    /// What a map has in front of the name: the name must not come in the first register that a look-up writes (see
    /// ``ServiceTable/dispatch(by:map:through:)``).
    static func data(_ name: String) -> Concatenation {
        var data = Concatenation()
        data.append(hostOrder: 0)
        data.append(name: name)
        return data
    }

    static func key(_ name: String) -> Concatenation {
        var key = Concatenation()
        key.append(name: name)
        return key
    }

    /// The fields of the data.
    static let fields: [Field] = [.mark, .inputInterface]
}
