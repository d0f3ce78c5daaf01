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
        switch change {
        case .add(let frontend): add(frontend, instead: .nothing, state)
        case .remove(let frontend):
            let old = state.entry(of: frontend, in: table)
            effects.count(frontend, old, -1)
            leaveAffinity(frontend, state)
            effects.clearOrder(of: frontend.key)
            changes.append(Change(key: frontend.key, old: old, new: .nothing))
        case .replace(let before, let after):
            let old = state.entry(of: before, in: table)
            effects.count(before, old, -1)
            add(after, instead: old, state)
            // Only now, so that a scope that goes on keeps its number.
            leaveAffinity(before, state)
        }
    }

    /// Plans a frontend against what the table has for its key.
    mutating func add(_ frontend: Frontend, instead old: Entry, _ state: ServiceTableState) {
        let new = Entry(
            frontend,
            keeping: old,
            hasLocalDetector: table.hasLocalDetector,
            isCounted: table.options.countsConnections,
            affinity: (
                enterAffinity(frontend, frontend.route, old.affinity, state),
                enterAffinity(frontend, frontend.nearRoute, old.nearAffinity, state)
            )
        )
        effects.count(frontend, new, 1)
        effects.setOrder(of: frontend, new, state)
        // After a restart that is nearly everybody.
        guard old != new else { return }
        changes.append(Change(key: frontend.key, old: old, new: new))
    }

    private mutating func enterAffinity(
        _ frontend: Frontend,
        _ route: Route?,
        _ found: UInt32?,
        _ state: ServiceTableState
    ) -> UInt32? {
        guard let route, let scope = AffinityScope(frontend, route) else { return nil }
        return effects.withAffinity(state) { $0.enter(scope, preferring: found) }
    }

    private mutating func leaveAffinity(_ frontend: Frontend, _ state: ServiceTableState) {
        for route in [frontend.route, frontend.nearRoute].compactMap({ $0 }) {
            guard let scope = AffinityScope(frontend, route) else { continue }
            effects.withAffinity(state) { $0.leave(scope) }
        }
    }

    /// Plans the removal of what the table has for a key that nobody wants.
    mutating func remove(_ key: Frontend.Key, _ old: Entry) {
        changes.append(Change(key: key, old: old, new: .nothing))
    }

    /// Writes all that differs.
    ///
    /// - Parameters:
    ///   - state: what the table has, and the chains that packets will be sent to.
    ///   - observed: what the counted sets hold in the kernel when that is not what `state` says: at the start.
    ///   - trimming: frontends whose surplus slots no packet can be looking for any more.
    mutating func write(
        to transaction: inout Transaction,
        _ state: ServiceTableState,
        observed: CountedSets? = nil,
        trimming: [Frontend.Key] = []
    ) {
        trim(trimming, state, &transaction)
        let numbers = state.numbers
        let counted = observed?.differences(to: effects) ?? CountedSets.differences(of: effects, from: state)
        for scope in Scope.allCases {
            let maps = table.maps[scope]
            let changes = changes.filter { $0.key.scope == scope }
            for isDeletion in [true, false] {
                // Backends before what points at them, so that a batch can be read from top to bottom.
                writeEndpoints(isNear: false, maps, changes, isDeletion, &transaction)
                writeEndpoints(isNear: true, maps, changes, isDeletion, &transaction)
                for (map, number) in [(maps.affinity, \Entry.affinity), (maps.nearAffinity, \Entry.nearAffinity)] {
                    write(map, number, changes, isDeletion, &transaction) {
                        Element(Key.frontend($0), .data(Key.affinity($1)))
                    }
                }
                for (map, dispatch) in [
                    (maps.farFrontends, \Entry.far), (maps.nearFrontends, \Entry.near), (maps.frontends, \Entry.front),
                ] {
                    write(map, dispatch, changes, isDeletion, &transaction) { key, dispatch in
                        // Each chain has got its number before.
                        numbers.number(of: dispatch.target, scope).map {
                            Element(Key.frontend(key), .data(Key.number($0)), comment: dispatch.comment)
                        }
                    }
                }
                write(maps.noEndpoints, \.refusal, changes, isDeletion, &transaction) {
                    Element(Key.frontend($0), .verdict($1.verdict), comment: $1.comment)
                }
                if let counted = maps.connections {
                    write(counted, \.counted, changes, isDeletion, &transaction) {
                        Element(Key.frontend($0), comment: $1)
                    }
                }
            }
        }
        writeAllowed(isDeletion: true, &transaction)
        writeAllowed(isDeletion: false, &transaction)
        for element in counted.removedHairpins { transaction.delete(element, from: table.maps.hairpin) }
        for element in counted.addedHairpins { transaction.add(element, to: table.maps.hairpin, exclusively: true) }
        for element in counted.removedMembers { transaction.delete(element, from: table.maps.affinityEndpoints) }
        for element in counted.addedMembers {
            transaction.add(element, to: table.maps.affinityEndpoints, exclusively: true)
        }
        for element in counted.removedClusterIPs { transaction.delete(element, from: table.maps.clusterIPs) }
        for element in counted.addedClusterIPs {
            transaction.add(element, to: table.maps.clusterIPs, exclusively: true)
        }
    }

    /// Makes the chains that packets will be sent to. In a transaction before that of the frontends: a packet that is under
    /// way when the kernel changes generations can find a new frontend, and must not find its chain empty.
    ///
    /// - Returns: what the table has once this is committed.
    func writeNewPicks(to transaction: inout Transaction, _ state: ServiceTableState) -> ServiceTableState {
        let new = effects.picks.filter { $0.value > 0 && state.numbers[$0.key] == nil }.keys
        return write(new: new.sorted { $0.name < $1.name }, to: &transaction, state)
    }

    /// Makes chains that nothing goes to yet.
    func write(
        new picks: [PickChain],
        to transaction: inout Transaction,
        _ state: ServiceTableState
    ) -> ServiceTableState {
        var after = state
        for chain in picks {
            if state.picks[chain] == nil {
                transaction.add(Chain(chain.name), exclusively: true)
                for rule in table.rules(of: chain) { transaction.add(rule) }
            }
            after.addIdle(chain)
            guard let element = after.numbers.element(of: chain) else { continue }
            for map in table.maps.chains { transaction.add(element, to: map, exclusively: true) }
        }
        return after
    }

    private mutating func trim(
        _ keys: [Frontend.Key],
        _ state: ServiceTableState,
        _ transaction: inout Transaction
    ) {
        // What changes now is trimmed by the change itself.
        for key in keys where effects.surplus[key] == nil {
            guard let surplus = state.surplus[key] else { continue }
            let maps = table.maps[key.scope]
            let frontend = Key.frontend(key)
            for slot in surplus.backends {
                transaction.delete(
                    Element(Key.slot(slot, of: frontend)),
                    from: maps.backends(isNear: false, remembersClients: surplus.remembersClients)
                )
            }
            for slot in surplus.nearBackends {
                transaction.delete(
                    Element(Key.slot(slot, of: frontend)),
                    from: maps.backends(isNear: true, remembersClients: surplus.remembersClients)
                )
            }
            effects.trimmed.append(key)
        }
    }

    /// Writes what a map holds by frontend.
    ///
    /// - Parameter element: what the map should have of a value; `nil` for nothing.
    private func write<Value: Hashable>(
        _ map: NamedSet,
        _ value: KeyPath<Entry, Value?>,
        _ changes: [Change],
        _ isDeletion: Bool,
        _ transaction: inout Transaction,
        _ element: (Frontend.Key, Value) -> Element?
    ) {
        for change in changes {
            let (old, new) = (change.old[keyPath: value], change.new[keyPath: value])
            guard old != new, let value = isDeletion ? old : new, let element = element(change.key, value) else {
                continue
            }
            if isDeletion {
                transaction.delete(element, from: map)
            } else {
                transaction.add(element, to: map, exclusively: true)
            }
        }
    }

    private func writeEndpoints(
        isNear: Bool,
        _ maps: ServiceTable.Maps.Scoped,
        _ changes: [Change],
        _ isDeletion: Bool,
        _ transaction: inout Transaction
    ) {
        for change in changes {
            let (old, new) = (change.old.slots(isNear: isNear), change.new.slots(isNear: isNear))
            guard old != new else { continue }
            let key = Key.frontend(change.key)
            let list = isDeletion ? old : new
            let map = maps.backends(isNear: isNear, remembersClients: list.affinity != nil)
            for index in list.destinations.indices {
                guard old[index] != new[index], let endpoint = list.destinations[index] else { continue }
                let data = list.affinity.map { Key.affinity(AffinityMember(scope: $0, endpoint: endpoint)) }
                let element = Element(Key.slot(index, of: key), .data(data ?? Key.endpoint(endpoint)))
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
