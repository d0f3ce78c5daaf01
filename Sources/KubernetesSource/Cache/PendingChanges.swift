import ClusterClient
import KubernetesAPI

/// What a consumer has not been told yet. It holds no more than one entry for an object, however often that changes.
struct PendingChanges: Sendable {
    /// What the consumer knows of an object.
    private indirect enum Known: Sendable {
        case nothing
        case object(KubernetesObject)
    }

    private struct Entry: Sendable {
        var known: Known
        /// Of the last change.
        var order: UInt64
    }

    private var entries: [ObjectKey: Entry] = [:]
    /// How many changes were ever noted.
    private(set) var changeCount: UInt64 = 0
    private var synced: Set<ObjectKind> = []

    /// An object has changed, or come, or gone.
    ///
    /// - Parameter old: what it was before this change; `nil` for one that was not there.
    mutating func note(_ key: ObjectKey, was old: KubernetesObject?) {
        changeCount += 1
        if entries[key] == nil {
            entries[key] = Entry(known: old.map { .object($0) } ?? .nothing, order: changeCount)
        } else {
            entries[key]?.order = changeCount
        }
    }

    mutating func note(synced kind: ObjectKind) {
        synced.insert(kind)
    }

    var isEmpty: Bool { entries.isEmpty && synced.isEmpty }

    /// Everything that the consumer has to be told, in the order in which it last changed.
    ///
    /// - Parameter current: what an object is now; `nil` when it is gone.
    mutating func take(_ current: (ObjectKey) -> KubernetesObject?) -> ObjectBatch {
        var batch = ObjectBatch(synced: synced)
        let taken = entries.sorted { $0.value.order < $1.value.order }
        (entries, synced) = ([:], [])
        batch.changes.reserveCapacity(taken.count)
        for (key, entry) in taken {
            switch (entry.known, current(key)) {
            case (.nothing, nil): break  // It came and went.
            case (.object, nil): batch.changes.append(.delete(key))
            case (.nothing, let object?): batch.changes.append(.set(object))
            case (.object(let known), let object?):
                if !known.hasSameContent(as: object) { batch.changes.append(.set(object)) }
            }
        }
        return batch
    }
}
