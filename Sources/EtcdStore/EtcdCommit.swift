import ClusterClient
import JSON

extension EtcdDatastore {
    /// Writes the changes in one transaction, of at most 128 changes (etcd's own limit, `--max-txn-ops`).
    public func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        guard !changes.isEmpty else { return [] }
        guard Set(changes.map(\.key)).count == changes.count else {
            throw DatastoreError(.failed, "one commit names a record twice")
        }
        guard changes.count <= Self.operationLimit else {
            throw DatastoreError(
                .failed,
                "a commit of \(changes.count) changes is more than the \(Self.operationLimit) that etcd does in one transaction"
            )
        }
        var guarded: [GuardedChange] = []
        for change in changes { guarded.append(try GuardedChange(change, under: root)) }
        let answer: TransactionAnswer
        let isRepeated: Bool
        do throws(EtcdFailure) {
            let sent = try await client.send("/v3/kv/txn", GuardedChange.transaction(guarded))
            answer = try sent.decodeTransaction(of: changes.count)
            isRepeated = sent.isRepeated
        } catch {
            throw error.datastoreError
        }
        if answer.succeeded { return guarded.revisions(answer.revision) }
        let obstacle = guarded.obstacle(answer.answers)
        guard isRepeated else { throw obstacle }
        if let revision = guarded.revision(ofDoing: answer.answers) { return guarded.revisions(revision) }
        // Done at first and overwritten since, or not done: nobody can tell, and a conflict would promise the latter.
        throw DatastoreError(
            .unavailable,
            obstacle.key,
            "etcd did not answer a commit in time, and the record \(obstacle.message)"
        )
    }
}

extension [GuardedChange] {
    fileprivate func revisions(_ revision: Int64) -> [Revision?] {
        map { $0.value == nil ? nil : Revision(String(revision)) }
    }

    /// The revision at which all of the changes were made, if what there is now looks as they would have left it: by us in
    /// an attempt whose answer was lost, or by someone who wanted the same. 0 when there were only deletions.
    fileprivate func revision(ofDoing found: [RangeAnswer]) -> Int64? {
        var revision: Int64?
        for (change, answer) in zip(self, found) {
            let keyValue = answer.keyValues.first
            guard let value = change.value else {
                if keyValue == nil { continue }
                return nil
            }
            guard let keyValue, keyValue.value == value, keyValue.modRevision > change.expected,
                change.expected > 0 || keyValue.createRevision == keyValue.modRevision,
                revision == nil || revision == keyValue.modRevision
            else { return nil }
            revision = keyValue.modRevision
        }
        return revision ?? 0
    }

    /// Why the first change that could not be made could not.
    fileprivate func obstacle(_ found: [RangeAnswer]) -> DatastoreError {
        for (change, answer) in zip(self, found) {
            let key = change.change.key
            guard let keyValue = answer.keyValues.first else {
                if change.expected == 0 { continue }
                return DatastoreError(.notFound, key, "is not in etcd")
            }
            if change.expected == 0 { return DatastoreError(.alreadyExists, key, "exists already in etcd") }
            if keyValue.modRevision != change.expected {
                return DatastoreError(
                    .conflict,
                    key,
                    "was written since it was read: it is at revision \(keyValue.modRevision), not \(change.expected)"
                )
            }
        }
        return DatastoreError(.unavailable, "etcd refused a transaction although every record was as expected")
    }
}
