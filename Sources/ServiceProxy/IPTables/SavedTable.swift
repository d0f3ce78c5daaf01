import NetworkTypes

/// What `iptables-save` says of one table, as far as it concerns a service proxy. Pure.
struct SavedTable: Hashable {
    /// The chains of a service proxy, with their rules.
    private(set) var chains: [String: [String]] = [:]
    /// Rules of other chains that lead into one of those.
    private(set) var jumps: [SharedRule] = []
    /// Whether the kubelet has marked this table, by which one knows the flavour that a node uses.
    private(set) var hasKubeletHint = false
    private(set) var ruleCount = 0

    init() {}

    /// - Parameter saved: of one or several tables.
    init(_ table: RuleTable, in saved: String) { self = Self.all(in: saved)[table.rawValue] ?? SavedTable() }

    /// By the names of their tables.
    static func all(in saved: String) -> [String: SavedTable] {
        var tables: [String: SavedTable] = [:]
        var name = ""
        var table = SavedTable()
        for line in saved.split(separator: "\n") {
            if line.hasPrefix("-A ") {
                table.addRule(line.dropFirst(3))
            } else if line.hasPrefix(":") {
                let chain = line.dropFirst().prefix { $0 != " " }
                if ChainName.isOfProxy(chain) { table.chains[String(chain), default: []] += [] }
                if chain == "KUBE-IPTABLES-HINT" || chain == "KUBE-KUBELET-CANARY" { table.hasKubeletHint = true }
            } else if line.hasPrefix("*") {
                (name, table) = (String(line.dropFirst()), SavedTable())
            } else if line == "COMMIT" {
                tables[name] = table
            }
        }
        return tables
    }

    private mutating func addRule(_ text: Substring) {
        ruleCount += 1
        let chain = text.prefix { $0 != " " }
        let rule = String(text.dropFirst(chain.utf8.count + 1))
        if ChainName.isOfProxy(chain) {
            chains[String(chain), default: []].append(rule)
        } else if let target = Self.target(of: rule), ChainName.isOfProxy(target) {
            jumps.append(SharedRule(chain: String(chain), rule: rule))
        }
    }

    var hasCanary: Bool { chains[ChainName.canary] != nil }
    /// Whether a service proxy has been at work here.
    var isInUse: Bool { chains[ChainName.services] != nil }

    static func target(of rule: String) -> Substring? { target(of: rule[...]) }

    /// Where a rule sends packets. The text of a comment may hold anything, but comes before.
    static func target(of rule: Substring) -> Substring? {
        let bytes = rule.utf8
        // From the end: `-j TARGET`, and after it only options of targets that are no chains.
        var end = bytes.endIndex
        while let space = bytes[..<end].lastIndex(of: UInt8(ascii: " ")) {
            let word = rule[bytes.index(after: space)..<end]
            let before = rule[..<space]
            if before.hasSuffix(" -j") || before.hasSuffix(" -g") || before == "-j" || before == "-g" { return word }
            end = space
        }
        return nil
    }

    /// Whose a rule is, by its comment: `tcp default/web:http`. `nil` for one that is of no service port.
    static func owner(of rule: String) -> String? {
        guard let note = rule.range(of: "--comment \""), let transport = word(after: "-p ", in: rule) else {
            return nil
        }
        let text = rule[note.upperBound...].prefix { $0 != " " && $0 != "\"" }
        return text.contains("/") ? "\(transport) \(text)" : nil
    }

    static func owner(_ port: ServicePortName) -> String {
        // As the comment has it.
        let note = RuleText.comment("\(port) ")
        return "\(port.transport.lowercased) \(note.dropFirst("-m comment --comment \"".count).prefix { $0 != " " })"
    }

    /// What a rule that leads to a service port matches.
    static func key(of rule: SharedRule, _ family: IPFamily) -> Frontend.Key? {
        guard let port = word(after: "--dport ", in: rule.rule).flatMap({ UInt16($0) }),
            let name = word(after: "-p ", in: rule.rule),
            let transport = TransportProtocol.allCases.first(where: { $0.lowercased == name })
        else { return nil }
        if rule.chain == ChainName.nodePorts { return .nodePort(family, transport, port) }
        guard let destination = word(after: "-d ", in: rule.rule).flatMap({ CIDR(String($0)) }) else { return nil }
        return .address(destination.address, transport, port)
    }

    private static func word(after option: String, in rule: String) -> Substring? {
        guard let range = rule.range(of: option) else { return nil }
        return rule[range.upperBound...].prefix { $0 != " " }
    }
}

extension String {
    /// The first place of a text. Foundation has this too, which is not needed for it.
    fileprivate func range(of text: String) -> Range<Index>? {
        let (all, wanted) = (Array(text.utf8), self.utf8)
        var start = wanted.startIndex
        while let first = wanted[start...].firstIndex(of: all[0]) {
            let rest = wanted[first...]
            if rest.starts(with: all) { return first..<rest.index(first, offsetBy: all.count) }
            start = wanted.index(after: first)
        }
        return nil
    }
}
