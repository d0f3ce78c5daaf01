import NFTables
import NetworkTypes

/// What one frontend has in the maps of the table: the same whether it is wanted or was read back.
struct Entry: Hashable, Sendable {
    /// A verdict with the comment on its element.
    struct Dispatch: Hashable, Sendable {
        var verdict: Verdict
        var comment: String?
    }

    /// In `frontends`: where everyone goes.
    var front: Dispatch?
    /// In `far-frontends` and `near-frontends`, when that depends on the source.
    var far: Dispatch?
    var near: Dispatch?
    /// In `no-endpoints`: what happens to what was not sent on.
    var refusal: Dispatch?
    /// In `backends` and `near-backends`, by slot. A slot can only be missing in what was read back.
    var backends: [Destination?] = []
    var nearBackends: [Destination?] = []
    /// In `allowed-sources`; `nil` when the frontend is not in `restricted`.
    var allowed: [ClosedRange<IPAddress>]?

    static let nothing = Entry()

    init() {}

    /// What a frontend wants.
    ///
    /// - Parameter previous: what it has now; backends keep their slots, so that little has to be written.
    init(_ frontend: Frontend, keeping previous: Entry, hasLocalDetector: Bool) {
        let scope = frontend.key.scope
        let comment = Element.fitting(frontend.servicePort.description)
        func dispatch(_ verdict: Verdict) -> Dispatch { Dispatch(verdict: verdict, comment: comment) }
        func pick(_ route: Route, isNear: Bool) -> Dispatch? {
            guard !route.backends.isEmpty else { return nil }
            let marking: PickChain.Marking =
                switch route.masquerade {
                case .never: .never
                case .always: .always
                // Without a detector nothing is known to be local: traffic of services is left alone (1.8), and what
                // is near can only come from the node itself (FE-6).
                case .unlessLocal: hasLocalDetector ? .unlessLocal : isNear ? .always : .never
                }
            let chain = PickChain(marking: marking, scope: scope, isNear: isNear, count: route.backends.count)
            return dispatch(chain.verdict)
        }
        let route = pick(frontend.route, isNear: false)
        if let nearRoute = frontend.nearRoute, let near = pick(nearRoute, isNear: true) {
            front = dispatch(.goto(scope.prefix + "by-source"))
            self.near = near
            far = route
            nearBackends = Self.assign(nearRoute.backends, keeping: previous.nearBackends)
        } else {
            front = route
        }
        backends = Self.assign(frontend.route.backends, keeping: previous.backends)
        if route == nil {
            refusal = dispatch(frontend.route.whenEmpty == .drop ? .drop : .goto("reject"))
        }
        if let ranges = frontend.allowedSources, scope == .service {
            let family = frontend.key.family
            allowed = ServiceTable.merge(
                ranges.filter { $0.family == family }.map { $0.masked.address...$0.lastAddress }
            )
        }
    }

    /// Gives each backend a slot. Those that have one below the new length keep it; whoever comes, or sat beyond the
    /// end, takes the free slots in order.
    static func assign(_ backends: [Backend], keeping previous: [Destination?]) -> [Destination?] {
        guard !previous.isEmpty else { return backends.map { Destination($0) } }
        var waiting = Set(backends.map { Destination($0) })
        var slots = [Destination?](repeating: nil, count: backends.count)
        for (index, endpoint) in previous.prefix(slots.count).enumerated() {
            if let endpoint, waiting.remove(endpoint) != nil { slots[index] = endpoint }
        }
        var rest = backends.lazy.map { Destination($0) }.filter { waiting.contains($0) }.makeIterator()
        for index in slots.indices where slots[index] == nil {
            guard let next = rest.next() else { break }
            waiting.remove(next)
            slots[index] = next
        }
        return slots
    }

    /// The chains that the verdicts go to.
    var picks: [PickChain] {
        [front, far, near].compactMap { $0?.verdict.chain.flatMap(PickChain.init(name:)) }
    }
}

extension Entry {
    /// The slots as places in the sorted list of backends, or `nil` when every backend sits at its own place.
    static func order(of slots: [Destination?], in backends: [Backend]) -> [UInt32]? {
        guard !zip(slots, backends).allSatisfy({ $0 == Destination($1) }) else { return nil }
        let places = Dictionary(
            backends.enumerated().map { (Destination($1), UInt32($0)) },
            uniquingKeysWith: { first, _ in first }
        )
        return slots.map { $0.flatMap { places[$0] } ?? 0 }
    }

    /// The slots that such an order stands for.
    static func slots(_ backends: [Backend], in order: [UInt32]?) -> [Destination?] {
        guard let order, order.count == backends.count else { return backends.map { Destination($0) } }
        return order.map { Int($0) < backends.count ? Destination(backends[Int($0)]) : nil }
    }
}
