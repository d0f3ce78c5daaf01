import NFTables
import NetworkTypes

/// What has to be remembered of a programmed table besides the frontends themselves, which the caller knows.
///
/// Everything in it is small: counts per chain, cluster IP and local endpoint, and an order only for the lists whose
/// backends do not sit in the order of their addresses.
struct ServiceTableState: Sendable {
    struct Orders: Hashable, Sendable {
        var backends: [UInt32]?
        var nearBackends: [UInt32]?

        var isPlain: Bool { backends == nil && nearBackends == nil }
    }

    /// Slots that a list has beyond its end, to be deleted when no packet can be looking for them any more.
    struct Surplus: Hashable, Sendable {
        /// Of `backends` and of `near-backends`: from the end of the list to the last slot.
        let backends: Range<Int>
        let nearBackends: Range<Int>
        /// Whether the slots are in the maps of frontends with session affinity.
        let remembersClients: Bool
    }

    /// The chains that exist, and how many frontends go to each.
    private(set) var picks: [PickChain: Int] = [:]
    /// A chain that is about to be removed has none any more.
    private(set) var numbers = ChainNumbers()
    private(set) var clusterIPs: [IPAddress: Int] = [:]
    private(set) var hairpins: [LocalDestination: Int] = [:]
    private(set) var members: [AffinityMember: Int] = [:]
    private(set) var affinity = AffinityNumbers()
    private(set) var orders: [Frontend.Key: Orders] = [:]
    private(set) var surplus: [Frontend.Key: Surplus] = [:]

    init() {}

    /// - Parameters:
    ///   - idle: chains that exist without being used.
    ///   - numbers: those that they have.
    ///   - affinity: the numbers of the affinity scopes in the table.
    init(idle: some Sequence<PickChain>, numbers: ChainNumbers, affinity: AffinityNumbers) {
        self.numbers = numbers
        self.affinity = affinity
        for chain in idle { picks[chain] = 0 }
    }

    /// Chains that exist and that no frontend goes to.
    var idlePicks: [PickChain] { picks.filter { $0.value == 0 }.map(\.key) }

    /// What a frontend that was programmed has in the table.
    func entry(of frontend: Frontend, in table: ServiceTable) -> Entry {
        func number(_ route: Route?) -> UInt32? {
            route.flatMap { AffinityScope(frontend, $0) }.flatMap { affinity[$0] }
        }
        var entry = Entry(
            frontend,
            keeping: .nothing,
            hasLocalDetector: table.hasLocalDetector,
            isCounted: table.options.countsConnections,
            affinity: (number(frontend.route), number(frontend.nearRoute))
        )
        if let orders = orders[frontend.key] {
            entry.backends = Entry.slots(frontend.route.backends, in: orders.backends)
            if let near = frontend.nearRoute, entry.near != nil {
                entry.nearBackends = Entry.slots(near.backends, in: orders.nearBackends)
            }
        }
        return entry
    }

    /// What a transaction will have changed once it is committed.
    struct Effects: Sendable {
        var picks: [PickChain: Int] = [:]
        var clusterIPs: [IPAddress: Int] = [:]
        var hairpins: [LocalDestination: Int] = [:]
        var members: [AffinityMember: Int] = [:]
        /// `nil` when nothing with session affinity changes.
        var affinity: AffinityNumbers?
        var orders: [Frontend.Key: Orders?] = [:]
        var surplus: [Frontend.Key: Surplus?] = [:]
        /// Frontends whose surplus the transaction deletes.
        var trimmed: [Frontend.Key] = []

        /// Counts what a frontend uses, for +1, or no longer uses, for -1.
        mutating func count(_ frontend: Frontend, _ entry: Entry, _ difference: Int) {
            for pick in entry.picks { picks[pick, default: 0] += difference }
            if frontend.kind == .clusterIP, case .address(let address, _, _) = frontend.key {
                clusterIPs[address, default: 0] += difference
            }
            if let scope = entry.affinity {
                for backend in frontend.route.backends {
                    members[AffinityMember(scope: scope, endpoint: Destination(backend)), default: 0] += difference
                }
            }
            if let scope = entry.nearAffinity {
                for backend in frontend.nearRoute?.backends ?? [] {
                    members[AffinityMember(scope: scope, endpoint: Destination(backend)), default: 0] += difference
                }
            }
            let transport = frontend.key.transport
            for backend in frontend.route.backends where backend.isLocal {
                hairpins[LocalDestination(endpoint: Destination(backend), transport: transport), default: 0] +=
                    difference
            }
            for backend in frontend.nearRoute?.backends ?? [] where backend.isLocal {
                hairpins[LocalDestination(endpoint: Destination(backend), transport: transport), default: 0] +=
                    difference
            }
        }

        /// Changes the numbers of affinity scopes.
        @discardableResult
        mutating func withAffinity<Result>(
            _ state: ServiceTableState,
            _ body: (inout AffinityNumbers) -> Result
        ) -> Result {
            var numbers = affinity ?? state.affinity
            affinity = nil  // Not shared while it changes.
            defer { affinity = numbers }
            return body(&numbers)
        }

        /// Forgets where the backends of a frontend were.
        mutating func clearOrder(of key: Frontend.Key) {
            orders[key] = .some(nil)
            surplus[key] = .some(nil)
        }

        /// Remembers in which slots the backends of a frontend are.
        mutating func setOrder(of frontend: Frontend, _ entry: Entry, _ state: ServiceTableState) {
            var order = Orders(backends: Entry.order(of: entry.backends, in: frontend.route.backends))
            if let near = frontend.nearRoute, entry.near != nil {
                order.nearBackends = Entry.order(of: entry.nearBackends, in: near.backends)
            }
            let wasPlain = state.orders[frontend.key] == nil && state.surplus[frontend.key] == nil
            let count = frontend.route.backends.count
            let nearCount = entry.near == nil ? 0 : frontend.nearRoute?.backends.count ?? 0
            let isExact = entry.backends.count == count && entry.nearBackends.count == nearCount
            if wasPlain, order.isPlain, isExact { return }
            orders[frontend.key] = order.isPlain ? .some(nil) : order
            surplus[frontend.key] =
                isExact
                ? .some(nil)
                : Surplus(
                    backends: count..<entry.backends.count,
                    nearBackends: nearCount..<entry.nearBackends.count,
                    remembersClients: frontend.affinityTimeout != nil
                )
        }
    }

    /// Remembers a chain that is not used yet, and gives it a number.
    mutating func addIdle(_ chain: PickChain) {
        picks[chain] = picks[chain] ?? 0
        numbers.add(chain)
    }

    /// Nothing leads to these chains any more.
    mutating func forgetNumbers(of chains: some Sequence<PickChain>) {
        for chain in chains { numbers.remove(chain) }
    }

    mutating func forget(_ chains: some Sequence<PickChain>) {
        for chain in chains { picks[chain] = nil }
    }

    mutating func apply(_ effects: Effects) {
        for (chain, difference) in effects.picks { picks[chain, default: 0] += difference }
        Self.add(effects.clusterIPs, to: &clusterIPs)
        Self.add(effects.hairpins, to: &hairpins)
        Self.add(effects.members, to: &members)
        if let affinity = effects.affinity { self.affinity = affinity }
        for key in effects.trimmed { trim(key) }
        for (key, order) in effects.orders { orders[key] = order }
        for (key, excess) in effects.surplus { surplus[key] = excess }
    }

    private mutating func trim(_ key: Frontend.Key) {
        guard let excess = surplus.removeValue(forKey: key), var order = orders[key] else { return }
        func cut(_ order: [UInt32]?, _ length: Int) -> [UInt32]? {
            guard let kept = order?.prefix(length), !kept.elementsEqual(0..<UInt32(length)) else { return nil }
            return Array(kept)
        }
        order.backends = cut(order.backends, excess.backends.lowerBound)
        order.nearBackends = cut(order.nearBackends, excess.nearBackends.lowerBound)
        orders[key] = order.isPlain ? nil : order
    }

    private static func add<Value: Hashable>(_ differences: [Value: Int], to counts: inout [Value: Int]) {
        // At a start: what was counted is what there is, and no second table grows beside it.
        if counts.isEmpty, differences.values.allSatisfy({ $0 != 0 }) {
            counts = differences
            return
        }
        for (value, difference) in differences where difference != 0 {
            let count = counts[value, default: 0] + difference
            counts[value] = count == 0 ? nil : count
        }
    }
}
