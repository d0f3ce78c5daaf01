import NFTables
import NetworkTypes

/// A table as it was found in the kernel.
struct ObservedTable {
    let chains: [Chain]
    let rules: [String: [Rule]]
    let sets: [SetLayout]
    /// What frontends have, by their keys.
    var entries: [Frontend.Key: Entry] = [:]
    var counted = CountedSets()
    /// The chains that the numbers in `frontends` and its like stand for.
    var chainNumbers = ChainNumbers.Reading(frontend: [], bySource: [], chains: [])
    /// The elements that follow from the options (``ServiceTable/fixedElements``), by set.
    var fixed: [String: Set<Element>] = [:]

    /// How many slots all lists have.
    var slotCount: Int { entries.values.reduce(0) { $0 + $1.backends.count + $1.nearBackends.count } }

    /// The numbers of affinity scopes, by the frontends that have them.
    func affinityNumbers(of frontends: [Frontend]) -> AffinityNumbers {
        let highest = entries.values.reduce(0) { max($0, $1.affinity ?? 0, $1.nearAffinity ?? 0) }
        var known: [AffinityScope: UInt32] = [:]
        for frontend in frontends where frontend.affinityTimeout != nil {
            guard let entry = entries[frontend.key] else { continue }
            for (route, number) in [(frontend.route, entry.affinity), (frontend.nearRoute, entry.nearAffinity)] {
                guard let scope = route.flatMap({ AffinityScope(frontend, $0) }), known[scope] == nil else { continue }
                known[scope] = number
            }
        }
        return AffinityNumbers(above: highest, known: known)
    }

    /// Reads the table if there is one and it was made by the same layout.
    enum Reading {
        case missing
        /// There is one, but it cannot be compared.
        case foreign
        case readable(ObservedTable)
    }

    /// - Throws: ``NFTablesError``
    static func read(
        _ table: ServiceTable,
        from kernel: some NFTablesKernel,
        expecting frontends: [Frontend] = [],
        listingLimit: Int = ListReader.listingLimit
    ) throws -> Reading {
        try kernel.consistently {
            guard let found = try kernel.table(table.table) else { return .missing }
            let sets = try kernel.sets(of: table.table)
            let chains = try kernel.chains(of: table.table)
            let bases = chains.filter { $0.base != nil }
            guard found.comment == table.table.comment, hasSets(of: table, sets),
                Set(bases) == Set(ServiceTable.chains.filter { $0.base != nil })
            else { return .foreign }
            let rules = Dictionary(grouping: try kernel.rules(of: table.table).map(\.rule), by: \.chain)
            var observed = ObservedTable(chains: chains, rules: rules, sets: sets)
            return try observed.readElements(table, kernel, frontends, listingLimit) ? .readable(observed) : .foreign
        }
    }

    /// Whether every set is there as it should be. One that counts connections may be missing: it comes and goes with an
    /// option, and is no reason to begin anew and forget the clients of session affinity.
    private static func hasSets(of table: ServiceTable, _ sets: [SetLayout]) -> Bool {
        let found = Dictionary(sets.map { ($0.name, $0) }) { first, _ in first }
        return table.maps.all.allSatisfy { set in
            found[set.name].map { $0 == set.layout } ?? set.countsPackets
        }
    }

    private init(chains: [Chain], rules: [String: [Rule]], sets: [SetLayout]) {
        self.chains = chains
        self.rules = rules
        self.sets = sets
    }

    /// Whether every element made sense.
    private mutating func readElements(
        _ table: ServiceTable,
        _ kernel: some NFTablesKernel,
        _ frontends: [Frontend],
        _ listingLimit: Int
    ) throws -> Bool {
        var isUnderstood = true
        func each(_ set: NamedSet, _ body: (inout ObservedTable, Element) -> Bool) throws {
            // `consistently` starts all over when anything changed, so a restart cannot happen half-way unnoticed.
            try kernel.elements(of: set.name, in: table.table, restart: {}) { element in
                if !body(&self, element) { isUnderstood = false }
            }
        }
        var found = table.maps.chains.map { _ in [Element]() }
        for (index, map) in table.maps.chains.enumerated() {
            try each(map) { _, element in
                found[index].append(element)
                return true
            }
        }
        chainNumbers = ChainNumbers.Reading(
            frontend: found[0],
            bySource: found[1],
            chains: Set(chains.compactMap { PickChain(name: $0.name) })
        )
        let picks = chainNumbers.numbers.chains
        for scope in Scope.allCases {
            let maps = table.maps[scope]
            let targets: [(NamedSet, WritableKeyPath<Entry, Entry.Dispatch?>)] = [
                (maps.frontends, \.front), (maps.farFrontends, \.far), (maps.nearFrontends, \.near),
            ]
            for (map, field) in targets {
                try each(map) { observed, element in
                    guard let key = KeyReader(element.key).frontend(scope, table.family),
                        case .data(let data) = element.value, let number = KeyReader(data).number()
                    else { return false }
                    let target: Target =
                        number == ChainNumbers.bySource(scope)
                        ? .bySource : picks[number].map { .pick($0) } ?? .unknown(number)
                    observed.entries[key, default: .nothing][keyPath: field] = Entry.Dispatch(
                        target: target,
                        comment: element.comment
                    )
                    return true
                }
            }
            try each(maps.noEndpoints) { observed, element in
                guard let key = KeyReader(element.key).frontend(scope, table.family),
                    case .verdict(let verdict) = element.value
                else { return false }
                observed.entries[key, default: .nothing].refusal = Entry.Refusal(
                    verdict: verdict,
                    comment: element.comment
                )
                return true
            }
            if let counted = maps.connections {
                try each(counted) { observed, element in
                    guard let key = KeyReader(element.key).frontend(scope, table.family) else { return false }
                    observed.entries[key, default: .nothing].counted = element.comment ?? ""
                    return true
                }
            }
        }
        try Self.readAffinity(table, each)
        try each(table.maps.restricted) { observed, element in
            guard let key = KeyReader(element.key).frontend(.service, table.family) else { return false }
            observed.entries[key, default: .nothing].allowed = []
            return true
        }
        try each(table.maps.allowedSources) { observed, element in
            guard let end = element.end,
                let (first, key) = KeyReader(element.key).allowed(table.family),
                let (last, sameKey) = KeyReader(end).allowed(table.family), key == sameKey, first <= last
            else { return false }
            // Without its `restricted` element the range has no effect; both are compared together.
            guard observed.entries[key]?.allowed != nil else { return false }
            observed.entries[key]?.allowed?.append(first...last)
            return true
        }
        for key in entries.keys { entries[key]?.allowed?.sort { $0.lowerBound < $1.lowerBound } }
        try each(table.maps.clusterIPs) { observed, element in
            guard let address = KeyReader(element.key).address(of: table.family) else { return false }
            return observed.counted.clusterIPs.insert(address).inserted
        }
        try each(table.maps.hairpin) { $0.counted.hairpins.insert($1.key).inserted }
        try each(table.maps.affinityEndpoints) { $0.counted.members.insert($1.key).inserted }
        for (set, _) in table.fixedElements {
            try each(set) { $0.fixed[set.name, default: []].insert($1).inserted }
        }
        guard isUnderstood else { return false }
        var lists = ListReader(entries, table)
        entries = [:]  // Not shared while it changes.
        try lists.read(kernel, expecting: frontends, listingLimit: listingLimit)
        entries = lists.entries
        return lists.isUnderstood
    }

    private typealias Reader = (NamedSet, (inout ObservedTable, Element) -> Bool) throws -> Void

    /// The scopes of session affinity.
    private static func readAffinity(_ table: ServiceTable, _ each: Reader) throws {
        for scope in Scope.allCases {
            let sides: [(NamedSet, WritableKeyPath<Entry, UInt32?>)] = [
                (table.maps[scope].affinity, \.affinity), (table.maps[scope].nearAffinity, \.nearAffinity),
            ]
            for (map, field) in sides {
                try each(map) { observed, element in
                    guard let key = KeyReader(element.key).frontend(scope, table.family),
                        case .data(let data) = element.value, let number = KeyReader(data).affinity()
                    else { return false }
                    observed.entries[key, default: .nothing][keyPath: field] = number
                    return true
                }
            }
        }
    }
}
