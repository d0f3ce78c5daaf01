import Synchronization

/// All objects of a server, with one resourceVersion for all and the history of changes since the last compaction.
final class ObjectStore: Sendable {
    /// What became of an object.
    struct Change: Sendable {
        let resource: String
        let revision: UInt64
        /// What was there before.
        let previous: StoredObject?
        /// What is there now, or, of an object that is gone, its last state at the revision of its deletion.
        let object: StoredObject
        let isDeletion: Bool
    }

    /// What a write does to an object.
    enum Mutation {
        case put(StoredObject)
        case delete
        /// Nothing, and no new revision.
        case keep
    }

    /// What a write can see.
    struct View {
        let current: StoredObject?
        /// The resourceVersion that the write gets.
        let revision: UInt64
        fileprivate let claims: [String: ObjectID]

        /// Which object has a cluster IP or a node port.
        func holder(of claim: String) -> ObjectID? { claims[claim] }
    }

    struct Expired: Error {
        /// The oldest resourceVersion that is still good.
        let oldest: UInt64
    }

    private struct Collection {
        var objects: [ObjectID: StoredObject] = [:]
        var order: [ObjectID] = []
        var claims: [String: ObjectID] = [:]

        mutating func set(_ id: ObjectID, _ object: StoredObject?) {
            let old = objects[id]
            objects[id] = object
            for claim in old?.claims ?? [] { claims[claim] = nil }
            for claim in object?.claims ?? [] { claims[claim] = id }
            let place = order.firstIndex(notBefore: id)
            switch (old, object) {
            case (nil, .some): order.insert(id, at: place)
            case (.some, nil): order.remove(at: place)
            default: break
            }
        }
    }

    private struct State {
        var collections: [String: Collection] = [:]
        var revision: UInt64
        var history: [Change] = []
        /// Changes up to this one are forgotten.
        var compacted: UInt64
        var watchers: [Int: (resource: String, wake: @Sendable () -> Void)] = [:]
        var nextWatcher = 0
    }

    private let state: Mutex<State>
    private let historyLimit: Int

    init(revision: UInt64, historyLimit: Int) {
        state = Mutex(State(revision: revision, compacted: revision))
        self.historyLimit = historyLimit
    }

    var revision: UInt64 { state.withLock { $0.revision } }

    /// The oldest resourceVersion from which a watch can go on.
    var oldestRevision: UInt64 { state.withLock { $0.compacted } }

    func get(_ type: ResourceType, _ id: ObjectID) -> StoredObject? {
        state.withLock { $0.collections[type.qualifiedName]?.objects[id] }
    }

    func count(_ type: ResourceType) -> Int {
        state.withLock { $0.collections[type.qualifiedName]?.objects.count ?? 0 }
    }

    /// Reads, decides and writes at once. Returns the object as it is afterwards, or its last state.
    func write<Failure: Error>(
        _ type: ResourceType,
        _ id: ObjectID,
        _ decide: (View) throws(Failure) -> Mutation
    ) throws(Failure) -> StoredObject? {
        let (object, wake) = try state.withLock { state throws(Failure) in
            let resource = type.qualifiedName
            let current = state.collections[resource]?.objects[id]
            let revision = state.revision + 1
            let object: StoredObject
            let isDeletion: Bool
            // The view goes away before the collection changes, which would be copied otherwise.
            switch try decide(
                View(current: current, revision: revision, claims: state.collections[resource]?.claims ?? [:])
            ) {
            case .keep: return (current, [@Sendable () -> Void]())
            case .put(let new): (object, isDeletion) = (new, false)
            case .delete:
                guard let current else { return (nil, []) }
                (object, isDeletion) = (current.at(revision), true)
            }
            state.revision = revision
            state.collections[resource, default: Collection()].set(id, isDeletion ? nil : object)
            state.history.append(
                Change(
                    resource: resource,
                    revision: revision,
                    previous: current,
                    object: object,
                    isDeletion: isDeletion
                )
            )
            // Half more than the limit, so that not every write moves the array.
            if state.history.count > historyLimit + historyLimit / 2 {
                let surplus = state.history.count - historyLimit
                state.compacted = state.history[surplus - 1].revision
                state.history.removeFirst(surplus)
            }
            return (object, state.watchers.values.filter { $0.resource == resource }.map { $0.wake })
        }
        for wake in wake { wake() }
        return object
    }

    func advance(to revision: UInt64) {
        state.withLock { $0.revision = max($0.revision, revision) }
    }

    /// Takes objects as they are, unseen by watches.
    func restore(_ objects: [StoredObject], revision: UInt64) {
        state.withLock { state in
            for object in objects {
                state.collections[object.type.qualifiedName, default: Collection()].set(object.id, object)
            }
            state.revision = max(state.revision, revision)
            state.compacted = state.revision
        }
    }

    /// Forgets the history.
    func compact() {
        let wake = state.withLock { state in
            state.history = []
            state.compacted = state.revision
            return state.watchers.values.map { $0.wake }
        }
        for wake in wake { wake() }
    }

    // MARK: Lists

    struct Page {
        var objects: [StoredObject]
        /// The revision at which the list is true.
        var revision: UInt64
        /// How many more there are; only known without a selector.
        var remaining: Int
    }

    /// Objects in order.
    ///
    /// - Parameters:
    ///   - namespace: `nil` for all.
    ///   - after: the last object of the page before.
    ///   - limit: 0 for all.
    ///   - revision: what was there then; `nil` for now.
    func list(
        _ type: ResourceType,
        namespace: String?,
        after: ObjectID? = nil,
        limit: Int = 0,
        at revision: UInt64? = nil,
        where matches: (StoredObject) -> Bool
    ) throws(Expired) -> Page {
        try state.withLock { state throws(Expired) in
            var collection = state.collections[type.qualifiedName] ?? Collection()
            if let revision, revision < state.revision {
                guard revision >= state.compacted else { throw Expired(oldest: state.compacted) }
                for change in state.history.reversed() {
                    guard change.revision > revision else { break }
                    guard change.resource == type.qualifiedName else { continue }
                    collection.set(change.object.id, change.previous)
                }
            }
            var first = 0
            var end = collection.order.count
            if let namespace {
                first = collection.order.firstIndex(notBefore: ObjectID(namespace: namespace, name: ""))
                // The least string that is greater than every name of the namespace.
                end = collection.order.firstIndex(notBefore: ObjectID(namespace: namespace + "\u{0}", name: ""))
            }
            if let after {
                first = max(first, collection.order.firstIndex(notBefore: after))
                if first < end, collection.order[first] == after { first += 1 }
            }
            var page = Page(objects: [], revision: revision ?? state.revision, remaining: 0)
            for (index, id) in collection.order[first..<max(first, end)].enumerated() {
                if limit > 0, page.objects.count == limit {
                    page.remaining = end - first - index
                    break
                }
                if let object = collection.objects[id], matches(object) { page.objects.append(object) }
            }
            return page
        }
    }

    // MARK: Watches

    /// Calls a closure, on any thread, after each change of the resource and after a compaction.
    func addWatcher(_ type: ResourceType, _ wake: @escaping @Sendable () -> Void) -> Int {
        state.withLock { state in
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = (type.qualifiedName, wake)
            return state.nextWatcher
        }
    }

    func removeWatcher(_ id: Int) {
        state.withLock { _ = $0.watchers.removeValue(forKey: id) }
    }

    /// The changes of a resource after a revision, at most so many, and up to which revision they are complete.
    func changes(
        _ type: ResourceType,
        after revision: UInt64,
        limit: Int
    ) throws(Expired) -> (changes: [Change], through: UInt64) {
        try state.withLock { state throws(Expired) in
            guard revision >= state.compacted else { throw Expired(oldest: state.compacted) }
            var low = 0
            var high = state.history.count
            while low < high {
                let middle = (low + high) / 2
                if state.history[middle].revision > revision { high = middle } else { low = middle + 1 }
            }
            var changes: [Change] = []
            for change in state.history[low...] where change.resource == type.qualifiedName {
                guard changes.count < limit else { return (changes, changes.last?.revision ?? revision) }
                changes.append(change)
            }
            return (changes, max(revision, state.revision))
        }
    }
}

extension [ObjectID] {
    /// The index of the first element that is not before another one, in an array that is sorted.
    func firstIndex(notBefore id: ObjectID) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < id { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
