import ClusterClient
import NetworkTypes

extension Allocator {
    /// Writes what was decided.
    ///
    /// - Parameters:
    ///   - beside: what else is to be in the transaction.
    ///   - written: on a store without transactions, gains the addresses whose block was written.
    func write(
        _ draft: AssignmentDraft,
        _ beside: ([AssignedAddress]) async throws(DatastoreError) -> [RecordChange],
        _ written: inout [ReleaseOptions]
    ) async throws(AttemptError) {
        guard datastore.commitsAtomically else {
            if !draft.assigned.isEmpty { try await writeInOrder(draft, &written) }
            return
        }
        var changes: [RecordChange]
        do throws(DatastoreError) {
            changes = try await beside(draft.result)
        } catch {
            throw AttemptError(error)
        }
        if !draft.assigned.isEmpty { changes += self.changes(draft) }
        if !changes.isEmpty { try await commit(changes) }
    }

    private func changes(_ draft: AssignmentDraft) -> [RecordChange] {
        var changes: [RecordChange] = []
        if let handle = draft.handle(exactly: true).change { changes.append(handle) }
        changes += draft.predecessors.values.compactMap(\.change)
        changes += draft.changedBlocks.map { $0.change() }
        for (cidr, claim) in draft.usedClaims {
            let value = BlockAffinity(.confirmed).json
            let key = RecordKey.blockAffinity(owner, cidr)
            changes.append(claim.existing.map { .update(key, value, $0.revision) } ?? .create(key, value))
        }
        changes += draft.revoked.map { .delete($0.key, $0.revision) }
        return changes
    }

    /// The same in steps: pending affinities, the handle, the blocks, confirmed affinities (A2, P10).
    ///
    /// Stopped after any step it leaves what A8 and X6 allow: a pending affinity, which means nothing; a handle that
    /// counts too much; a block with an affinity still pending.
    private func writeInOrder(_ draft: AssignmentDraft, _ written: inout [ReleaseOptions]) async throws(AttemptError) {
        var revoked: [RecordChange] = []
        for affinity in draft.revoked {
            let value = BlockAffinity(.pendingDeletion).json
            let revision = try await revision(of: commit([.update(affinity.key, value, affinity.revision)]))
            revoked.append(.delete(affinity.key, revision))
        }
        var pending: [(cidr: CIDR, key: RecordKey, revision: Revision)] = []
        for (cidr, claim) in draft.usedClaims {
            let value = BlockAffinity(.pending).json
            let key = RecordKey.blockAffinity(owner, cidr)
            let change: RecordChange = claim.existing.map { .update(key, value, $0.revision) } ?? .create(key, value)
            pending.append((cidr, key, try await revision(of: commit([change]))))
        }
        let handle = draft.handle(exactly: false)
        guard let handleChange = handle.change else { return }
        let handleRevision = try await revision(of: commit([handleChange]))

        let blocks = draft.changedBlocks
        for (index, stored) in blocks.enumerated() {
            do throws(AttemptError) {
                try await commit([stored.change()])
                for ordinal in draft.assigned[stored.block.cidr] ?? [] {
                    written.append(
                        ReleaseOptions(
                            address: stored.block.address(ordinal),
                            handle: draft.request.handle,
                            sequenceNumber: stored.block.sequenceNumber(of: ordinal)
                        )
                    )
                }
            } catch {
                // Certainly not written, so the handle need not count these; after a lost reply it has to.
                if case .again(let cause) = error, cause.reason != .unavailable {
                    let unwritten = blocks[index...].map(\.block.cidr)
                    await uncount(unwritten, draft, handle, handleRevision)
                    await withdraw(pending.filter { unwritten.contains($0.cidr) })
                }
                throw error
            }
        }
        for affinity in pending {
            do throws(AttemptError) {
                try await commit([.update(affinity.key, BlockAffinity(.confirmed).json, affinity.revision)])
            } catch {
                // Another process of this host may have confirmed it (A4). Otherwise the next one to use the block will.
                guard case .again = error else { throw error }
            }
        }
        for change in revoked { _ = try? await commit([change]) }
        // Counting what they have lost, which a handle may (R5).
        for change in draft.predecessors.values.compactMap(\.change) { _ = try? await commit([change]) }
    }

    private func revision(of revisions: [Revision?]) throws(AttemptError) -> Revision {
        guard let revision = revisions.first ?? nil else {
            throw .failed(.inconsistent("the datastore did not tell the revision of what it wrote"))
        }
        return revision
    }

    /// Takes from the handle what it was to gain in these blocks; when someone else wrote it since, it counts too much.
    private func uncount(
        _ blocks: [CIDR],
        _ draft: AssignmentDraft,
        _ written: StoredHandle,
        _ revision: Revision
    ) async {
        var handle = written.handle
        for cidr in blocks { handle.blocks[cidr]? -= draft.assigned[cidr]?.count ?? 0 }
        guard let change = StoredHandle(id: written.id, revision: revision, handle).change else { return }
        _ = try? await commit([change])
    }

    /// Removes our pending affinities for blocks that others have got (A3).
    private func withdraw(_ pending: [(cidr: CIDR, key: RecordKey, revision: Revision)]) async {
        for affinity in pending {
            guard let record = try? await read([.record(.block(affinity.cidr))]).first?.first,
                let block = try? Block(record), block.affinity != owner
            else { continue }
            _ = try? await commit([.delete(affinity.key, affinity.revision)])
        }
    }

    /// Releases again what a request that failed had got, with time of its own (P10).
    func takeBack(_ written: [ReleaseOptions]) async {
        guard !written.isEmpty else { return }
        await RequestDeadline.$current.withValue(nil) {
            _ = try? await release(written)
        }
    }
}

extension AssignmentDraft {
    /// The claims on blocks that something was assigned from.
    fileprivate var usedClaims: [(CIDR, Claim)] {
        claims.filter { assigned[$0.key] != nil }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
