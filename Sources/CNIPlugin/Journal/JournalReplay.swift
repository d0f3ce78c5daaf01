import CNI
import ClusterClient
import IPAM
import NetworkTypes
import Stores

/// Tells a store what it could not be told when it was away (D6).
struct JournalReplay: Sendable {
    let journal: ReleaseJournal
    let store: any Datastore
    let allocator: Allocator
    let selection: StoreSelection
    let network: String
    let log: PluginLog

    /// Carries out the release of one attachment, which must be done before it gets addresses again.
    func settle(_ id: AttachmentID) async throws(CNIError) {
        let name = PendingRelease.fileName(id, network: network)
        try await journal.settle(name, waiting: Deadline(after: .seconds(9))) {
            (entry) async throws(CNIError) in
            try await release(entry)
            return true
        }
    }

    /// Forgets the release of one attachment, as its DEL was carried out after all.
    func forget(_ id: AttachmentID) async {
        let name = PendingRelease.fileName(id, network: network)
        try? await journal.settle(name, waiting: nil) { (_) async throws(CNIError) in true }
    }

    /// What a call does for others, before or after its own work.
    func settleInPassing() async { await settleAll(limit: 16, within: .seconds(2)) }

    /// Carries out what there is. What goes wrong is logged and left for the next; a store that is away again ends it.
    ///
    /// - Parameter time: for all of them together.
    func settleAll(limit: Int, within time: Duration) async {
        let names = journal.names()
        guard !names.isEmpty else { return }
        let own = ContinuousClock.now + time
        let end = RequestDeadline.current.map { min($0, own) } ?? own
        var count = 0
        // What is others', or cannot be carried out, must not keep the rest waiting for ever: those do not count, and the
        // order is another each time. Nor may a call that passes by read all that others left.
        for name in names.shuffled().prefix(limit * 16) {
            guard count < limit, ContinuousClock.now < end else { return }
            do throws(CNIError) {
                try await RequestDeadline.by(end) { () async throws(CNIError) in
                    try await journal.settle(name, waiting: nil) { (entry) async throws(CNIError) in
                        guard isOurs(entry) else { return false }
                        count += 1
                        try await release(entry)
                        return true
                    }
                }
            } catch {
                log.warning("the journal's \(name): \(error)")
                if error.code == .tryAgainLater { return }
            }
        }
    }

    /// Whether this call's store is the one that has to hear of it. What a network's name means does not change on a
    /// node; where its servers are may.
    private func isOurs(_ entry: PendingRelease) -> Bool {
        // A local store has its own journal.
        entry.store == selection.type.rawValue && (selection.type == .local || entry.network == network)
    }

    private func release(_ entry: PendingRelease) async throws(CNIError) {
        try await EndpointRecords(store: store).remove(entry.endpointKey, of: entry.id)
        do throws(IPAMError) {
            let assigned = try await allocator.addresses(ofHandle: entry.handle, interface: entry.id.interfaceName)
            let due = assigned.filter {
                entry.concerns(
                    $0.address,
                    sequenceNumber: $0.sequenceNumber,
                    timestamp: $0.attributes["timestamp"]
                )
            }
            // Those that the DEL knew lost their connections then.
            let unknown = due.map(\.address).filter { entry.sequenceNumbers[$0] == nil }
            TrackedConnections.forget(of: unknown, log)
            if assigned.isEmpty {
                // What a release that was cut short may have left of the handle.
                _ = try await allocator.release(handle: entry.handle, interface: entry.id.interfaceName)
            } else if !due.isEmpty {
                // With the number that was looked at, so that no later assignment of the address is meant (D6).
                _ = try await allocator.release(
                    due.map { .init(address: $0.address, handle: entry.handle, sequenceNumber: $0.sequenceNumber) }
                )
            }
            log.info(
                "released \(listing(due.map(\.address))) of \(entry.id.containerID) \(entry.id.interfaceName), "
                    + "as its DEL of \(entry.time) asked"
            )
        } catch {
            if case .datastore(let cause) = error, cause.reason == .invalidKey { return }
            throw CNIError(error)
        }
    }
}

extension Call {
    var replay: JournalReplay {
        JournalReplay(
            journal: settings.journal,
            store: store,
            allocator: Allocator(datastore: store, host: node),
            selection: settings.selection,
            network: configuration.name,
            log: log
        )
    }
}
