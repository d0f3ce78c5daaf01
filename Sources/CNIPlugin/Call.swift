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
    let log: PluginLog

    init(_ command: Command, _ attachment: Attachment, _ configuration: NetworkConfiguration) throws(CNIError) {
        self.configuration = configuration
        self.attachment = attachment
        workload = Workload(attachment)
        settings = try StoreSettings(configuration.reader)
        node = try NodeSettings(configuration.reader).resolve()
        store = ReadAheadDatastore(try settings.open(node: node))
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
