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

    /// How many verdicts go to each chain. A chain with none still exists until the batch after.
    private(set) var picks: [PickChain: Int] = [:]
    private(set) var clusterIPs: [IPAddress: Int] = [:]
    private(set) var hairpins: [LocalDestination: Int] = [:]
    private(set) var orders: [Frontend.Key: Orders] = [:]

    init() {}

    /// - Parameter idle: chains that exist without being used.
    init(idle: some Sequence<PickChain>) {
        for chain in idle { picks[chain] = 0 }
    }

    /// Chains that exist and that no verdict goes to.
    var idlePicks: [PickChain] { picks.filter { $0.value == 0 }.map(\.key) }

    /// What a frontend that was programmed has in the table.
    func entry(of frontend: Frontend, hasLocalDetector: Bool) -> Entry {
        var entry = Entry(frontend, keeping: .nothing, hasLocalDetector: hasLocalDetector)
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
        var orders: [Frontend.Key: Orders?] = [:]
        /// Chains that the transaction deletes.
        var deletedPicks: [PickChain] = []

        /// Counts what a frontend uses, for +1, or no longer uses, for -1.
        mutating func count(_ frontend: Frontend, _ entry: Entry, _ difference: Int) {
            for pick in entry.picks { picks[pick, default: 0] += difference }
            if frontend.kind == .clusterIP, case .address(let address, _, _) = frontend.key {
                clusterIPs[address, default: 0] += difference
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

        /// Remembers in which slots the backends of a frontend are.
        mutating func setOrder(of frontend: Frontend, _ entry: Entry) {
            var order = Orders(backends: Entry.order(of: entry.backends, in: frontend.route.backends))
            if let near = frontend.nearRoute, entry.near != nil {
                order.nearBackends = Entry.order(of: entry.nearBackends, in: near.backends)
            }
            orders[frontend.key] = order.isPlain ? .some(nil) : order
        }
    }

    mutating func apply(_ effects: Effects) {
        for chain in effects.deletedPicks { picks[chain] = nil }
        for (chain, difference) in effects.picks { picks[chain, default: 0] += difference }
        Self.add(effects.clusterIPs, to: &clusterIPs)
        Self.add(effects.hairpins, to: &hairpins)
        for (key, order) in effects.orders { orders[key] = order }
    }

    private static func add<Value: Hashable>(_ differences: [Value: Int], to counts: inout [Value: Int]) {
        for (value, difference) in differences where difference != 0 {
            let count = counts[value, default: 0] + difference
            counts[value] = count == 0 ? nil : count
        }
    }
}
