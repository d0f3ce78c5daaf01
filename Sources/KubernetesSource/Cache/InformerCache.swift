import KubernetesAPI
import KubernetesWire

/// The objects of one kind as the API server has them, and a list that is on its way in.
///
/// Objects share their storage with what was delivered. A list becomes visible as a whole, once it is complete: until
/// then only what it has that is new is kept beside the old state.
struct InformerCache: Sendable {
    let kind: ObjectKind
    private(set) var objects: [ObjectName: KubernetesObject] = [:]
    private var incoming: Incoming?
    /// The version in which an object was last found unusable.
    private var unusable: [ObjectName: String] = [:]

    /// A list that is not complete.
    private struct Incoming: Sendable {
        /// What it has in the version that is known.
        var unchanged: Set<ObjectName> = []
        var changed: [ObjectName: KubernetesObject] = [:]

        mutating func keep(_ name: ObjectName) {
            changed[name] = nil
            unchanged.insert(name)
        }
    }

    /// More unusable objects than this are not remembered; they are told again with each version.
    private static let unusableLimit = 10_000

    init(_ kind: ObjectKind) {
        self.kind = kind
    }

    /// How many objects a list that is on its way in has so far.
    var incomingCount: Int { incoming.map { $0.unchanged.count + $0.changed.count } ?? 0 }

    var isListing: Bool { incoming != nil }

    /// Fills an empty cache with what an earlier process knew.
    mutating func adopt(_ objects: [KubernetesObject], _ pending: inout PendingChanges) {
        guard self.objects.isEmpty else { return }
        for object in objects { store(object, as: object.metadata.objectName, &pending) }
    }

    // MARK: A list

    mutating func beginList() {
        incoming = Incoming()
    }

    mutating func discardList() {
        incoming = nil
    }

    mutating func list(_ object: KubernetesObject) {
        let name = object.metadata.objectName
        if let staged = incoming?.changed[name], object.isOlder(than: staged) { return }
        if let known = objects[name], known.isSameVersion(as: object) {
            incoming?.keep(name)
        } else {
            incoming?.changed[name] = object
            incoming?.unchanged.remove(name)
        }
    }

    /// The list has an object that cannot be used: its last good state stays.
    mutating func listUnusable(_ name: ObjectName) {
        if objects[name] != nil, incoming?.changed[name] == nil { incoming?.unchanged.insert(name) }
    }

    /// An object that the list had is gone again, before it was complete.
    mutating func unlist(_ name: ObjectName, version: String) {
        if let staged = incoming?.changed[name], ResourceVersion.isOlder(version, than: staged.metadata.resourceVersion)
        {
            return
        }
        incoming?.changed[name] = nil
        incoming?.unchanged.remove(name)
    }

    /// Makes the list that came in the known state.
    ///
    /// - Parameter isRestored: whether the list counts although objects in it are older than what is known.
    mutating func completeList(isRestored: Bool, _ pending: inout PendingChanges) {
        guard let list = incoming else { return }
        incoming = nil
        if objects.isEmpty {
            objects = list.changed
            for name in objects.keys { pending.note(ObjectKey(kind, name), was: nil) }
            return
        }
        // What goes first, so that what takes its place does not meet it.
        for name in Array(objects.keys) where list.changed[name] == nil && !list.unchanged.contains(name) {
            remove(name, &pending)
        }
        for (name, object) in list.changed {
            if !isRestored, let known = objects[name], object.isOlder(than: known) { continue }
            store(object, as: name, &pending)
        }
    }

    // MARK: A watch

    /// An object was added or modified.
    mutating func set(_ object: KubernetesObject, _ pending: inout PendingChanges) {
        let name = object.metadata.objectName
        if let known = objects[name], known.isSameVersion(as: object) || object.isOlder(than: known) { return }
        store(object, as: name, &pending)
    }

    mutating func delete(_ name: ObjectName, version: String, _ pending: inout PendingChanges) {
        guard let known = objects[name] else {
            unusable[name] = nil
            return
        }
        guard !ResourceVersion.isOlder(version, than: known.metadata.resourceVersion) else { return }
        remove(name, &pending)
    }

    // MARK: Both

    /// Notes an unusable object; `false` when this version of it was noted before.
    mutating func noteUnusable(_ skipped: SkippedObject) -> Bool {
        guard let name = skipped.key?.name else { return true }
        guard unusable[name] != skipped.resourceVersion else { return false }
        if unusable[name] != nil || unusable.count < Self.unusableLimit { unusable[name] = skipped.resourceVersion }
        return true
    }

    private mutating func store(_ object: KubernetesObject, as name: ObjectName, _ pending: inout PendingChanges) {
        unusable[name] = nil
        guard let known = objects[name] else {
            objects[name] = object
            return pending.note(ObjectKey(kind, name), was: nil)
        }
        guard known.hasSameContent(as: object) else {
            objects[name] = object
            return pending.note(ObjectKey(kind, name), was: known)
        }
        // What nobody reads has changed; the storage that consumers share stays.
        objects[name]?.metadata.resourceVersion = object.metadata.resourceVersion
    }

    private mutating func remove(_ name: ObjectName, _ pending: inout PendingChanges) {
        unusable[name] = nil
        pending.note(ObjectKey(kind, name), was: objects.removeValue(forKey: name))
    }
}

extension KubernetesObject {
    fileprivate func isSameVersion(as other: KubernetesObject) -> Bool {
        metadata.resourceVersion == other.metadata.resourceVersion && metadata.uid == other.metadata.uid
    }

    /// Versions of one kind are comparable even when an object was deleted and made again under its name.
    fileprivate func isOlder(than other: KubernetesObject) -> Bool {
        ResourceVersion.isOlder(metadata.resourceVersion, than: other.metadata.resourceVersion)
    }

    /// Whether a consumer sees no difference. When a slice changed is of no interest where nothing else did.
    func hasSameContent(as other: KubernetesObject) -> Bool {
        var copy = self
        if case .endpointSlice(var slice) = copy, case .endpointSlice(let other) = other {
            slice.lastChangeTriggerTime = other.lastChangeTriggerTime
            copy = .endpointSlice(slice)
        }
        copy.metadata.resourceVersion = other.metadata.resourceVersion
        return copy == other
    }
}
