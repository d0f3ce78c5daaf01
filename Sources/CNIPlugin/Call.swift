import CNI
import ClusterClient
import Glibc
import Netlink
import NetworkTypes
import PodNetwork

/// What a verb works with once its configuration is understood: the attachment, the store, the node.
struct Call: Sendable {
    let configuration: NetworkConfiguration
    let attachment: Attachment
    /// What the runtime says the attachment belongs to.
    var workload: Workload
    let settings: StoreSettings
    let node: String
    /// Reads once what the steps of a verb ask for one after the other.
    let store: ReadAheadDatastore
    /// The cluster's Pods, where the store lies beside them, or, for an ADD, where the configuration says how to ask.
    let objects: (any WorkloadObjects)?
    let log: PluginLog

    /// - Parameter command: with DEL, a store that cannot even be opened, as its credentials are missing, is one that fails
    ///   when it is asked.
    init(_ command: Command, _ attachment: Attachment, _ configuration: NetworkConfiguration) throws(CNIError) {
        self.configuration = configuration
        self.attachment = attachment
        workload = Workload(attachment)
        settings = try StoreSettings(configuration.reader)
        node = try NodeSettings(configuration.reader).resolve()
        let store: any Datastore
        do throws(CNIError) {
            store = try settings.open(node: node)
        } catch {
            guard command == .delete else { throw error }
            store = UnopenedDatastore(error.details.isEmpty ? error.message : error.details)
        }
        self.store = ReadAheadDatastore(store)
        // Only asked where the answer is known: a cast to a protocol looks through all types of the program.
        if case .kubernetes = settings.selection {
            objects = store as? any WorkloadObjects
        } else {
            objects = command == .add ? try settings.openObjects(node: node) : nil
        }
        log = PluginLog(
            settings: try LogSettings(configuration.reader),
            subject: "\(command.rawValue) \(attachment.id.containerID) \(attachment.id.interfaceName)"
        )
    }

    var id: AttachmentID { attachment.id }
    var records: EndpointRecords { EndpointRecords(store: store) }
    var endpointKey: RecordKey { workload.endpointKey(node: node, interfaceName: id.interfaceName) }

    /// The handle of all the container's addresses on this network (2.3).
    var handle: String { "\(configuration.name).\(id.containerID)" }

    /// Waits until no other call on this host is choosing addresses.
    func turnToAssign() -> HostLock {
        HostLock(settings.lockFile, makingFile: true, until: Deadline(after: .seconds(5)))
    }

    /// Waits until no other call on this host is at it, but makes nothing where there was no ADD yet.
    func turnToRelease() -> HostLock {
        HostLock(settings.lockFile, makingFile: false, until: Deadline(after: .seconds(1)))
    }

    /// Records the attachment's endpoint, at the Pod that the runtime means.
    func record(_ endpoint: WorkloadEndpoint, replacing stored: EndpointRecords.Stored?) async throws(CNIError) {
        try await records.put(endpoint, replacing: stored) { () async throws(CNIError) in
            try await checkIncarnation()
        }
    }

    func endpoint(
        _ addresses: [IPAddress],
        link: WorkloadEndpoint.Link?,
        from source: WorkloadEndpoint.Source = .own
    ) -> WorkloadEndpoint {
        WorkloadEndpoint(
            workload: workload,
            id: id,
            node: node,
            network: configuration.name,
            link: link,
            addresses: addresses,
            source: source
        )
    }
}

/// A store that could not be opened: every question has the reason for an answer.
private struct UnopenedDatastore: Datastore {
    private let error: DatastoreError
    let commitsAtomically = true

    init(_ reason: String) {
        error = DatastoreError(.failed, reason)
    }

    func read(_ queries: [RecordQuery]) throws(DatastoreError) -> [[Record]] { throw error }
    func keys(_ collection: RecordCollection) throws(DatastoreError) -> [RecordKey] { throw error }
    func commit(_ changes: [RecordChange]) throws(DatastoreError) -> [Revision?] { throw error }
    func watch(_ query: RecordQuery) -> RecordWatch {
        RecordWatch { (_) throws(DatastoreError) in throw error }
    }
}
