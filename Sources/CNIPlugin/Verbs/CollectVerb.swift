import CNI
import ClusterClient
import IPAM
import NetworkTypes

/// GC: takes back what attachments that the runtime does not know any more have left on this node (3.8).
///
/// What is there when it starts is looked at, once, before anything else; what comes later is not touched (GC4). Only
/// attachments of this node and of this network are (GC2).
struct CollectVerb {
    private let configuration: NetworkConfiguration
    private let node: String
    private let settings: StoreSettings
    private let store: any Datastore
    private let allocator: Allocator
    private let delegate: IPAMDelegate?
    private let ownsLinks: Bool
    private let prefixes: String?
    private let log: PluginLog

    /// Runtimes call it when nothing else is going on.
    static let limit = Duration.seconds(100)

    /// - Parameters:
    ///   - ownsLinks: whether the links of the network are ours, as those under another main plugin are not.
    ///   - prefixes: the value of FELIX_INTERFACEPREFIX.
    init(
        _ configuration: NetworkConfiguration,
        _ delegate: IPAMDelegate?,
        ownsLinks: Bool,
        prefixes: String?
    ) throws(CNIError) {
        self.configuration = configuration
        self.delegate = delegate
        self.ownsLinks = ownsLinks
        self.prefixes = prefixes
        node = try NodeSettings(configuration.reader).resolve()
        settings = try StoreSettings(configuration.reader)
        store = try settings.open(node: node)
        allocator = Allocator(datastore: store, host: node)
        log = PluginLog(settings: try LogSettings(configuration.reader), subject: "GC \(configuration.name)")
    }

    /// Goes on after a failure and throws all of them together (GC3).
    func run() async throws(CNIError) {
        try await RequestDeadline.within(Self.limit) { () async throws(CNIError) in try await collect() }
    }

    private func collect() async throws(CNIError) {
        // A runtime that does not say what is valid has nothing collected (GC1).
        guard let valid = try configuration.validAttachments() else { return await settleJournal() }
        var failures: [CNIError] = []
        let (endpoints, assignments): Leftovers
        do throws(CNIError) {
            // Before the journal, which may take long: the runtime did not know what is attached meanwhile (GC4).
            (endpoints, assignments) = try await found(&failures)
        } catch {
            // A store that does not answer is not waited for again.
            if error.code != .tryAgainLater { await settleJournal() }
            throw error
        }
        await settleJournal()
        for endpoint in endpoints where !valid.contains(endpoint.id) {
            do throws(CNIError) {
                try await remove(endpoint)
                log.info(
                    "removed \(endpoint.id.containerID) \(endpoint.id.interfaceName) with \(listing(endpoint.addresses))"
                )
            } catch {
                failures.append(error)
            }
        }
        // Addresses without an endpoint: of an ADD that was killed, or of a sandbox that was made again since. Those of an
        // endpoint went with it, or have to wait until it can be removed.
        let owners = Set(endpoints.map(\.id))
        for (id, held) in assignments where !valid.contains(id) && !owners.contains(id) {
            do throws(CNIError) {
                try removeLink(of: id, held)
                TrackedConnections.forget(of: held.map(\.address), log)
                let handle = "\(configuration.name).\(id.containerID)"
                let released = try await release(handle, id)
                if !released.isEmpty {
                    log.info("released \(listing(released)) of \(id.containerID) \(id.interfaceName)")
                }
            } catch {
                failures.append(error)
            }
        }
        do throws(CNIError) {
            try delegate?.passOn(.collectGarbage)
        } catch {
            failures.append(error)
        }
        guard let first = failures.first else { return }
        throw CNIError(
            first.code,
            "\(failures.count) leftovers could not be removed",
            details: failures.map(\.description).joined(separator: "; ")
        )
    }

    /// What earlier DELs asked for (D6).
    private func settleJournal() async {
        let replay = JournalReplay(
            journal: settings.journal,
            store: store,
            allocator: allocator,
            selection: settings.selection,
            network: configuration.name,
            log: log
        )
        await replay.settleAll(limit: ReleaseJournal.capacity, within: Self.limit / 2)
    }

    private typealias Leftovers = (endpoints: [WorkloadEndpoint], assignments: [AttachmentID: [AssignedAddress]])

    /// The endpoints and the holders of addresses of this node and network.
    private func found(
        _ failures: inout [CNIError]
    ) async throws(CNIError) -> Leftovers {
        do {
            var endpoints: [WorkloadEndpoint] = []
            for record in try await store.list(.resources(.workloadEndpoints)) {
                do {
                    let endpoint = try WorkloadEndpoint(record: record)
                    if endpoint.node == node, endpoint.network == configuration.name { endpoints.append(endpoint) }
                } catch {
                    failures.append(error)
                }
            }
            var assignments: [AttachmentID: [AssignedAddress]] = [:]
            let prefix = configuration.name + "."
            let (assigned, unreadable) = try await allocator.assignments()
            for record in unreadable { log.warning("\(record)") }
            for assigned in assigned where assigned.handle.hasPrefix(prefix) {
                // Names may have dots, so that the handle alone does not tell which network it is of.
                guard assigned.attributes["network"] == configuration.name,
                    let interfaceName = assigned.attributes["ifname"]
                else { continue }
                let containerID = String(assigned.handle.dropFirst(prefix.count))
                guard let id = try? AttachmentID(containerID: containerID, interfaceName: interfaceName) else {
                    log.warning("\(assigned.address) is assigned to what cannot be an attachment: \(assigned.handle)")
                    continue
                }
                assignments[id, default: []].append(assigned)
            }
            return (endpoints, assignments)
        } catch {
            throw CNIError(any: error)
        }
    }

    /// Removes the link of an attachment without an endpoint, if it had come that far: its pod answers to the addresses.
    private func removeLink(of id: AttachmentID, _ held: [AssignedAddress]) throws(CNIError) {
        guard ownsLinks else { return }
        let workload = held.lazy.compactMap { Workload(attributes: $0.attributes) }.first
        try PodLink(id, of: workload ?? .container(id: id.containerID), prefixes: prefixes)
            .remove(namespacePath: nil, addresses: held.map(\.address))
    }

    /// In the order of DEL: an address that some pod still answers to is not given to another.
    private func remove(_ endpoint: WorkloadEndpoint) async throws(CNIError) {
        if let link = endpoint.link {
            try PodLink.remove(
                endpoint.id,
                hostInterfaceNames: [link.hostInterfaceName],
                namespacePath: nil,
                addresses: endpoint.addresses
            )
        }
        TrackedConnections.forget(of: endpoint.addresses, log)
        // GC5: the other plugin may have no GC of its own.
        if let delegate, case .plugin(delegate.type, _) = endpoint.source {
            try delegate.delete(endpoint.id, namespacePath: nil)
        }
        try await EndpointRecords(store: store).remove(endpoint.key, of: endpoint.id)
        _ = try await release("\(configuration.name).\(endpoint.id.containerID)", endpoint.id)
    }

    private func release(_ handle: String, _ id: AttachmentID) async throws(CNIError) -> [IPAddress] {
        do throws(IPAMError) {
            return try await allocator.release(handle: handle, interface: id.interfaceName)
        } catch {
            throw CNIError(error)
        }
    }
}
