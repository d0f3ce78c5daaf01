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
    let store: ReadAhead
    let log: PluginLog

    init(_ command: Command, _ attachment: Attachment, _ configuration: NetworkConfiguration) throws(CNIError) {
        self.configuration = configuration
        self.attachment = attachment
        workload = Workload(attachment)
        settings = try StoreSettings(configuration.reader)
        node = try NodeSettings(configuration.reader).resolve()
        store = ReadAhead(try settings.open(node: node))
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

    /// Reads at once what the verb is going to ask for.
    func readAhead(_ queries: [RecordQuery]) async throws(CNIError) {
        do throws(DatastoreError) {
            try await store.prepare(queries)
        } catch {
            // A name that the store cannot hold has nothing in it; whoever needs it finds out.
            guard error.reason == .invalidKey else { throw CNIError(error) }
        }
    }

    func endpoint(_ addresses: [IPAddress], link: WorkloadEndpoint.Link?) -> WorkloadEndpoint {
        WorkloadEndpoint(
            workload: workload,
            id: id,
            node: node,
            network: configuration.name,
            link: link,
            addresses: addresses
        )
    }
}
