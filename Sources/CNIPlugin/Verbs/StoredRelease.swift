import CNI
import ClusterClient
import IPAM
import KubernetesAPI
import NetworkTypes

/// The share of a DEL that the store has to hear of: the record and the addresses of the attachment.
struct StoredRelease {
    private(set) var call: Call
    private let mode: DeleteMode
    /// What the store said of the attachment, as far as it answered.
    private(set) var assignments: [AssignedAddress] = []
    private(set) var recorded: WorkloadEndpoint?
    private var failure: CNIError?

    /// How long the store is waited for when the journal can take its place; nodes with many pods to end have no more.
    private static let patience = Duration.seconds(3)
    private static let limit = Duration.seconds(40)

    init(_ call: Call) throws(CNIError) {
        self.call = call
        mode = try DeleteMode(call.configuration.reader)
    }

    private var time: Duration { mode == .journal ? Self.patience : Self.limit }

    /// The attachment's addresses, as far as anybody knows them.
    var addresses: [IPAddress] {
        var known = assignments.map(\.address)
        for address in recorded?.addresses ?? [] where !known.contains(address) { known.append(address) }
        guard known.isEmpty, failure != nil else { return known }
        // A store that does not tell: the runtime may.
        let told = try? call.configuration.previousResult()?.ownAddresses(call.id.interfaceName)
        return told ?? []
    }

    /// Asks the store what the attachment has. That it does not answer is no error yet.
    mutating func look() async {
        do throws(CNIError) {
            let call = call
            let assignments = try await RequestDeadline.within(time) { () async throws(CNIError) in
                try await call.readForDelete()
                return try await BlockAddressSource(call, nil).assignments()
            }
            self.assignments = assignments
            // A runtime that lost its CNI_ARGS still finds the Pod's record.
            if let workload = assignments.lazy.compactMap({ Workload(attributes: $0.attributes) }).first {
                self.call.workload = workload
            }
            // A record that cannot be read shows when it is to be removed.
            let endpoint = try? await self.call.records.find(self.call.endpointKey)?.endpoint
            recorded = endpoint?.id == call.id ? endpoint : nil
        } catch {
            failure = error
        }
    }

    /// Removes record and addresses, or leaves that to the journal (D6).
    func carryOut() async throws(CNIError) {
        do throws(CNIError) {
            // A store that could not be read is not waited for again.
            if let failure { throw failure }
            try await RequestDeadline.within(time) { () async throws(CNIError) in
                let (records, key, id) = (call.records, call.endpointKey, call.id)
                // In steps the record goes first: an address that it has must not be given to another.
                if !call.store.commitsAtomically { try await records.remove(key, of: id) }
                let turn = call.turnToRelease()
                if turn.wasWaitedFor { call.store.forgetBlocks() }
                let isRemoved = try await BlockAddressSource(call, nil).release { () throws(DatastoreError) in
                    try await records.removal(key, of: id)
                }
                turn.release()
                if call.store.commitsAtomically, !isRemoved { try await records.remove(key, of: id) }
            }
        } catch {
            // Records that contradict each other do not heal with time.
            guard mode == .journal, [.tryAgainLater, .ioFailure].contains(error.code) else { throw error }
            do throws(CNIError) {
                try call.settings.journal.add(entry)
            } catch let problem {
                call.log.error("\(problem)")
                throw error
            }
            call.log.warning("\(error); a later call releases what the attachment had")
            return
        }
        await call.replay.forget(call.id)
        await call.replay.settleInPassing()
    }

    private var entry: PendingRelease {
        let numbers = assignments.map { ($0.address, $0.sequenceNumber) }
        return PendingRelease(
            id: call.id,
            network: call.configuration.name,
            workload: call.workload,
            node: call.node,
            store: call.settings.selection.type.rawValue,
            time: .now,
            sequenceNumbers: Dictionary(numbers) { first, _ in first }
        )
    }
}

extension NetworkResult {
    /// The addresses of a container's interface.
    fileprivate func ownAddresses(_ name: String) -> [IPAddress] {
        addresses.filter { address in
            guard let index = address.interface, interfaces.indices.contains(index) else { return false }
            return interfaces[index].name == name && interfaces[index].sandbox != nil
        }.map(\.address.address)
    }
}
