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

    init(marking: Marking, scope: Scope, isNear: Bool, count: Int, memory: UInt32 = 0) {
        self.marking = marking
        self.scope = scope
        self.isNear = isNear
        self.count = UInt32(count)
        self.memory = memory
    }

    /// The chain for a list of a frontend; `nil` when the list is empty.
    init?(_ route: Route, of frontend: Frontend, isNear: Bool, hasLocalDetector: Bool) {
        guard !route.backends.isEmpty else { return nil }
        let marking: Marking =
            switch route.masquerade {
            case .never: .never
            case .always: .always
            // Without a detector nothing is known to be local: traffic of services is left alone (1.8), and what
            // is near can only come from the node itself (FE-6).
            case .unlessLocal: hasLocalDetector ? .unlessLocal : isNear ? .always : .never
            }
        self.init(
            marking: marking,
            scope: frontend.key.scope,
            isNear: isNear,
            count: route.backends.count,
            memory: frontend.affinityTimeout ?? 0
        )
    }

    /// The chains for the lists of a frontend.
    static func all(for frontend: Frontend, hasLocalDetector: Bool) -> [PickChain] {
        [(frontend.route, false), (frontend.nearRoute, true)].compactMap { route, isNear in
            route.flatMap { PickChain($0, of: frontend, isNear: isNear, hasLocalDetector: hasLocalDetector) }
        }
    }

    init?(name: String) {
        var rest = name[...]
        func take(_ prefix: String) -> Bool {
            guard rest.hasPrefix(prefix) else { return false }
            rest.removeFirst(prefix.utf8.count)
            return true
        }
        marking =
            take(Marking.unlessLocal.rawValue) ? .unlessLocal : take(Marking.always.rawValue) ? .always : .never
        scope = take(Scope.nodePort.prefix) ? .nodePort : .service
        isNear = take("near-")
        guard take("pick-") else { return nil }
        let numbers = rest.split(separator: "-", maxSplits: 1)
        guard let count = numbers.first.flatMap({ UInt32($0) }), count > 0 else { return nil }
        self.count = count
        memory = numbers.count < 2 ? 0 : UInt32(numbers[1].drop { !$0.isNumber }.prefix { $0.isNumber }) ?? 0
        // Whatever else is in the name makes it another one.
        guard self.name == name else { return nil }
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
