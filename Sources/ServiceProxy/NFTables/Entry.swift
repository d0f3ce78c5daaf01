import NFTables
import NetworkTypes

/// What one frontend has in the maps of the table: the same whether it is wanted or was read back.
struct Entry: Hashable, Sendable {
    /// Where packets go, with the comment on the element.
    struct Dispatch: Hashable, Sendable {
        var target: Target
        var comment: String?
    }

    /// What becomes of packets that nobody takes, with the comment on the element.
    struct Refusal: Hashable, Sendable {
        var verdict: Verdict
        var comment: String?
    }

    /// In `frontends`: where everyone goes.
    var front: Dispatch?
    /// In `backends` and `near-backends`, by slot. A slot can only be missing in what was read back. There can be more
    /// slots than the list has backends, see ``assign(_:keeping:previousCount:)``.
    var backends: [Destination?] = []
    var nearBackends: [Destination?] = []

    /// What few frontends have. It lies apart, as all entries are there at once when a table is made or taken over.
    private struct Rare: Hashable, Sendable {
        var far: Dispatch?
        var near: Dispatch?
        var refusal: Refusal?
        var affinity: UInt32?
        var nearAffinity: UInt32?
        var allowed: [ClosedRange<IPAddress>]?
        var counted: String?

        static let nothing = Rare()
    }

    /// One element when there is something, otherwise none.
    private var rare: [Rare] = []

    private subscript<Value>(_ part: WritableKeyPath<Rare, Value?>) -> Value? {
        get { rare.first?[keyPath: part] }
        set {
            var new = rare.first ?? .nothing
            new[keyPath: part] = newValue
            rare = new == .nothing ? [] : [new]
        }
    }

    /// In `far-frontends` and `near-frontends`, when where to go depends on the source.
    var far: Dispatch? {
        get { self[\.far] }
        set { self[\.far] = newValue }
    }
    var near: Dispatch? {
        get { self[\.near] }
        set { self[\.near] = newValue }
    }
    /// In `no-endpoints`: what happens to what was not sent on.
    var refusal: Refusal? {
        get { self[\.refusal] }
        set { self[\.refusal] = newValue }
    }
    /// In `affinity` and `near-affinity`: whose memory of clients is used. Then the backends are in `affinity-backends`
    /// and `near-affinity-backends`.
    var affinity: UInt32? {
        get { self[\.affinity] }
        set { self[\.affinity] = newValue }
    }
    var nearAffinity: UInt32? {
        get { self[\.nearAffinity] }
        set { self[\.nearAffinity] = newValue }
    }
    /// In `allowed-sources`; `nil` when the frontend is not in `restricted`.
    var allowed: [ClosedRange<IPAddress>]? {
        get { self[\.allowed] }
        set { self[\.allowed] = newValue }
    }
    /// In `connections`: the comment there; `nil` when connections are not counted. Whoever takes a key over from
    /// another service port starts at zero.
    var counted: String? {
        get { self[\.counted] }
        set { self[\.counted] = newValue }
    }

    static let nothing = Entry()

    init() {}

    /// What a frontend wants.
    ///
    /// - Parameters:
    ///   - previous: what it has now; backends keep their slots, so that little has to be written.
    ///   - isCounted: whether its connections are counted.
    ///   - affinity: the numbers of the scopes of its two routes.
    init(
        _ frontend: Frontend,
        keeping previous: Entry,
        hasLocalDetector: Bool,
        isCounted: Bool = false,
        affinity numbers: (route: UInt32?, near: UInt32?) = (nil, nil)
    ) {
        let comment = Element.fitting(frontend.servicePort.description)
        if isCounted { counted = comment }
        func pick(_ route: Route, isNear: Bool) -> Dispatch? {
            PickChain(route, of: frontend, isNear: isNear, hasLocalDetector: hasLocalDetector).map {
                Dispatch(target: .pick($0), comment: comment)
            }
        }
        let route = pick(frontend.route, isNear: false)
        if let nearRoute = frontend.nearRoute, let near = pick(nearRoute, isNear: true) {
            front = Dispatch(target: .bySource, comment: comment)
            self.near = near
            nearAffinity = numbers.near
            far = route
            nearBackends = Self.assign(
                nearRoute.backends,
                keeping: previous.nearBackends,
                previousCount: Self.count(previous.near)
            )
        } else {
            front = route
        }
        backends = Self.assign(
            frontend.route.backends,
            keeping: previous.backends,
            previousCount: max(Self.count(previous.front), Self.count(previous.far))
        )
        if route != nil { affinity = numbers.route }
        if route == nil {
            refusal = Refusal(
                verdict: frontend.route.whenEmpty == .drop ? .drop : .goto("refuse"),
                comment: comment
            )
        }
        if let ranges = frontend.allowedSources, frontend.key.scope == .service {
            let family = frontend.key.family
            allowed = ServiceTable.merge(
                ranges.filter { $0.family == family }.map { $0.masked.address...$0.lastAddress }
            )
        }
    }

    /// The length of the list that the target picks from; 0 when it picks from none.
    private static func count(_ dispatch: Dispatch?) -> Int {
        dispatch?.target.pick.map { Int($0.count) } ?? 0
    }

    /// Gives each backend a slot. Those that have one below the new length keep it; whoever comes, or sat beyond the
    /// end, takes the free slots in order.
    ///
    /// When the list gets shorter, the slots beyond its end stay for now, with copies of backends that are still
    /// there: the kernel switches to a new generation between two look-ups of one packet, which then has a number from
    /// the old length and finds the new slots.
    ///
    /// - Parameter previousCount: how long the list was.
    static func assign(
        _ backends: [Backend],
        keeping previous: [Destination?],
        previousCount: Int
    ) -> [Destination?] {
        guard !previous.isEmpty, !backends.isEmpty else { return backends.map { Destination($0) } }
        let wanted = Set(backends.map { Destination($0) })
        var waiting = wanted
        var slots = [Destination?](repeating: nil, count: backends.count)
        for (index, destination) in previous.prefix(slots.count).enumerated() {
            if let destination, waiting.remove(destination) != nil { slots[index] = destination }
        }
        var rest = backends.lazy.map { Destination($0) }.filter { waiting.contains($0) }.makeIterator()
        for index in slots.indices where slots[index] == nil {
            guard let next = rest.next() else { break }
            slots[index] = next
        }
        while slots.count < min(previousCount, previous.count) {
            let index = slots.count
            let isStillThere = previous[index].map { wanted.contains($0) } ?? false
            slots.append(isStillThere ? previous[index] : slots[index % backends.count])
        }
        return slots
    }

    /// What one of the two lists has in the table.
    struct Slots: Hashable, Sendable {
        let destinations: [Destination?]
        let affinity: UInt32?

        /// What a slot holds; `nil` when it is empty.
        subscript(index: Int) -> AffinityMember? {
            guard index < destinations.count, let destination = destinations[index] else { return nil }
            return AffinityMember(scope: affinity ?? 0, endpoint: destination)
        }
    }

    func slots(isNear: Bool) -> Slots {
        isNear
            ? Slots(destinations: nearBackends, affinity: nearAffinity)
            : Slots(destinations: backends, affinity: affinity)
    }

    /// The chains that packets go to.
    var picks: [PickChain] {
        [front, far, near].compactMap { $0?.target.pick }
    }
}

extension Entry {
    /// The slots as places in the sorted list of backends, or `nil` when every backend sits at its own place.
    static func order(of slots: [Destination?], in backends: [Backend]) -> [UInt32]? {
        guard slots.count != backends.count || !zip(slots, backends).allSatisfy({ $0 == Destination($1) }) else {
            return nil
        }
        let places = Dictionary(
            backends.enumerated().map { (Destination($1), UInt32($0)) },
            uniquingKeysWith: { first, _ in first }
        )
        return slots.map { $0.flatMap { places[$0] } ?? 0 }
    }

    /// The slots that such an order stands for.
    static func slots(_ backends: [Backend], in order: [UInt32]?) -> [Destination?] {
        guard let order, order.count >= backends.count else { return backends.map { Destination($0) } }
        return order.map { Int($0) < backends.count ? Destination(backends[Int($0)]) : nil }
    }
}
