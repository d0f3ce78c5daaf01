import Glibc
import NFTables
import NetworkTypes

/// The table of one family with what is known about it: the edge between plans and the kernel.
struct ProgrammedTable: Sendable {
    private(set) var table: ServiceTable
    private let kernel: any NFTablesKernel
    private let now: @Sendable () -> ContinuousClock.Instant
    private var state = ServiceTableState()
    /// When a list was last shortened.
    private var lastSurplus: ContinuousClock.Instant?
    /// How often chains that nothing uses could not be removed, and were left for later.
    private var cleanupFailures = 0

    /// - Parameter now: the time, for tests to set.
    init(
        table: ServiceTable,
        kernel: any NFTablesKernel,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.table = table
        self.kernel = kernel
        self.now = now
    }

    /// No packet is under way in a table for so long.
    private static let surplusAge = Duration.seconds(1)

    /// How often something that nothing uses could not be removed since the last call.
    mutating func takeCleanupFailures() -> Int {
        defer { cleanupFailures = 0 }
        return cleanupFailures
    }

    // MARK: Start

    /// What ``start(with:)`` found and did; as ``BackendStart``, of one family.
    struct Start {
        let finding: BackendStart.Finding
        var changes = 0
        var refused: [RefusedFrontend] = []
        var removed: Set<Frontend.Key> = []
    }

    mutating func start(with frontends: [Frontend]) throws -> Start {
        state = ServiceTableState()
        switch try Self.read(table, kernel, expecting: frontends) {
        case .missing:
            var creation = Transaction(table: table.table)
            table.addStructure(to: &creation)
            try kernel.commit(creation)
            let (changes, refused) = try addInBatches(frontends)
            return Start(finding: .created, changes: creation.changeCount + changes, refused: refused)
        case .foreign:
            return try replace(with: frontends)
        case .readable(let observed):
            var removed: Set<Frontend.Key> = []
            do {
                let changes = try adopt(observed, frontends, &removed)
                return Start(finding: .adopted, changes: changes, removed: removed)
            } catch NFTablesError.refused(let refusals) where !refusals.contains(where: \.isTransient) {
                // Whatever is wrong, a table made from scratch is right.
                var start = try replace(with: frontends)
                start.removed = removed
                return start
            }
        }
    }

    private static func read(
        _ table: ServiceTable,
        _ kernel: some NFTablesKernel,
        expecting frontends: [Frontend]
    ) throws -> ObservedTable.Reading {
        do {
            return try ObservedTable.read(table, from: kernel, expecting: frontends)
        } catch NFTablesError.unsteady {
            // Others commit faster than a table can be read. Nothing has to be read to replace it.
            return .foreign
        }
    }

    /// Everything in one transaction, however large: the old table, which serves until then, goes with the transaction
    /// that begins the new one, since both have the same name, and a new table that is not full yet would be a gap. If
    /// it is refused because of some frontends, without them.
    private mutating func replace(with frontends: [Frontend]) throws -> Start {
        state = ServiceTableState()
        var structure = Transaction(table: table.table)
        structure.addTable()
        structure.deleteTable()
        table.addStructure(to: &structure)
        var whole = structure
        var plan = ServiceTransaction(table: table)
        for frontend in frontends { plan.add(.add(frontend), state) }
        // Whoever looks into the new table looks into nothing but the new generation.
        let fresh = plan.writeNewPicks(to: &whole, state)
        plan.write(to: &whole, fresh)
        do {
            try kernel.commit(whole)
            state = fresh
            state.apply(plan.effects)
            return Start(finding: .replaced, changes: whole.changeCount)
        } catch NFTablesError.refused(let refusals) where !refusals.contains(where: \.isTransient) {
            try kernel.commit(structure)
            let refused = try addInBatches(frontends).refused
            return Start(finding: .replaced, changes: whole.changeCount, refused: refused)
        }
    }

    private mutating func addInBatches(
        _ frontends: [Frontend]
    ) throws -> (changes: Int, refused: [RefusedFrontend]) {
        let cold = ColdStart(frontends, hasLocalDetector: table.hasLocalDetector)
        var transaction = Transaction(table: table.table)
        let ready = ServiceTransaction(table: table).write(new: cold.chains, to: &transaction, state)
        try kernel.commit(transaction)
        state = ready
        var changes = transaction.changeCount
        var refused: [RefusedFrontend] = []
        for batch in cold.batches {
            let outcome = try commit(frontends[batch].map { .add($0) }[...], retaining: .max)
            changes += outcome.changes
            refused += outcome.refused
        }
        return (changes, refused)
    }

    /// Writes what differs between what was found and what is wanted.
    ///
    /// - Parameters:
    ///   - observed: consumed, as what is compared is not needed any more.
    ///   - removed: what was found and is not wanted, also when this fails.
    /// - Returns: how many things were written.
    private mutating func adopt(
        _ observed: consuming ObservedTable,
        _ frontends: [Frontend],
        _ removed: inout Set<Frontend.Key>
    ) throws -> Int {
        var change = Transaction(table: table.table)
        let stale = repairStructure(observed, &change)
        state = ServiceTableState(
            idle: observed.chains.compactMap { PickChain(name: $0.name) },
            numbers: observed.chainNumbers.numbers,
            affinity: observed.affinityNumbers(of: frontends)
        )

        let slotCount = observed.slotCount
        var plan = ServiceTransaction(table: table)
        for frontend in frontends {
            plan.add(frontend, instead: observed.entries.removeValue(forKey: frontend.key) ?? .nothing, state)
        }
        for (key, entry) in observed.entries {
            plan.remove(key, entry)
            removed.insert(key)
        }
        observed.entries = [:]  // Not held while the rest is compared.
        var changes = try commitNewPicks(of: plan)
        plan.write(to: &change, state, observed: observed.counted)
        observed.counted = CountedSets()
        try kernel.commit(change)
        changes += change.changeCount
        state.apply(plan.effects)

        // What nothing points at any more goes in a transaction of its own: kernels before 6.2 still count a jump that
        // the same transaction removed.
        var cleanup = Transaction(table: table.table)
        for chain in stale { cleanup.deleteChain(chain) }
        let own = Set(table.maps.all.map(\.name))
        for set in observed.sets where !own.contains(set.name) && !set.isAnonymous { cleanup.deleteSet(set.name) }
        do {
            try kernel.commit(cleanup)
        } catch NFTablesError.refused(let refusals) where refusals.allSatisfy(\.isBusyChain) {
            cleanupFailures += 1
        }
        // In a large table as many idle chains stay as do otherwise.
        let keepsSome = slotCount > ColdStart.spareLimit
        changes += try removeIdleChains(retaining: keepsSome ? Self.retainedChains : 0)
        return changes + cleanup.changeCount
    }

    /// Mends sets, chains, rules and fixed elements.
    ///
    /// - Returns: chains that are not ours, now without rules.
    private func repairStructure(_ observed: ObservedTable, _ change: inout Transaction) -> [String] {
        let present = Set(observed.sets.map(\.name))
        for set in table.maps.all where !present.contains(set.name) { change.add(set) }
        var wanted = Dictionary(grouping: table.rules, by: \.chain)
        for chain in ServiceTable.chains where !observed.chains.contains(chain) { change.add(chain) }
        var stale: [String] = []
        let fixed = Set(ServiceTable.chains.map(\.name))
        for chain in observed.chains where !fixed.contains(chain.name) {
            if let pick = PickChain(name: chain.name) {
                wanted[chain.name] = table.rules(of: pick)
            } else {
                stale.append(chain.name)
                change.flushChain(chain.name)
            }
        }
        let names = ServiceTable.chains.map(\.name) + observed.chains.map(\.name).filter { !fixed.contains($0) }
        for name in names {
            guard let rules = wanted[name], rules != observed.rules[name] ?? [] else { continue }
            if observed.rules[name] != nil { change.flushChain(name) }
            for rule in rules { change.add(rule) }
        }
        let (found, chains) = (observed.chainNumbers.found, observed.chainNumbers.numbers.elements)
        for (map, found, wanted) in [
            (table.maps.frontendChains, found.frontend, chains.frontend),
            (table.maps.bySourceChains, found.bySource, chains.bySource),
        ] {
            for element in found.subtracting(wanted) { change.delete(element, from: map) }
            for element in wanted.subtracting(found) { change.add(element, to: map) }
        }
        for (set, elements) in table.fixedElements {
            // Ranges are compared as the kernel holds them, with the ends it has for those of one field.
            let wanted = Set(elements.flatMap { Array(set.kernelElements(of: $0)) })
            guard wanted != observed.fixed[set.name] ?? [] else { continue }
            change.flushSet(set.name)
            for element in elements { change.add(element, to: set) }
        }
        return stale
    }

    // MARK: Changes

    mutating func apply(_ changes: [FrontendChange]) throws -> [RefusedFrontend] {
        try commit(changes[...]).refused
    }

    private typealias Outcome = (changes: Int, refused: [RefusedFrontend])

    /// Commits all at once; if something is refused, each half for itself, down to who is to blame.
    ///
    /// - Parameter limit: how many idle chains may stay: all where later batches will use them.
    private mutating func commit(
        _ changes: ArraySlice<FrontendChange>,
        retaining limit: Int = ProgrammedTable.retainedChains
    ) throws -> Outcome {
        let trimming = lastSurplus.map { now() - $0 >= Self.surplusAge } ?? false ? Array(state.surplus.keys) : []
        var plan = ServiceTransaction(table: table)
        for change in changes { plan.add(change, state) }
        var transaction = Transaction(table: table.table)
        do {
            var count = try removeIdleChains(retaining: limit, but: plan.effects.picks)
            count += try commitNewPicks(of: plan)
            plan.write(to: &transaction, state, trimming: trimming)
            try kernel.commit(transaction)
            state.apply(plan.effects)
            if plan.effects.surplus.values.contains(where: { $0 != nil }) { lastSurplus = now() }
            return (transaction.changeCount + count, [])
        } catch NFTablesError.refused(let refusals) {
            return try bisect(changes, refusals, retaining: limit)
        }
    }

    /// A new chain costs more than anything else: when a rule begins to use a map, the kernel walks all of the map's
    /// elements (0.25 µs for each). Lists change their lengths to and fro, so some chains may wait for their next use.
    static let retainedChains = 128

    /// Removes the chains that are idle since an earlier batch if they are many. In two transactions: kernels before 6.2
    /// still count a jump that the same transaction removed.
    ///
    /// - Parameter needed: those that will be used now.
    /// - Returns: how many things were removed.
    private mutating func removeIdleChains(retaining limit: Int, but needed: [PickChain: Int] = [:]) throws -> Int {
        let idle = state.idlePicks.filter { needed[$0, default: 0] == 0 }.sorted { $0.name < $1.name }
        let elements = idle.compactMap { state.numbers.element(of: $0) }
        // One that could not be removed has no element any more; it goes with the next that do.
        guard elements.count > limit else { return 0 }
        var unlinking = Transaction(table: table.table)
        for map in table.maps.chains { for element in elements { unlinking.delete(element, from: map) } }
        try kernel.commit(unlinking)
        state.forgetNumbers(of: idle)
        var removal = Transaction(table: table.table)
        for chain in idle { removal.deleteChain(chain.name) }
        do {
            try kernel.commit(removal)
        } catch NFTablesError.refused(let refusals) where refusals.allSatisfy(\.isBusyChain) {
            // Someone else's rule goes there.
            cleanupFailures += 1
            return unlinking.changeCount
        }
        state.forget(idle)
        return unlinking.changeCount + removal.changeCount
    }

    /// - Returns: how many things were made.
    private mutating func commitNewPicks(of plan: ServiceTransaction) throws -> Int {
        var transaction = Transaction(table: table.table)
        let ready = plan.writeNewPicks(to: &transaction, state)
        guard !transaction.isEmpty else { return 0 }
        try kernel.commit(transaction)
        state = ready
        return transaction.changeCount
    }

    private mutating func bisect(
        _ changes: ArraySlice<FrontendChange>,
        _ refusals: [Refusal],
        retaining limit: Int
    ) throws -> Outcome {
        let error = NFTablesError.refused(refusals)
        if refusals.contains(where: \.isTransient) { throw error }
        if try kernel.table(table.table) == nil { throw ServiceBackendError.lost("table \(table.table)") }
        // We name only what we made: what is missing was removed by someone else, and no frontend is to blame.
        if let missing = refusals.first(where: { $0.code == ENOENT }) {
            throw ServiceBackendError.lost("\(missing.object)")
        }
        guard let change = changes.first else { throw error }
        // And we add only what is not there: a slot that is was not seen when the table was read.
        let slots = table.maps.slots
        if let strange = refusals.first(where: { $0.code == EEXIST && $0.object.isElement(ofAny: slots) }) {
            throw ServiceBackendError.lost("\(strange.object)")
        }
        if changes.count == 1 { return (0, [RefusedFrontend(change: change, reason: error.description)]) }
        let middle = changes.startIndex + changes.count / 2
        let first = try commit(changes[..<middle], retaining: limit)
        let second = try commit(changes[middle...], retaining: limit)
        return (first.changes + second.changes, first.refused + second.refused)
    }

    /// Makes this table another one that has the same rules: work in proportion to ``ServiceTable/fixedElements``.
    mutating func adapt(to new: ServiceTable) throws {
        var transaction = Transaction(table: table.table)
        for ((set, old), (_, wanted)) in zip(table.fixedElements, new.fixedElements) where Set(old) != Set(wanted) {
            transaction.flushSet(set.name)
            for element in wanted { transaction.add(element, to: set, exclusively: true) }
        }
        try kernel.commit(transaction)
        table = new
    }

    // MARK: End

    func remove() throws {
        guard try kernel.table(table.table) != nil else { return }
        var removal = Transaction(table: table.table)
        removal.deleteTable()
        do {
            try kernel.commit(removal)
        } catch NFTablesError.refused(let refusals) where refusals.allSatisfy({ $0.code == ENOENT }) {
            // Someone else was faster.
        }
    }
}

extension ObjectName {
    fileprivate func isElement(ofAny sets: [NamedSet]) -> Bool {
        guard case .element(let set, _) = self else { return false }
        return sets.contains { $0.name == set.name }
    }
}

extension Refusal {
    /// Whether a chain could not be deleted because the kernel still counts a jump to it.
    fileprivate var isBusyChain: Bool {
        guard case .chain = object else { return false }
        return change == .delete && code == EBUSY
    }
}
