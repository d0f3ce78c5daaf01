import ClusterClient
import KubernetesAPI
import NetworkTypes

/// Which pools and blocks somebody wants to see: all, or those of certain pools, of a node, of a namespace.
public struct UsageFilter: Hashable, Sendable {
    /// Names or prefixes of pools; any when there are none.
    public var pools: [String]
    /// A node that owns a block, or has an address in it.
    public var node: String?
    /// A namespace whose pods have an address in a block.
    public var namespace: String?

    public init(pools: [String] = [], node: String? = nil, namespace: String? = nil) {
        self.pools = pools
        self.node = node
        self.namespace = namespace
    }

    public var isEmpty: Bool { self == UsageFilter() }

    /// Whether it is about who has the addresses of a block.
    var asksForOwners: Bool { node != nil || namespace != nil }

    /// The pools that are wanted, in the order of their names.
    ///
    /// - Throws: ``IPAMError/noPool(_:)`` when one that is named does not exist.
    func wanted(_ known: [IPPool]) throws(IPAMError) -> [IPPool] {
        for name in pools where !known.contains(where: { isMeant($0, by: name) }) {
            throw .noPool("there is no IP pool \(name)")
        }
        return known.filter { pool in pools.isEmpty || pools.contains { isMeant(pool, by: $0) } }
            .sorted { $0.name < $1.name }
    }

    private func isMeant(_ pool: IPPool, by name: String) -> Bool {
        pool.name == name || CIDR(name).map { $0.masked == pool.cidr.masked } ?? false
    }

    /// Whether a block is wanted for who owns it and has its addresses.
    func wants(_ block: Block) -> Bool {
        guard asksForOwners else { return true }
        func has(_ key: String, _ value: String?) -> Bool {
            guard let value else { return true }
            return block.attributes.contains { $0.releasedAt == nil && $0.secondary[key] == value }
        }
        let isOfNode = node.map { block.affinity == .host($0) } ?? true
        return (isOfNode || has("node", node)) && has("namespace", namespace)
    }

    /// The blocks of a store that are wanted, by prefix.
    ///
    /// - Parameter leaveOut: is told of each record that cannot be read; without it that is an error.
    public func blocks(
        of datastore: any Datastore,
        now: Timestamp = .now,
        leaveOut: ((UnreadableRecord) -> Void)? = nil
    ) async throws(IPAMError) -> [Block] {
        let answers = try await IPAMUsage.records(
            datastore,
            [
                .collection(.resources(.ipPools)), .collection(.blocks(.ipv4)), .collection(.blocks(.ipv6)),
                .record(IPAMConfiguration.recordKey),
            ]
        )
        let cooldown = IPAMConfiguration.cooldown(answers[3].first)
        let known = PoolList(answers[0])
        var unreadable = known.unreadable
        let wanted = try wanted(known.pools).map(\.cidr)
        let blocks = unreadable.readable(answers[1] + answers[2]) { (record) throws(IPAMError) in
            try Block(record, now: now, cooldown: cooldown)
        }
        .filter { block in (pools.isEmpty || wanted.contains { $0.contains(block.cidr) }) && wants(block) }
        try unreadable.leaveOut(telling: leaveOut)
        return blocks.sorted { $0.cidr < $1.cidr }
    }
}

extension IPAMUsage {
    /// What is wanted of it; the numbers stay those of whole pools and blocks.
    func filtered(_ filter: UsageFilter, pools wanted: [IPPool], blocks: Set<CIDR>?) -> IPAMUsage {
        guard !filter.isEmpty else { return self }
        let names = Set(wanted.map(\.name))
        func isWanted(_ block: BlockUsage) -> Bool { blocks?.contains(block.cidr) ?? true }
        let pools = pools.filter { names.contains($0.name) }.compactMap { pool -> PoolUsage? in
            let kept = pool.blocks.filter(isWanted)
            return kept.isEmpty && filter.asksForOwners ? nil : pool.with(kept)
        }
        return IPAMUsage(pools: pools, orphanBlocks: filter.pools.isEmpty ? orphanBlocks.filter(isWanted) : [])
    }

    /// What the affinities of all blocks say, each by its block (2.4).
    public func affinityStates(
        from datastore: any Datastore
    ) async throws(IPAMError) -> [CIDR: BlockAffinity.State] {
        let blocks = pools.flatMap(\.blocks) + orphanBlocks
        var collections: Set<RecordCollection> = []
        for block in blocks {
            if let owner = block.affinity { collections.insert(.blockAffinities(owner, block.cidr.family)) }
        }
        var states: [BlockOwner: [CIDR: BlockAffinity.State]] = [:]
        for records in try await Self.records(datastore, collections.map { .collection($0) }) {
            for record in records {
                guard case .blockAffinity(let owner, let cidr) = record.key else { continue }
                do throws(MalformedRecord) {
                    let affinity = try BlockAffinity(json: record.value)
                    if !affinity.isDeleted { states[owner, default: [:]][cidr] = affinity.state }
                } catch {
                    throw .inconsistent("\(record.key): \(error)")
                }
            }
        }
        // What others wrote of a block that is not theirs means nothing.
        var found: [CIDR: BlockAffinity.State] = [:]
        for block in blocks { found[block.cidr] = block.affinity.flatMap { states[$0]?[block.cidr] } }
        return found
    }
}
