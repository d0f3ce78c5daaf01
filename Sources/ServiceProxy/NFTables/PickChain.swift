import NFTables

/// A chain that picks one of N backends at random and sends the connection there.
///
/// Its name says all about it, so that one can be recognized when a table is read back.
struct PickChain: Hashable, Sendable {
    /// When packets are marked for masquerade on the way.
    enum Marking: String, Hashable, Sendable, CaseIterable {
        case never = ""
        case always = "masquerade-"
        case unlessLocal = "masquerade-unless-local-"
    }

    let marking: Marking
    let scope: Scope
    let isNear: Bool
    /// The length of the list; at least 1.
    let count: UInt32
    /// How long a client is remembered, in seconds; 0 when it is not (SA-1).
    let memory: UInt32

    var name: String {
        let ending = memory == 0 ? "" : "-for-\(memory)s"
        return "\(marking.rawValue)\(scope.prefix)\(isNear ? "near-" : "")pick-\(count)\(ending)"
    }

    var verdict: Verdict { .goto(name) }

    init(marking: Marking, scope: Scope, isNear: Bool, count: Int, memory: UInt32 = 0) {
        self.marking = marking
        self.scope = scope
        self.isNear = isNear
        self.count = UInt32(count)
        self.memory = memory
    }

    init?(name: String) {
        var words = name.split(separator: "-", omittingEmptySubsequences: false)
        var memory: UInt32 = 0
        if words.count > 2, words[words.count - 2] == "for", let last = words.last, last.hasSuffix("s") {
            guard let seconds = UInt32(last.dropLast()), seconds > 0 else { return nil }
            memory = seconds
            words.removeLast(2)
        }
        guard let count = words.last.flatMap({ UInt32($0) }), count > 0 else { return nil }
        for marking in Marking.allCases {
            for scope in Scope.allCases {
                for isNear in [false, true] {
                    let candidate = PickChain(
                        marking: marking,
                        scope: scope,
                        isNear: isNear,
                        count: Int(count),
                        memory: memory
                    )
                    if candidate.name == name {
                        self = candidate
                        return
                    }
                }
            }
        }
        return nil
    }
}

/// The two kinds of frontends, each with its own maps and chains.
enum Scope: Hashable, Sendable, CaseIterable {
    /// An address and a port.
    case service
    /// A port on any address that serves node ports.
    case nodePort

    var prefix: String { self == .service ? "" : "nodeport-" }
}
