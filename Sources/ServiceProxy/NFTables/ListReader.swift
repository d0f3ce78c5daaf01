import NFTables

/// Reads the slots of lists: the one part of the table that grows with the endpoints.
///
/// Where there are many, each list's slots are looked up, up to the first one behind its end that is missing. What has no
/// frontend is not seen then; nothing leads to it, and a list that grows into it is refused, and the table made anew.
struct ListReader {
    /// What frontends have; all but the slots is known.
    private(set) var entries: [Frontend.Key: Entry]
    private let table: ServiceTable
    /// Whether every element made sense.
    private(set) var isUnderstood = true

    /// Lists with more slots than this together are looked up instead of being listed.
    static let listingLimit = 150_000
    /// How many lists are asked for together.
    private static let listsAtOnce = 64

    init(_ entries: [Frontend.Key: Entry], _ table: ServiceTable) {
        self.entries = entries
        self.table = table
    }

    /// One of the maps that have slots.
    private struct Map {
        let set: NamedSet
        let scope: Scope
        let isNear: Bool
        let remembersClients: Bool

        var slots: WritableKeyPath<Entry, [Destination?]> { isNear ? \.nearBackends : \.backends }
        var affinity: KeyPath<Entry, UInt32?> { isNear ? \.nearAffinity : \.affinity }

        /// How long the list is that a frontend should have here; `nil` when it should have none.
        func length(_ frontend: Frontend) -> Int? {
            guard (frontend.affinityTimeout != nil) == remembersClients else { return nil }
            return isNear ? frontend.nearRoute?.backends.count : frontend.route.backends.count
        }

        /// How long the list is that a frontend has here; `nil` when it has none.
        func length(_ entry: Entry) -> Int? {
            let dispatches = isNear ? [entry.near] : [entry.front, entry.far]
            for case let dispatch? in dispatches {
                guard let pick = dispatch.target.pick else { continue }
                return (pick.memory > 0) == remembersClients ? Int(pick.count) : nil
            }
            return nil
        }
    }

    private var maps: [Map] {
        Scope.allCases.flatMap { scope in
            [(false, false), (true, false), (false, true), (true, true)].map { isNear, remembersClients in
                Map(
                    set: table.maps[scope].backends(isNear: isNear, remembersClients: remembersClients),
                    scope: scope,
                    isNear: isNear,
                    remembersClients: remembersClients
                )
            }
        }
    }

    /// - Parameter frontends: what is wanted. Where it is not known whether one has a list, it is looked for too.
    /// - Throws: ``NFTablesError``
    mutating func read(_ kernel: some NFTablesKernel, expecting frontends: [Frontend], listingLimit: Int) throws {
        var count = 0
        for map in maps { eachList(of: map, frontends) { count += $1 } }
        for map in maps {
            if count <= listingLimit {
                makeRoom(for: map)
                // Whoever calls starts all over when anything changed, so a restart is not half-way unnoticed.
                try kernel.elements(of: map.set.name, in: table.table, restart: {}, { take($0, map) })
            } else {
                var searches: [Search] = []
                eachList(of: map, frontends) { searches.append(Search(key: $0, length: $1)) }
                try find(searches, map, kernel)
            }
        }
    }

    /// Calls `body` with the frontend and length of each list that is in a map, or may be.
    private func eachList(of map: Map, _ frontends: [Frontend], _ body: (Frontend.Key, Int) -> Void) {
        for (key, entry) in entries where key.scope == map.scope {
            if let length = map.length(entry) { body(key, length) }
        }
        for frontend in frontends where frontend.key.scope == map.scope {
            guard let length = map.length(frontend), entries[frontend.key].flatMap(map.length) == nil else { continue }
            body(frontend.key, length)
        }
    }

    /// Elements come in the order of a hash table: lists that grow with them would leave the heap in shreds.
    private mutating func makeRoom(for map: Map) {
        var index = entries.startIndex
        while index != entries.endIndex {
            if entries[index].key.scope == map.scope, let length = map.length(entries[index].value) {
                entries.values[index][keyPath: map.slots].reserveCapacity(length)
            }
            entries.formIndex(after: &index)
        }
    }

    private mutating func find(_ searches: [Search], _ map: Map, _ kernel: some NFTablesKernel) throws {
        var open = searches
        while !open.isEmpty {
            var unfinished: [Search] = []
            var start = 0
            while start < open.count {
                let part = open[start..<min(start + Self.listsAtOnce, open.count)]
                try kernel.find(part.map(\.keys), in: map.set, of: table.table) { take($0, map) }
                unfinished += part.compactMap { $0.continued(entries[$0.key]?[keyPath: map.slots] ?? []) }
                start += Self.listsAtOnce
            }
            open = unfinished
        }
    }

    /// A list whose slots are looked up.
    private struct Search {
        let key: Frontend.Key
        let length: Int
        /// The slots that are looked for. The last one is beyond the end of the list.
        var slots: ClosedRange<Int>

        /// A message has room for so many.
        private static let slotsAtOnce = 256

        init(key: Frontend.Key, length: Int) {
            (self.key, self.length) = (key, length)
            slots = 0...0
            look(from: 0)
        }

        private mutating func look(from slot: Int) {
            let end = min(length, slot + Self.slotsAtOnce - 1)
            slots = slot...max(end, slot + 7)
        }

        var keys: [Concatenation] {
            let frontend = Key.frontend(key)
            return slots.map { Key.slot($0, of: frontend) }
        }

        /// What is left to look for after what was found; `nil` when nothing is.
        func continued(_ found: [Destination?]) -> Search? {
            var rest = self
            guard let missing = slots.first(where: { $0 >= found.count || found[$0] == nil }) else {
                rest.look(from: slots.upperBound + 1)
                return rest
            }
            // A hole in the list; behind its end, nothing comes after the first slot that is missing.
            guard missing < length else { return nil }
            rest.look(from: missing + 1)
            return rest
        }
    }

    private mutating func take(_ element: Element, _ map: Map) {
        guard case .data(let data) = element.value,
            let (key, index) = KeyReader(element.key).slot(map.scope, table.family),
            index < 1 << 20
        else { return isUnderstood = false }
        if map.remembersClients {
            guard let member = KeyReader(data).member(table.family),
                entries[key]?[keyPath: map.affinity] == member.scope
            else { return isUnderstood = false }
            entries[key, default: .nothing][keyPath: map.slots].set(member.endpoint, at: index)
        } else {
            guard let endpoint = KeyReader(data).endpoint(table.family) else { return isUnderstood = false }
            entries[key, default: .nothing][keyPath: map.slots].set(endpoint, at: index)
        }
    }
}

extension [Destination?] {
    fileprivate mutating func set(_ endpoint: Destination, at index: Int) {
        while count <= index { append(nil) }
        self[index] = endpoint
    }
}
