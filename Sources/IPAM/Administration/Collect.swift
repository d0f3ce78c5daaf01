import ClusterClient
import KubernetesAPI
import NetworkTypes

extension IPAMAdministration {
    /// Looks once at what nobody uses any more.
    public func observe(_ collection: inout LeakCollection) async throws(IPAMError) -> CollectionPlan {
        collection.observe(try await records(), now: clock.now(), uptime: clock.uptime())
    }

    /// Takes back what is confirmed in a plan.
    ///
    /// Everything is looked at once more (G5): an address that is in use by now is left alone, and one that was assigned
    /// anew has another sequence number, with which its release is refused. It may end at any step and be repeated.
    ///
    /// - Throws: ``IPAMError/datastore(_:)`` while the store is locked, or when it fails.
    public func collect(_ plan: CollectionPlan) async throws(IPAMError) -> CollectionOutcome {
        var outcome = CollectionOutcome()
        guard plan.hasWork else { return outcome }
        let records = try await records()
        // What is being exported has to stay as it is.
        try records.information?.requireReady()
        let leaks = plan.leaks.filter { $0.standing == .confirmed }.map(\.allocation)
        if !leaks.isEmpty {
            let check = ConsistencyCheck(records, now: clock.now())
            let unused = Set(check.releasableLeaks.map(\.identity))
            let used = Set(
                check.allocations.lazy.filter { $0.use != .none && $0.use != .coolingDown }.compactMap(\.handle)
            )
            for leak in leaks {
                guard unused.contains(leak.identity), leak.handle.map({ !used.contains($0) }) ?? true else {
                    outcome.skipped += 1
                    continue
                }
                try await attempt(&outcome) { (outcome) async throws(IPAMError) in
                    let released = try await release([leak.identity]).released
                    if released.isEmpty { outcome.skipped += 1 }
                    outcome.addresses += released
                }
            }
        }
        // Those of the addresses that were released just now are gone already.
        for orphan in plan.handles where orphan.standing == .confirmed {
            try await attempt(&outcome) { (outcome) async throws(IPAMError) in
                let count = try await delete(handles: [orphan.handle])
                if count.done > 0 { outcome.handles.append(orphan.handle.id) }
                outcome.skipped += count.skipped
                outcome.errors += count.errors
            }
        }
        for cidr in plan.cooledDown {
            try await attempt(&outcome) { (outcome) async throws(IPAMError) in
                if try await endCooldowns(in: cidr) { outcome.cooledDown.append(cidr) }
            }
        }
        for block in plan.blocks where block.standing == .confirmed {
            try await attempt(&outcome) { (outcome) async throws(IPAMError) in
                let release = try await releaseAffinity(
                    of: block.cidr,
                    owner: block.owner,
                    requireEmpty: true,
                    sequenceNumber: block.sequenceNumber
                )
                if release == .released { outcome.blocks.append(block.cidr) } else { outcome.skipped += 1 }
            }
        }
        for stray in plan.affinities where stray.standing == .confirmed {
            try await attempt(&outcome) { (outcome) async throws(IPAMError) in
                if try await delete(affinity: stray.affinity) {
                    outcome.affinities.append(stray.affinity)
                } else {
                    outcome.skipped += 1
                }
            }
        }
        return outcome
    }

    /// All that the store has of IPAM, with what is in use elsewhere.
    public func records() async throws(IPAMError) -> IPAMRecords {
        do throws(DatastoreError) {
            var records = try await IPAMRecords.read(from: datastore)
            // After the blocks, as endpoints are.
            records.inUseElsewhere = try await addressesInUseElsewhere()
            return records
        } catch {
            throw .datastore(error)
        }
    }

    /// One thing that goes wrong holds up no other, unless it is the store.
    private func attempt(
        _ outcome: inout CollectionOutcome,
        _ body: (inout CollectionOutcome) async throws(IPAMError) -> Void
    ) async throws(IPAMError) {
        do throws(IPAMError) {
            try await body(&outcome)
        } catch {
            switch error {
            case .datastore: throw error
            case .staleRelease: outcome.skipped += 1
            default: outcome.errors.append("\(error)")
            }
        }
    }

    /// Writes the addresses of a block that have cooled down as free (G8, R9); whether there were any.
    private func endCooldowns(in cidr: CIDR) async throws(IPAMError) -> Bool {
        try await attempting { () async throws(AttemptError) in
            let answers = try await read([.record(.block(cidr)), .record(IPAMConfiguration.recordKey)])
            guard let record = answers[0].first else { return false }
            let change = try deciding { () throws(IPAMError) -> RecordChange? in
                var configuration = IPAMConfiguration()
                if let record = answers[1].first { configuration = try IPAMConfiguration(record) }
                var stored = try StoredBlock(record)
                guard stored.block.endCooldowns(now: clock.now(), cooldown: configuration.cooldown) else { return nil }
                // As a release leaves it (R4).
                return stored.block.isEmpty && stored.block.affinity == nil
                    ? .delete(.block(cidr), record.revision) : stored.change()
            }
            guard let change else { return false }
            try await commit([change])
            return true
        }
    }
}

extension ConsistencyCheck.Allocation {
    /// The assignment, and no later one of the address.
    public var identity: ReleaseOptions {
        ReleaseOptions(address: address, handle: handle, sequenceNumber: sequenceNumber)
    }
}
