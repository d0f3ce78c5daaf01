import ClusterClient
import JSON
import NetworkTypes

/// As much of a WorkloadEndpoint as says which addresses are in use, and by whom.
public struct EndpointAddresses: Hashable, Sendable {
    /// `NAMESPACE/POD on NODE`, for people.
    public let owner: String
    public let namespace: String
    /// The pod, or what else the endpoint is of.
    public let workload: String
    public let node: String?
    public let addresses: [IPAddress]
    /// Whether the addresses are none of our IPAM's: from another plugin, or the Pod's own choice (`ipAddrsNoIpam`).
    public let isAssignedElsewhere: Bool
    /// What IPAM is to know of it; `nil` when the record does not say enough, as Calico's.
    let attachment: Attachment?

    /// An interface of a container, as an assignment names it.
    struct Attachment: Hashable, Sendable {
        let handle: String
        let node: String
        let attributes: [String: String]
    }

    /// As the CNI plugin notes it at an endpoint: the other plugin's name, or `none`.
    private static let ipamAnnotation = "swiftlet.io/ipam"
    /// The network that the endpoint is on.
    private static let networkAnnotation = "swiftlet.io/network"

    public init(_ record: Record) throws(IPAMError) {
        guard case .resource(_, let namespace, let name) = record.key else {
            throw .inconsistent("\(record.key) is no endpoint")
        }
        var addresses: [IPAddress] = []
        var workload: String?
        var node: String?
        var otherIPAM: String?
        var container: String?
        var interface: String?
        var network: String?
        var pod: String?
        do throws(MalformedRecord) {
            try JSONReader.record(record.value) { (reader) throws(JSONReader.Failure) in
                try reader.members { (member, reader) throws(JSONReader.Failure) in
                    guard member == "spec" || member == "metadata", !reader.null() else { return try reader.skip() }
                    guard member == "spec" else {
                        let annotations = try Self.annotations(inMetadata: &reader)
                        otherIPAM = annotations[Self.ipamAnnotation] ?? otherIPAM
                        network = annotations[Self.networkAnnotation] ?? network
                        return
                    }
                    try reader.members { (member, reader) throws(JSONReader.Failure) in
                        switch member {
                        case "ipNetworks":
                            try reader.optionalArray { (reader) throws(JSONReader.Failure) in
                                let text = try reader.string()
                                guard let address = CIDR(text)?.address ?? IPAddress(text) else {
                                    throw reader.failure("\"\(text)\" is not a CIDR")
                                }
                                addresses.append(address)
                            }
                        case "pod":
                            pod = try reader.optionalString()
                            workload = pod ?? workload
                        case "workload": workload = try reader.optionalString() ?? workload
                        case "node": node = try reader.optionalString()
                        case "containerID": container = try reader.optionalString()
                        case "endpoint": interface = try reader.optionalString()
                        default: try reader.skip()
                        }
                    }
                }
            }
        } catch {
            throw .inconsistent("\(record.key): \(error)")
        }
        self.addresses = addresses
        self.namespace = namespace
        self.workload = workload ?? name
        self.node = node
        isAssignedElsewhere = otherIPAM?.isEmpty == false
        owner = "\(namespace)/\(workload ?? name)" + (node.map { " on \($0)" } ?? "")
        var attributes = ["node": node, "ifname": interface, "network": network].compactMapValues { $0 }
        if let pod { attributes.merge(["pod": pod, "namespace": namespace]) { $1 } }
        if let node, let network, let container, !network.isEmpty, !container.isEmpty, !isAssignedElsewhere {
            attachment = Attachment(handle: "\(network).\(container)", node: node, attributes: attributes)
        } else {
            attachment = nil
        }
    }

    private static func annotations(
        inMetadata reader: inout JSONReader
    ) throws(JSONReader.Failure) -> [String: String] {
        var found: [String: String] = [:]
        try reader.members { (member, reader) throws(JSONReader.Failure) in
            guard member == "annotations", !reader.null() else { return try reader.skip() }
            try reader.members { (member, reader) throws(JSONReader.Failure) in
                guard member == ipamAnnotation || member == networkAnnotation else { return try reader.skip() }
                found[member] = try reader.optionalString()
            }
        }
        return found
    }
}
