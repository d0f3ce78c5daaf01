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

    var name: String { "\(marking.rawValue)\(scope.prefix)\(isNear ? "near-" : "")pick-\(count)" }

    var verdict: Verdict { .goto(name) }

    init(marking: Marking, scope: Scope, isNear: Bool, count: Int) {
        self.marking = marking
        self.scope = scope
        self.isNear = isNear
        self.count = UInt32(count)
    }

    init?(name: String) {
        guard let dash = name.lastIndex(of: "-"), let count = UInt32(name[name.index(after: dash)...]), count > 0 else {
            return nil
        }
        for marking in Marking.allCases {
            for scope in Scope.allCases {
                for isNear in [false, true] {
                    let candidate = PickChain(marking: marking, scope: scope, isNear: isNear, count: Int(count))
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
