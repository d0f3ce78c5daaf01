import ClusterClient
import FoundationEssentials
import KubernetesAPI
import NetworkTypes

extension IPAMAdministration {
    /// What to do about a resource that exists already.
    public enum Existing: Hashable, Sendable {
        /// It is an error.
        case refuse
        /// Make it say the same.
        case replace
        /// Leave it as it is.
        case keep
    }

    public enum PutOutcome: String, Hashable, Sendable {
        case created, configured, unchanged
        /// It exists, and was to be kept as it is.
        case exists = "exists already"
    }

    /// The resources of a kind by name, or the one with a name.
    ///
    /// - Parameter leaveOut: is told of each that cannot be read; without it, and of one by its name, that is an error.
    public func resources(
        _ kind: ManagedResource.Kind,
        named name: String? = nil,
        leaveOut: ((UnreadableRecord) -> Void)? = nil
    ) async throws(IPAMError) -> [ManagedResource] {
        let (found, unreadable) = try await attempting {
            () async throws(AttemptError) -> ([ManagedResource], [UnreadableRecord]) in
            let query: RecordQuery =
                if name == nil, let records = kind.records {
                    .collection(.resources(records))
                } else {
                    .record(ManagedResource.key(kind, name ?? ManagedResource.settingsName))
                }
            if kind == .configuration, let name, name != ManagedResource.settingsName { return ([], []) }
            let records = try await read([query]).first ?? []
            var unreadable: [UnreadableRecord] = []
            let found = unreadable.readable(records) { (record) throws(IPAMError) in try ManagedResource(kind, record) }
            return (found.sorted { $0.name < $1.name }, unreadable)
        }
        try unreadable.leaveOut(telling: name == nil ? leaveOut : nil)
        return found
    }

    /// Creates a resource, or does with the one that exists what is wanted. One that cannot be read is replaced as a whole.
    @discardableResult
    public func put(_ resource: ManagedResource, existing: Existing) async throws(IPAMError) -> PutOutcome {
        try await attempting { () async throws(AttemptError) in
            let answers = try await read([
                .record(resource.key), .collection(.resources(.ipPools)),
                .record(ClusterInformation.recordKey("default")),
            ])
            if let record = answers[0].first {
                switch existing {
                case .refuse:
                    throw .failed(.invalidRequest("\(resource.kind.rawValue) \(resource.name) exists already"))
                case .keep: return .exists
                case .replace: break
                }
                let change: RecordChange?
                if (try? ManagedResource(resource.kind, record)) != nil {
                    change = try deciding { () throws(IPAMError) in try Self.update(record, resource) }
                } else {
                    // What it was nobody can tell, so that it has to fit as a new one has.
                    if case .pool(let pool) = resource { try await requireRoom(for: pool, among: answers[1]) }
                    change = try deciding { () throws(IPAMError) in
                        .update(record.key, try resource.stamped(clock.now()).record, record.revision)
                    }
                }
                guard let change else { return .unchanged }
                try await commit([change])
                return .configured
            }
            if case .pool(let pool) = resource { try await requireRoom(for: pool, among: answers[1]) }
            let changes = try deciding { () throws(IPAMError) in
                try Self.creation(resource, information: answers[2].first, clock.now())
            }
            try await commit(changes)
            return .created
        }
    }

    private func requireRoom(for pool: IPPool, among records: [Record]) async throws(AttemptError) {
        let others = PoolList(records.filter { $0.key != pool.recordKey })
        try deciding { () throws(IPAMError) in
            try others.requireReadable(toCreate: pool.name)
            for other in others.pools { try Self.requireApart(pool, other) }
        }
        try await requireBlocksFit([pool])
    }

    private static func creation(
        _ resource: ManagedResource,
        information: Record?,
        _ now: Timestamp
    ) throws(IPAMError) -> [RecordChange] {
        guard case .pool(let pool) = resource else { return [.create(resource.key, try resource.stamped(now).record)] }
        let key = ClusterInformation.recordKey("default")
        // Written with every pool, so that two that are made at once meet: see `ensurePools(_:)`.
        let meeting: RecordChange =
            if let information {
                .update(key, information.value, information.revision)
            } else {
                .create(key, try ClusterInformation(now: now).json())
            }
        return [meeting, .create(pool.recordKey, try resource.stamped(now).record)]
    }

    /// `nil` when nothing would change.
    private static func update(
        _ record: Record,
        _ resource: ManagedResource
    ) throws(IPAMError) -> RecordChange? {
        let stored = try ManagedResource(resource.kind, record)
        if case .pool(let old) = stored, case .pool(let new) = resource, let change = new.immutableChange(from: old) {
            throw .invalidPool(name: new.name, "it exists already, and \(change), which cannot be changed")
        }
        let updated = resource.replacing(stored)
        guard updated != stored else { return nil }
        return .update(record.key, try updated.record, record.revision)
    }

    /// Deletes a resource; whether there was one.
    ///
    /// A pool is disabled first, so that nothing more is assigned from it, and its blocks are given up: empty ones are
    /// deleted, those with addresses stay and belong to nobody (1.4). The pool goes last, so that a deletion that was
    /// cut short can be repeated. Of a pool that cannot be read the blocks are not known, and given up by their nodes when
    /// they are empty.
    public func delete(_ kind: ManagedResource.Kind, named name: String) async throws(IPAMError) -> Bool {
        guard kind != .configuration || name == ManagedResource.settingsName else { return false }
        if kind == .pool, try await !disable(pool: name) { return false }
        if kind == .pool { try await giveUpBlocks(ofPool: name) }
        return try await attempting { () async throws(AttemptError) in
            let key = ManagedResource.key(kind, name)
            guard let record = try await read([.record(key)]).first?.first else { return false }
            try await commit([.delete(key, record.revision)])
            return true
        }
    }

    /// Whether the pool exists.
    private func disable(pool name: String) async throws(IPAMError) -> Bool {
        try await attempting { () async throws(AttemptError) in
            guard let record = try await read([.record(IPPool.recordKey(name))]).first?.first else { return false }
            guard var pool = try? IPPool(record), !pool.spec.isDisabled else { return true }
            pool.spec.isDisabled = true
            let json = try deciding { () throws(IPAMError) in try pool.json() }
            try await commit([.update(record.key, json, record.revision)])
            return true
        }
    }

    private func giveUpBlocks(ofPool name: String) async throws(IPAMError) {
        let blocks = try await attempting { () async throws(AttemptError) -> [Block] in
            guard let record = try await read([.record(IPPool.recordKey(name))]).first?.first else { return [] }
            guard let pool = try? IPPool(record) else { return [] }
            let keys = try await keys(.blocks(pool.family)).filter { key in
                if case .block(let cidr) = key { pool.cidr.contains(cidr) } else { false }
            }
            let records = try await read(keys.map { .record($0) }).flatMap { $0 }
            // One that cannot be read stays, and is for a person to mend.
            return records.compactMap { try? StoredBlock($0).block }
        }
        for block in blocks {
            guard let owner = block.affinity else { continue }
            _ = try await releaseAffinity(of: block.cidr, owner: owner, requireEmpty: false)
        }
    }
}

extension ManagedResource {
    /// With what the store notes of a resource that is new.
    fileprivate func stamped(_ now: Timestamp) -> ManagedResource {
        func stamp(_ metadata: inout ResourceMetadata) {
            metadata.uid = metadata.uid ?? UUID().uuidString.lowercased()
            metadata.creationTimestamp = now.wholeSecond
            metadata.resourceVersion = nil
        }
        switch self {
        case .pool(var pool):
            stamp(&pool.metadata)
            return .pool(pool)
        case .reservation(var reservation):
            stamp(&reservation.metadata)
            return .reservation(reservation)
        case .node(var node):
            stamp(&node.metadata)
            return .node(node)
        case .configuration: return self
        }
    }

    /// With what the store notes of the one that it replaces.
    fileprivate func replacing(_ stored: ManagedResource) -> ManagedResource {
        func keep(_ old: ResourceMetadata, _ new: inout ResourceMetadata) {
            let (labels, annotations) = (new.labels, new.annotations)
            new = old
            (new.labels, new.annotations) = (labels ?? old.labels, annotations ?? old.annotations)
        }
        switch (self, stored) {
        case (.pool(var new), .pool(let old)):
            keep(old.metadata, &new.metadata)
            new.conditions = old.conditions
            return .pool(new)
        case (.reservation(var new), .reservation(let old)):
            keep(old.metadata, &new.metadata)
            return .reservation(new)
        case (.node(var new), .node(let old)):
            keep(old.metadata, &new.metadata)
            return .node(new)
        default: return self
        }
    }
}
