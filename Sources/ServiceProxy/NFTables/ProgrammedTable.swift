import Glibc
import NFTables
import NetworkTypes

/// The table of one family with what is known about it: the edge between plans and the kernel.
struct ProgrammedTable: Sendable {
    /// What ``start(with:)`` found.
    enum Finding: String, Sendable {
        /// Nothing was there.
        case created
        /// What an earlier process left was compared and kept.
        case adopted
        /// What was there was of another make, or could not be mended, and was replaced.
        case replaced
    }

    let table: ServiceTable
    private let kernel: any NFTablesKernel
    private var state = ServiceTableState()

    init(table: ServiceTable, kernel: any NFTablesKernel) {
        self.table = table
        self.kernel = kernel
    }

    /// How many frontends go into one transaction of a cold start, so that the kernel's lock is not held for long.
    private static let batch = 5000

    // MARK: Start

    /// - Returns: what was there, how many bytes of changes were sent, and who was refused.
    mutating func start(
        with frontends: [Frontend]
    ) throws -> (finding: Finding, bytes: Int, refused: [RefusedFrontend]) {
        state = ServiceTableState()
        switch try Self.read(table, kernel) {
        case .missing:
            var creation = Transaction(table: table.table)
            addStructure(to: &creation)
            try kernel.commit(creation)
            let refused = try addInBatches(frontends)
            return (.created, creation.byteCount, refused)
        case .foreign:
            return try replace(with: frontends)
        case .readable(let observed):
            do {
                return (.adopted, try adopt(observed, frontends), [])
            } catch NFTablesError.refused(let refusals) where !refusals.contains(where: \.isTransient) {
                // Whatever is wrong, a table made from scratch is right.
                return try replace(with: frontends)
            }
        }
    }

    private static func read(_ table: ServiceTable, _ kernel: some NFTablesKernel) throws -> ObservedTable.Reading {
        try ObservedTable.read(table, from: kernel)
    }

    /// Everything in one transaction, so that there is no gap; if that is refused because of some frontends, without
    /// them.
    private mutating func replace(
        with frontends: [Frontend]
    ) throws -> (finding: Finding, bytes: Int, refused: [RefusedFrontend]) {
        state = ServiceTableState()
        var structure = Transaction(table: table.table)
        structure.addTable()
        structure.deleteTable()
        addStructure(to: &structure)
        var whole = structure
        var plan = ServiceTransaction(table: table)
        for frontend in frontends { plan.add(.add(frontend), state) }
        plan.write(to: &whole, state)
        do {
            try kernel.commit(whole)
            state.apply(plan.effects)
            return (.replaced, whole.byteCount, [])
        } catch NFTablesError.refused(let refusals) where !refusals.contains(where: \.isTransient) {
            try kernel.commit(structure)
            return (.replaced, whole.byteCount, try addInBatches(frontends))
        }
    }

    private mutating func addInBatches(_ frontends: [Frontend]) throws -> [RefusedFrontend] {
        var refused: [RefusedFrontend] = []
        var start = 0
        while start < frontends.count {
            let end = min(start + Self.batch, frontends.count)
            refused += try apply(frontends[start..<end].map { .add($0) })
            start = end
        }
        return refused
    }

    private func addStructure(to transaction: inout Transaction) {
        transaction.addTable()
        for set in table.maps.all { transaction.add(set) }
        for chain in ServiceTable.chains { transaction.add(chain) }
        for (set, elements) in table.fixedElements {
            for element in elements { transaction.add(element, to: set, exclusively: true) }
        }
        for rule in table.rules { transaction.add(rule) }
    }

    /// Writes what differs between what was found and what is wanted.
    private mutating func adopt(_ observed: ObservedTable, _ frontends: [Frontend]) throws -> Int {
        var change = Transaction(table: table.table)
        let stale = repairStructure(observed, &change)
        state = ServiceTableState(idle: observed.chains.compactMap { PickChain(name: $0.name) })

        var plan = ServiceTransaction(table: table)
        var left = observed.entries
        for frontend in frontends {
            plan.add(frontend, instead: left.removeValue(forKey: frontend.key) ?? .nothing)
        }
        for (key, entry) in left { plan.remove(key, entry) }
        plan.write(to: &change, state, observed: observed.counted, keepingIdleChains: true)
        try kernel.commit(change)
        state.apply(plan.effects)

        // What nothing points at any more goes in a transaction of its own: kernels before 6.2 still count a jump that
        // the same transaction removed.
        var cleanup = Transaction(table: table.table)
        for chain in stale { cleanup.deleteChain(chain) }
        let own = Set(table.maps.all.map(\.name))
        for set in observed.sets where !own.contains(set.name) && !set.isAnonymous { cleanup.deleteSet(set.name) }
        var nothing = ServiceTransaction(table: table)
        nothing.write(to: &cleanup, state)
        if !cleanup.isEmpty {
            try kernel.commit(cleanup)
            state.apply(nothing.effects)
        }
        return change.byteCount + cleanup.byteCount
    }

    /// Mends chains, rules and fixed elements.
    ///
    /// - Returns: chains that are not ours, now without rules.
    private func repairStructure(_ observed: ObservedTable, _ change: inout Transaction) -> [String] {
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
        try apply(changes[...])
    }

    /// Commits all at once; if something is refused, each half for itself, down to who is to blame.
    private mutating func apply(_ changes: ArraySlice<FrontendChange>) throws -> [RefusedFrontend] {
        var keepsIdle = false
        while true {
            var plan = ServiceTransaction(table: table)
            for change in changes { plan.add(change, state) }
            var transaction = Transaction(table: table.table)
            plan.write(to: &transaction, state, keepingIdleChains: keepsIdle)
            do {
                try kernel.commit(transaction)
                state.apply(plan.effects)
                return []
            } catch NFTablesError.refused(let refusals) {
                if !keepsIdle, refusals.allSatisfy(\.isBusyChain) {
                    keepsIdle = true
                    continue
                }
                return try setAside(changes, refusals)
            }
        }
    }

    private mutating func setAside(
        _ changes: ArraySlice<FrontendChange>,
        _ refusals: [Refusal]
    ) throws -> [RefusedFrontend] {
        let error = NFTablesError.refused(refusals)
        if refusals.contains(where: \.isTransient) { throw error }
        if try kernel.table(table.table) == nil { throw ServiceTableError.lost(table.table) }
        guard changes.count == 1, let change = changes.first else {
            guard changes.count > 1 else { throw error }
            let middle = changes.startIndex + changes.count / 2
            return try apply(changes[..<middle]) + apply(changes[middle...])
        }
        switch change {
        case .add(let frontend): return [RefusedFrontend(frontend: frontend, reason: error.description)]
        case .replace(let old, let new):
            // Refused means not served: its old endpoints may be anything by now.
            guard try apply([.remove(old)][...]).isEmpty else { throw ServiceTableError.altered(table.table, error) }
            return [RefusedFrontend(frontend: new, reason: error.description)]
        case .remove: throw ServiceTableError.altered(table.table, error)
        }
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

extension Refusal {
    /// Whether a chain could not be deleted because the kernel still counts a jump to it.
    fileprivate var isBusyChain: Bool {
        guard case .chain = object else { return false }
        return change == .delete && code == EBUSY
    }
}

/// The table is not what it was after the last change; everything has to be compared again.
enum ServiceTableError: Error, CustomStringConvertible {
    case lost(Table)
    case altered(Table, NFTablesError)

    var description: String {
        switch self {
        case .lost(let table): "table \(table) was removed by someone else"
        case .altered(let table, let error): "table \(table) was changed by someone else: \(error)"
        }
    }
}
