import ClusterClient
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
    /// Those of hosts that may be without their block.
    let affinities: [StoredAffinity]
    /// The addresses that recorded endpoints have (contract: "in use"), with a name for each owner.
    let endpoints: [IPAddress: String]
    /// How many addresses endpoints have; one that two have counts twice.
    let endpointAddressCount: Int
    /// Those that several endpoints have, with all of these, and at least one of which IPAM is to know of.
    let rivals: [IPAddress: [String]]
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
        // Affinities before blocks, as a claim that ends in between has its block by then (A2).
        let affinities = try await datastore.looseAffinities()
        let blocks = try await datastore.read([.collection(.blocks(.ipv4)), .collection(.blocks(.ipv6))])
        let handles = try await datastore.list(.handles)
        let endpoints = try await datastore.list(.resources(.workloadEndpoints))
        return IPAMRecords(
            settings: settings,
            affinities: affinities,
            blocks: blocks.flatMap { $0 },
            handles: handles,
            endpoints: endpoints
        )
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

    init(
        settings: [[Record]],
        affinities: [Record],
        blocks: [Record],
        handles: [Record],
        endpoints: [Record]
    ) {
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
        self.affinities = readable(affinities) { (record) throws(IPAMError) in try StoredAffinity(record) }
            .compactMap(\.self)
        self.blocks = readable(blocks) { (record) throws(IPAMError) in try Block(record) }.sorted { $0.cidr < $1.cidr }
        let indexed = readable(handles) { (record) throws(IPAMError) -> (String, IndexedHandle)? in
            guard case .handle(let id) = record.key else { return nil }
            let stored = try StoredHandle(id: id, record)
            return (id, IndexedHandle(handle: stored.handle, revision: record.revision))
        }
        self.handles = Dictionary(indexed.compactMap(\.self)) { first, _ in first }
        var used: [IPAddress: String] = [:]
        var foreign: Set<IPAddress> = []
        var own: Set<IPAddress> = []
        var owners: [IPAddress: [String]] = [:]
        var count = 0
        var attachments: [IPAddress: EndpointAddresses.Attachment] = [:]
        for endpoint in readable(endpoints, EndpointAddresses.init) {
            count += endpoint.addresses.count
            for address in Set(endpoint.addresses) {
                if let other = used[address] { owners[address, default: [other]].append(endpoint.owner) }
                used[address] = endpoint.owner
                attachments[address] = endpoint.attachment
            }
            if endpoint.isAssignedElsewhere {
                foreign.formUnion(endpoint.addresses)
            } else {
                own.formUnion(endpoint.addresses)
            }
        }
        // Other plugins may give the same addresses on each node.
        rivals = owners.filter { own.contains($0.key) }
        // Whose it should be nobody can tell.
        for address in rivals.keys { attachments[address] = nil }
        self.endpoints = used
        assignedElsewhere = foreign
        endpointAddressCount = count
        self.attachments = attachments
        self.unreadable = unreadable
    }
}
