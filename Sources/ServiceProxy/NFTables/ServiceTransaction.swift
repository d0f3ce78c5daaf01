import NFTables
import NetworkTypes

/// Composes the transaction that turns what frontends have in the table into what they should have. Pure.
struct ServiceTransaction {
    /// A frontend's place in the table, before and after.
    struct Change {
        let key: Frontend.Key
        let old: Entry
        let new: Entry
    }

    let table: ServiceTable
    private(set) var effects = ServiceTableState.Effects()
    private var changes: [Change] = []

    init(table: ServiceTable) {
        self.table = table
    }

    /// Plans a change against what was programmed before.
    mutating func add(_ change: FrontendChange, _ state: ServiceTableState) {
        let detector = table.hasLocalDetector
        switch change {
        case .add(let frontend): add(frontend, instead: .nothing)
        case .remove(let frontend):
            let old = state.entry(of: frontend, hasLocalDetector: detector)
            effects.count(frontend, old, -1)
            effects.orders[frontend.key] = .some(nil)
            changes.append(Change(key: frontend.key, old: old, new: .nothing))
        case .replace(let before, let after):
            let old = state.entry(of: before, hasLocalDetector: detector)
            effects.count(before, old, -1)
            add(after, instead: old)
        }
    }

    /// Plans a frontend against what the table has for its key.
    mutating func add(_ frontend: Frontend, instead old: Entry) {
        let new = Entry(frontend, keeping: old, hasLocalDetector: table.hasLocalDetector)
        effects.count(frontend, new, 1)
        effects.setOrder(of: frontend, new)
        changes.append(Change(key: frontend.key, old: old, new: new))
    }

    /// Plans the removal of what the table has for a key that nobody wants.
    mutating func remove(_ key: Frontend.Key, _ old: Entry) {
        changes.append(Change(key: key, old: old, new: .nothing))
    }

    /// Writes all that differs.
    ///
    /// - Parameters:
    ///   - observed: what the counted sets hold in the kernel when that is not what `state` says: at the start.
    ///   - keepingIdleChains: whether to leave the chains that are without use.
    mutating func write(
        to transaction: inout Transaction,
        _ state: ServiceTableState,
        observed: CountedSets? = nil,
        keepingIdleChains: Bool = false
    ) {
        writePicks(to: &transaction, state, keepingIdleChains)
        let counted = observed?.differences(to: effects, table) ?? CountedSets.differences(of: effects, from: state)
        for scope in Scope.allCases {
            let maps = table.maps[scope]
            let changes = changes.filter { $0.key.scope == scope }
            for isDeletion in [true, false] {
                // Backends before what points at them, so that a batch can be read from top to bottom.
                writeEndpoints(maps.backends, \.backends, changes, isDeletion, &transaction)
                writeEndpoints(maps.nearBackends, \.nearBackends, changes, isDeletion, &transaction)
                writeVerdicts(maps.farFrontends, \.far, changes, isDeletion, &transaction)
                writeVerdicts(maps.nearFrontends, \.near, changes, isDeletion, &transaction)
                writeVerdicts(maps.frontends, \.front, changes, isDeletion, &transaction)
                writeVerdicts(maps.noEndpoints, \.refusal, changes, isDeletion, &transaction)
            }
        }
        writeAllowed(isDeletion: true, &transaction)
        writeAllowed(isDeletion: false, &transaction)
        for element in counted.removedHairpins { transaction.delete(element, from: table.maps.hairpin) }
        for element in counted.addedHairpins { transaction.add(element, to: table.maps.hairpin, exclusively: true) }
        for element in counted.removedClusterIPs { transaction.delete(element, from: table.maps.clusterIPs) }
        for element in counted.addedClusterIPs {
            transaction.add(element, to: table.maps.clusterIPs, exclusively: true)
        }
    }

    /// Chains are made when the first verdict needs them; one that was idle since an earlier batch goes.
    private mutating func writePicks(
        to transaction: inout Transaction,
        _ state: ServiceTableState,
        _ keepsIdle: Bool
    ) {
        let order: (PickChain, PickChain) -> Bool = { $0.name < $1.name }
        for chain in effects.picks.keys.sorted(by: order) where state.picks[chain] == nil {
            guard effects.picks[chain, default: 0] > 0 else { continue }
            transaction.add(Chain(chain.name), exclusively: true)
            for rule in table.rules(of: chain) { transaction.add(rule) }
        }
        guard !keepsIdle else { return }
        for chain in state.idlePicks.sorted(by: order) where effects.picks[chain, default: 0] == 0 {
            transaction.deleteChain(chain.name)
            effects.deletedPicks.append(chain)
        }
    }

    private func writeVerdicts(
        _ map: NamedSet,
        _ value: KeyPath<Entry, Entry.Dispatch?>,
        _ changes: [Change],
        _ isDeletion: Bool,
        _ transaction: inout Transaction
    ) {
        for change in changes {
            let (old, new) = (change.old[keyPath: value], change.new[keyPath: value])
            guard old != new, let dispatch = isDeletion ? old : new else { continue }
            let element = Element(Key.frontend(change.key), .verdict(dispatch.verdict), comment: dispatch.comment)
            if isDeletion {
                transaction.delete(element, from: map)
            } else {
                transaction.add(element, to: map, exclusively: true)
            }
        }
    }

    private func writeEndpoints(
        _ map: NamedSet,
        _ slots: KeyPath<Entry, [Destination?]>,
        _ changes: [Change],
        _ isDeletion: Bool,
        _ transaction: inout Transaction
    ) {
        for change in changes {
            let (old, new) = (change.old[keyPath: slots], change.new[keyPath: slots])
            guard old != new else { continue }
            let key = Key.frontend(change.key)
            for index in 0..<(isDeletion ? old.count : new.count) {
                let before = index < old.count ? old[index] : nil
                let after = index < new.count ? new[index] : nil
                guard before != after, let endpoint = isDeletion ? before : after else { continue }
                let element = Element(Key.slot(index, of: key), .data(Key.endpoint(endpoint)))
                if isDeletion {
                    transaction.delete(element, from: map)
                } else {
                    transaction.add(element, to: map, exclusively: true)
                }
            }
        }
    }

    private func writeAllowed(isDeletion: Bool, _ transaction: inout Transaction) {
        let maps = table.maps
        for change in changes where change.old.allowed != change.new.allowed {
            let (old, new) = (change.old.allowed, change.new.allowed)
            if isDeletion {
                for range in old ?? [] where new?.contains(range) != true {
                    if let element = Key.allowed(range, change.key) {
                        transaction.delete(element, from: maps.allowedSources)
                    }
                }
                if old != nil, new == nil {
                    transaction.delete(Element(Key.frontend(change.key)), from: maps.restricted)
                }
            } else {
                for range in new ?? [] where old?.contains(range) != true {
                    if let element = Key.allowed(range, change.key) {
                        transaction.add(element, to: maps.allowedSources, exclusively: true)
                    }
                }
                if old == nil, new != nil {
                    transaction.add(Element(Key.frontend(change.key)), to: maps.restricted, exclusively: true)
                }
            }
        }
    }
}

/// The sets whose elements stand for several frontends at once.
struct CountedSets {
    var clusterIPs: Set<Concatenation> = []
    var hairpins: Set<Concatenation> = []

    struct Differences {
        var addedClusterIPs: [Element] = []
        var removedClusterIPs: [Element] = []
        var addedHairpins: [Element] = []
        var removedHairpins: [Element] = []
    }

    /// What to write when a first user comes or the last one goes.
    static func differences(of effects: ServiceTableState.Effects, from state: ServiceTableState) -> Differences {
        var result = Differences()
        for (address, difference) in effects.clusterIPs where difference != 0 {
            let before = state.clusterIPs[address, default: 0]
            if before == 0 { result.addedClusterIPs.append(Element(Key.address(address))) }
            if before + difference == 0 { result.removedClusterIPs.append(Element(Key.address(address))) }
        }
        for (local, difference) in effects.hairpins where difference != 0 {
            let before = state.hairpins[local, default: 0]
            if before == 0 { result.addedHairpins.append(Element(Key.hairpin(local))) }
            if before + difference == 0 { result.removedHairpins.append(Element(Key.hairpin(local))) }
        }
        return result
    }

    /// What to write so that the sets hold what is counted, and nothing else.
    func differences(to effects: ServiceTableState.Effects, _ table: ServiceTable) -> Differences {
        let wantedIPs = Set(effects.clusterIPs.filter { $0.value > 0 }.keys.map(Key.address))
        let wantedHairpins = Set(effects.hairpins.filter { $0.value > 0 }.keys.map(Key.hairpin))
        return Differences(
            addedClusterIPs: wantedIPs.subtracting(clusterIPs).map { Element($0) },
            removedClusterIPs: clusterIPs.subtracting(wantedIPs).map { Element($0) },
            addedHairpins: wantedHairpins.subtracting(hairpins).map { Element($0) },
            removedHairpins: hairpins.subtracting(wantedHairpins).map { Element($0) }
        )
    }
}
