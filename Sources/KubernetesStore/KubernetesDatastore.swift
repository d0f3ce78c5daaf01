import ClusterClient
import FoundationEssentials
import JSON
import KubernetesClient
import NetworkTypes

/// The store that Calico keeps in the Kubernetes API, shared by all nodes.
///
/// | record | object |
/// | --- | --- |
/// | blocks, affinities, handles, settings, pools, reservations | Calico's custom resources (2.10) |
/// | workload endpoints | annotations of their Pod, see ``PodEndpoints`` (K4) |
/// | nodes | the cluster's Nodes, which only Kubernetes writes |
///
/// There are no transactions: a commit is one request after another (two for a soft deletion, K2), each guarded by UID and
/// `resourceVersion`, which are a record's revision. Objects that this value has read one by one or written lately are
/// remembered, since a write has to repeat what of an object no record knows; a write of another object reads it first.
///
/// A write whose answer was lost ends as ``DatastoreError/Reason/unavailable`` and is not repeated here: the caller
/// has to look.
public struct KubernetesDatastore: Datastore {
    public let commitsAtomically = false

    let requests: ObjectRequests
    let node: String?
    private let recent = RecentObjects()
    /// Pods, under a key of their own names.
    let recentPods = RecentObjects()

    /// - Parameters:
    ///   - api: in which of its two forms Calico keeps its objects in this cluster.
    ///   - node: lists of workload endpoints are of the Pods of this node; `nil` for all.
    public init(client: KubernetesClient, api: CalicoAPI = .customResources, node: String? = nil) {
        requests = ObjectRequests(client: client, api: api)
        self.node = node
    }

    private var api: CalicoAPI { requests.api }

    // MARK: Reading

    public func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        guard queries.count > 1 else {
            guard let query = queries.first else { return [] }
            return [try await answer(query)]
        }
        // Each is a request of its own; together they take the time of the slowest.
        let results = await withTaskGroup(of: (Int, Result<[Record], DatastoreError>).self) { group in
            var results = [Result<[Record], DatastoreError>?](repeating: nil, count: queries.count)
            var next = 0
            func start() {
                guard next < queries.count else { return }
                let (index, query) = (next, queries[next])
                next += 1
                group.addTask { (index, await result(of: query)) }
            }
            for _ in 0..<Self.requestsAtOnce { start() }
            while let (index, result) = await group.next() {
                results[index] = result
                // A server that is away is not waited for once more.
                if case .failure = result { next = queries.count }
                start()
            }
            return results
        }
        var answers: [[Record]] = []
        for result in results { answers.append(try result?.get() ?? []) }
        return answers
    }

    /// A function, since an optimised build by Swift 6.3 loses the index of what such a `do` in the closure above returns.
    private func result(of query: RecordQuery) async -> Result<[Record], DatastoreError> {
        do throws(DatastoreError) {
            return .success(try await answer(query))
        } catch {
            return .failure(error)
        }
    }

    /// As many as an ADD has to begin with.
    private static let requestsAtOnce = 12

    private func answer(_ query: RecordQuery) async throws(DatastoreError) -> [Record] {
        switch query {
        case .record(.resource(.nodes, _, let name)):
            guard let node = try await requests.node(name) else { return [] }
            return [
                Record(
                    key: .resource(.nodes, name: name),
                    value: NodeRecord.value(node),
                    revision: node.revision
                )
            ]
        case .record(.resource(.workloadEndpoints, let namespace, let name)):
            return try await endpoint(namespace: namespace, name: name).map { [$0] } ?? []
        case .record(let key):
            try check(key)
            guard let kind = CalicoKind(key), let object = try await find(kind, key) else { return [] }
            return [record(object, kind, key)]
        case .collection(.resources(.nodes)):
            var records: [Record] = []
            try await requests.nodes { node throws(DatastoreError) in
                records.append(
                    Record(
                        key: .resource(.nodes, name: node.name),
                        value: NodeRecord.value(node),
                        revision: node.revision
                    )
                )
            }
            return records.sorted { $0.key < $1.key }
        case .collection(.resources(.workloadEndpoints)):
            return try await endpoints()
        case .collection(let collection):
            return try await list(collection)
        }
    }

    func record(_ object: CustomObject, _ kind: CalicoKind, _ key: RecordKey) -> Record {
        Record(
            key: key,
            value: Data(Array(JSONValue.object(object.record(kind, api)).text().utf8)),
            revision: object.revision
        )
    }

    /// The object of a record. One that is being deleted is deleted to the end, and is none (K2).
    private func find(_ kind: CalicoKind, _ key: RecordKey) async throws(DatastoreError) -> CustomObject? {
        let names = key.objectNames
        for (index, name) in names.enumerated() {
            guard let object = try await requests.get(kind, name) else {
                // Only a handle whose name is taken by another is not found under it (H2).
                if index == 0, key == .handle(name) { return nil }
                continue
            }
            guard try self.key(of: object, kind) == key else { continue }
            guard !(kind.isDeletedSoftly && object.isSoftlyDeleted) else {
                await requests.finishDeletion(kind, object)
                recent.set(key, nil)
                return nil
            }
            recent.set(key, object)
            return object
        }
        recent.set(key, nil)
        return nil
    }

    /// Throws for a record that no object can hold (E6, H2).
    func check(_ key: RecordKey) throws(DatastoreError) {
        let problem: String? =
            switch key {
            case .handle(""): "has no name"
            case .blockAffinity(let owner, _) where ObjectNames.name(of: owner).contains("/"):
                "names a node with a slash"
            case .block, .blockAffinity, .handle, .ipamConfiguration, .resource(.workloadEndpoints, _, _): nil
            case .resource(_, _, let name): ObjectNames.isName(name) ? nil : "has no name that an object can have"
            }
        if let problem { throw DatastoreError(.invalidKey, key, problem) }
    }

    private func list(_ collection: RecordCollection) async throws(DatastoreError) -> [Record] {
        guard let kind = CalicoKind(collection) else { return [] }
        var selector: String?
        if case .blockAffinities(let owner, let family) = collection {
            selector = AffinityLabels.selector(owner, family)
        }
        let records = try await list(kind, selector) { collection.includes($0) }
        // Calico's releases before 3.30 wrote no labels.
        guard records.isEmpty, selector != nil else { return records }
        return try await list(kind, nil) { collection.includes($0) }
    }

    public func looseAffinities() async throws(DatastoreError) -> [Record] {
        try await list(.affinity, nil) { if case .blockAffinity(.host, _) = $0 { true } else { false } }
    }

    private func list(
        _ kind: CalicoKind,
        _ selector: String?,
        _ isMeant: (RecordKey) -> Bool
    ) async throws(DatastoreError) -> [Record] {
        var records: [Record] = []
        try await requests.list(kind, selector: selector, restart: { records = [] }) { object throws(DatastoreError) in
            guard !(kind.isDeletedSoftly && object.isSoftlyDeleted) else { return }
            let key = try self.key(of: object, kind)
            if isMeant(key) { records.append(record(object, kind, key)) }
        }
        return records.sorted { $0.key < $1.key }
    }

    public func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey] {
        // Blocks are large, and their names say all. That one of them is being deleted cannot be seen from its name; such a
        // one is there for a moment only.
        guard case .blocks(let family) = collection else {
            return try await answer(.collection(collection)).map(\.key)
        }
        var keys: [RecordKey]? = []
        try await requests.listNames(.block, restart: { keys = [] }) { name in
            guard let cidr = ObjectNames.block(named: name) else { return keys = nil }
            if cidr.family == family { keys?.append(.block(cidr)) }
        }
        guard let keys else { return try await list(collection).map(\.key) }
        return keys.sorted()
    }

    func key(of object: CustomObject, _ kind: CalicoKind) throws(DatastoreError) -> RecordKey {
        do throws(MalformedObject) {
            return try object.key(kind)
        } catch {
            throw DatastoreError(.corrupt, "\(kind.plural(api))/\(object.name) is damaged: \(error.reason)")
        }
    }

    // MARK: Writing

    public func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        guard Set(changes.map(\.key)).count == changes.count else {
            throw DatastoreError(.failed, "one commit names a record twice")
        }
        // Nothing is written when something cannot be: one request follows another.
        for change in changes { try check(change.key) }
        var revisions: [Revision?] = []
        for change in changes { revisions.append(try await commit(change)) }
        return revisions
    }

    private func commit(_ change: RecordChange) async throws(DatastoreError) -> Revision? {
        switch change.key {
        case .resource(.nodes, _, _):
            throw DatastoreError(.failed, change.key, "nodes are Kubernetes' own; change their labels there")
        case .resource(.workloadEndpoints, let namespace, let name):
            return try await commit(change, namespace: namespace, endpoint: name)
        default:
            break
        }
        guard let kind = CalicoKind(change.key) else {
            throw DatastoreError(.invalidKey, change.key, "is no record of this store")
        }
        switch change {
        case .create(let key, let value):
            return try await create(kind, key, try draft(kind, key, value))
        case .update(let key, let value, let revision):
            let draft = try draft(kind, key, value)
            let base = try await stored(kind, key, revision)
            let written = try await requests.replace(kind, key, draft.object(named: base.name, over: base))
            recent.set(key, written)
            return written.revision
        case .delete(let key, let revision):
            try await delete(kind, key, revision)
            return nil
        }
    }

    private func draft(_ kind: CalicoKind, _ key: RecordKey, _ value: Data) throws(DatastoreError) -> ObjectDraft {
        do throws(MalformedObject) {
            return try ObjectDraft(kind, api, key, value)
        } catch {
            throw DatastoreError(.failed, key, "cannot be an object: \(error.reason)")
        }
    }

    private func create(
        _ kind: CalicoKind,
        _ key: RecordKey,
        _ draft: ObjectDraft
    ) async throws(DatastoreError) -> Revision {
        let names = key.objectNames
        // Calico may have made this handle under its own name for it.
        if names.count > 1, key != .handle(names[0]), try await find(kind, key) != nil {
            throw DatastoreError(.alreadyExists, key, "exists already")
        }
        var name = names[0]
        for _ in 0..<Self.createAttempts {
            if let written = try await requests.create(kind, key, draft.object(named: name)) {
                recent.set(key, written)
                return written.revision
            }
            guard let object = try await requests.get(kind, name) else { continue }
            guard try self.key(of: object, kind) == key else {
                guard let other = names.last, other != name else {
                    throw DatastoreError(
                        .corrupt,
                        key,
                        "\(kind.plural(api))/\(name) holds \(try self.key(of: object, kind))"
                    )
                }
                name = other
                continue
            }
            if kind.isDeletedSoftly, object.isSoftlyDeleted {
                await requests.finishDeletion(kind, object)
                continue
            }
            recent.set(key, object)
            await addLabels(key, object)
            throw DatastoreError(.alreadyExists, key, "exists already")
        }
        throw DatastoreError(.conflict, key, "others create and delete it all the time")
    }

    private static let createAttempts = 4

    /// Gives an affinity the labels that it has to have, so that its host finds it (K1).
    private func addLabels(_ key: RecordKey, _ object: CustomObject) async {
        guard case .blockAffinity(let owner, let cidr) = key else { return }
        let labels = object.metadata.object("labels")
        guard AffinityLabels.labels(owner, cidr.family).contains(where: { labels.string($0.0) != $0.1 }) else { return }
        let value = JSONValue.object(object.record(.affinity, api)).text()
        // When it does not succeed, whoever meets the object next tries again.
        guard let draft = try? draft(.affinity, key, Data(Array(value.utf8))),
            let written = try? await requests.replace(.affinity, key, draft.object(named: object.name, over: object))
        else { return }
        recent.set(key, written)
    }

    /// The object at the revision that the caller has seen, remembered or read again.
    private func stored(
        _ kind: CalicoKind,
        _ key: RecordKey,
        _ revision: Revision
    ) async throws(DatastoreError) -> CustomObject {
        if let object = recent[key], object.revision == revision { return object }
        guard let object = try await find(kind, key) else {
            throw DatastoreError(.notFound, key, "does not exist")
        }
        guard object.revision == revision else {
            throw DatastoreError(.conflict, key, "was written since it was read")
        }
        return object
    }

    private func delete(_ kind: CalicoKind, _ key: RecordKey, _ revision: Revision) async throws(DatastoreError) {
        let base = try await stored(kind, key, revision)
        recent.set(key, nil)
        guard kind.isDeletedSoftly else {
            try await requests.delete(kind, key, base)
            return
        }
        // With this write it is deleted; what is left to do, anyone who meets the object does.
        let marked = try await requests.replace(kind, key, base.markedDeleted(kind, api))
        await requests.finishDeletion(kind, marked)
    }
}

extension RecordCollection {
    /// Whether a key of the right kind belongs to the collection.
    func includes(_ key: RecordKey) -> Bool {
        switch (self, key) {
        case (.blocks(let family), .block(let cidr)): cidr.family == family
        case (.blockAffinities(let owner, let family), .blockAffinity(let other, let cidr)):
            owner == other && cidr.family == family
        case (.handles, .handle): true
        case (.resources(let kind), .resource(let other, _, _)): kind == other
        default: false
        }
    }
}
