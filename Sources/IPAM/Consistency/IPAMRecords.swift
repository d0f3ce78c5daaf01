import ClusterClient
import FoundationEssentials
import JSON
import KubernetesAPI
import NetworkTypes

/// All that a store has of IPAM, as it was read at one time. What cannot be read is kept as such, so that one bad record
/// hides nothing.
public struct IPAMRecords: Sendable {
    struct IndexedHandle: Sendable {
        let handle: Handle
        let revision: Revision
    }

    let pools: [IPPool]
    let blocks: [Block]
    let handles: [String: IndexedHandle]
    /// The addresses that recorded endpoints have (contract: "in use"), with a name for each owner.
    let endpoints: [IPAddress: String]
    /// How many addresses endpoints have; one that two have counts twice.
    let endpointAddressCount: Int
    /// What each of them would have to be assigned to.
    let attachments: [IPAddress: EndpointAddresses.Attachment]
    /// Those of them that IPAM is not to know of: another IPAM plugin gave them, or the Pod asked for them so.
    let assignedElsewhere: Set<IPAddress>
    /// Addresses that are in use though no record says so (G3).
    public var inUseElsewhere: Set<IPAddress> = []
    let nodes: Set<String>
    /// The defaults where none are written; `nil` when they cannot be read.
    let configuration: IPAMConfiguration?
    let information: ClusterInformation?
    let informationRevision: Revision?
    let unreadable: [UnreadableRecord]

    public static func read(from datastore: any Datastore) async throws(DatastoreError) -> IPAMRecords {
        // Blocks before endpoints: an ADD that ends in between is then seen with its endpoint, or not at all. Handles
        // last, as they are written with or before their blocks.
        let kinds: [ResourceKind] = [.ipPools, .nodes, .clusterInformations]
        let settings = try await datastore.read(
            kinds.map { .collection(.resources($0)) } + [.record(IPAMConfiguration.recordKey)]
        )
        let blocks = try await datastore.read([.collection(.blocks(.ipv4)), .collection(.blocks(.ipv6))])
        let handles = try await datastore.list(.handles)
        let endpoints = try await datastore.list(.resources(.workloadEndpoints))
        return IPAMRecords(settings: settings, blocks: blocks.flatMap { $0 }, handles: handles, endpoints: endpoints)
    }

    /// Who has an address: an endpoint, or a Pod by its status; `nil` when nobody is known to.
    public func owner(of address: IPAddress) -> String? {
        endpoints[address] ?? (inUseElsewhere.contains(address) ? "a Pod, by its status" : nil)
    }

    /// Whether an endpoint cannot be read, so that an address of which nothing is known may be in use.
    public var hidesEndpoints: Bool {
        unreadable.contains { if case .resource(.workloadEndpoints, _, _) = $0.key { true } else { false } }
    }

    /// Whether a block cannot be read, so that a handle of which nothing is known may have addresses.
    var hidesBlocks: Bool {
        unreadable.contains { if case .block = $0.key { true } else { false } }
    }

    init(settings: [[Record]], blocks: [Record], handles: [Record], endpoints: [Record]) {
        let poolList = PoolList(settings[0])
        pools = poolList.pools
        var unreadable = poolList.unreadable
        func readable<Value>(_ records: [Record], _ read: (Record) throws(IPAMError) -> Value) -> [Value] {
            unreadable.readable(records, read)
        }
        // What nobody looks at here an assignment does.
        _ = readable(settings[1]) { (record) throws(IPAMError) in try NodeResource(record) }
        for (pool, problem) in pools.compactMap({ pool in pool.selectorProblem.map { (pool, $0) } }) {
            unreadable.append(UnreadableRecord(pool.recordKey, .inconsistent("\(pool.recordKey): \(problem)")))
        }
        nodes = Set(
            settings[1].compactMap { record in
                if case .resource(_, _, let name) = record.key { name } else { nil }
            }
        )
        let informationRecord = settings[2].first { $0.key == ClusterInformation.recordKey("default") }
        information =
            readable(informationRecord.map { [$0] } ?? []) { (record) throws(IPAMError) in
                try ClusterInformation(record)
            }.first
        informationRevision = informationRecord?.revision
        configuration =
            settings[3].isEmpty
            ? IPAMConfiguration()
            : readable(settings[3]) { (record) throws(IPAMError) in try IPAMConfiguration(record) }.first
        self.blocks = readable(blocks) { (record) throws(IPAMError) in try Block(record) }.sorted { $0.cidr < $1.cidr }
        let indexed = readable(handles) { (record) throws(IPAMError) -> (String, IndexedHandle)? in
            guard case .handle(let id) = record.key else { return nil }
            let stored = try StoredHandle(id: id, record)
            return (id, IndexedHandle(handle: stored.handle, revision: record.revision))
        }
        self.handles = Dictionary(indexed.compactMap(\.self)) { first, _ in first }
        var used: [IPAddress: String] = [:]
        var foreign: Set<IPAddress> = []
        var count = 0
        var attachments: [IPAddress: EndpointAddresses.Attachment] = [:]
        for endpoint in readable(endpoints, EndpointAddresses.init) {
            count += endpoint.addresses.count
            for address in endpoint.addresses {
                used[address] = endpoint.owner
                attachments[address] = endpoint.attachment
            }
            if endpoint.isAssignedElsewhere { foreign.formUnion(endpoint.addresses) }
        }
        self.endpoints = used
        assignedElsewhere = foreign
        endpointAddressCount = count
        self.attachments = attachments
        self.unreadable = unreadable
    }
}

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
