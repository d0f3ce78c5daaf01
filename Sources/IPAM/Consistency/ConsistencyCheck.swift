import ClusterClient
import KubernetesAPI
import NetworkTypes

/// Whether what IPAM has recorded agrees with itself and with what is in use (7.3). A pure function of the records.
public struct ConsistencyCheck: Sendable {
    public struct Allocation: Hashable, Sendable {
        public let address: IPAddress
        public let block: CIDR
        public let handle: String?
        public let attributes: [String: String]
        public let alternateOwner: [String: String]
        public let sequenceNumber: UInt64
        public let use: Use
        /// Whether another node has it than the one that owns the block.
        public let isBorrowed: Bool

        /// Whether nobody is known to use it.
        public var isLeaked: Bool { use == .none || use == .recent }
        /// Whether it may be taken back by now.
        public var isReleasable: Bool { use == .none }
    }

    /// What an assigned address is for.
    public enum Use: Hashable, Sendable {
        /// A recorded endpoint has it, or a Pod by its status.
        case endpoint(String)
        /// A node has it for a tunnel.
        case tunnel(node: String)
        /// A Service has it, which IPAM's records do not tell more of.
        case loadBalancer
        /// Set aside on a node with Windows, where each block loses its first three and its last address.
        case windowsReserved
        /// Nobody that is recorded; assigned so short a time ago that its endpoint may be about to be.
        case recent
        case coolingDown
        /// Nobody can tell, as the record of an endpoint cannot be read.
        case unknown
        /// Nobody: it has leaked.
        case none
    }

    public struct BlockSummary: Hashable, Sendable {
        public let cidr: CIDR
        public let affinity: BlockOwner?
        /// B1 to B5 (2.2).
        public let violations: [String]
    }

    /// An endpoint's address that IPAM knows nothing of.
    public struct UnknownAddress: Hashable, Sendable {
        public let address: IPAddress
        public let owner: String
        public let cause: UnknownCause
        /// What it would have to be assigned to; `nil` when nobody can tell.
        let attachment: EndpointAddresses.Attachment?

        /// Whether ``IPAMAdministration/assign(_:)`` can do something about it.
        public var canBeAssigned: Bool { attachment != nil }
    }

    /// An address that several endpoints have at once, so that one of them gets what is sent to another.
    public struct SharedAddress: Hashable, Sendable {
        public let address: IPAddress
        public let owners: [String]
    }

    /// Why an address that is in use is not assigned (C18).
    public enum UnknownCause: Hashable, Sendable {
        case noPool
        case inactivePool(String)
        /// Nobody has ever claimed the block, or it was deleted as an empty one.
        case noBlock(CIDR)
        /// It was never assigned, or released while it was in use.
        case free(block: CIDR)
        /// Released while it was in use.
        case coolingDown(block: CIDR, since: Timestamp)
        case unreadableBlock(CIDR)
    }

    public struct LeakedHandle: Hashable, Sendable {
        public let id: String
        public let revision: Revision

        public init(id: String, revision: Revision) {
            self.id = id
            self.revision = revision
        }
    }

    /// By prefix.
    public let blocks: [BlockSummary]
    /// By address; cooling ones too.
    public let allocations: [Allocation]
    /// The pools that addresses are assigned from, by name.
    public let pools: [CIDR]
    /// How many addresses endpoints have.
    public let endpointAddressCount: Int
    /// How many addresses endpoints and nodes use.
    public let usedCount: Int
    public let usedOutsidePools: [UnknownAddress]
    public let usedWithoutAllocation: [UnknownAddress]
    public let sharedAddresses: [SharedAddress]
    /// Handles that no address has; none as long as there is a block that cannot be read, whose addresses may have them.
    public let leakedHandles: [LeakedHandle]
    public let matchedHandleCount: Int
    /// Handles of addresses that have no record, so that a DEL would not find them.
    public let missingHandles: [String]
    /// Handles whose records are there and cannot be read. They are among ``unreadable`` too, and no others' problem.
    public let unreadableHandles: [String]
    public let unreadable: [UnreadableRecord]
    /// No problems, as they mean nothing, but to be cleaned up.
    public let strayAffinities: [StrayAffinity]
    /// How many addresses each node has, the most first.
    public let allocationsPerNode: [(node: String, count: Int)]
    public let information: ClusterInformation?
    public let informationRevision: Revision?
    private let usedHandles: Set<String>
    private let hidesBlocks: Bool

    /// How long an ADD may take to record the endpoint for the address that it has.
    public static let gracePeriod = Duration.seconds(120)

    /// - Parameter grace: how long an address that was assigned is not taken for one that may be released.
    public init(_ records: IPAMRecords, now: Timestamp, grace: Duration = gracePeriod) {
        var allocations: [Allocation] = []
        var perNode: [String: Int] = [:]
        var usedHandles: Set<String> = []
        for block in records.blocks {
            for ordinal in block.allocations.indices {
                guard let attribute = block.attribute(ordinal) else { continue }
                if attribute.releasedAt == nil, let handle = attribute.handle { usedHandles.insert(handle) }
                let allocation = Allocation(block, ordinal, attribute, records, now, grace)
                allocations.append(allocation)
                guard let node = attribute.secondary["node"], allocation.use != .coolingDown else { continue }
                perNode[node, default: 0] += 1
            }
        }
        self.allocations = allocations
        allocationsPerNode = perNode.map { (node: $0.key, count: $0.value) }
            .sorted { ($1.count, $0.node) < ($0.count, $1.node) }
        blocks = records.blocks.map {
            BlockSummary(cidr: $0.cidr, affinity: $0.affinity, violations: $0.violations(now: now))
        }
        let active = records.pools.filter(\.isEnabled)
        pools = active.map(\.cidr)
        endpointAddressCount = records.endpointAddressCount

        let assigned = Set(allocations.lazy.filter { $0.use != .coolingDown }.map(\.address))
        let unassigned = records.endpoints
            .filter { !assigned.contains($0.key) && !records.assignedElsewhere.contains($0.key) }
        let byPrefix = unassigned.isEmpty ? [:] : Dictionary(records.blocks.map { ($0.cidr, $0) }) { first, _ in first }
        let unknown =
            unassigned.map { address, owner in
                UnknownAddress(
                    address: address,
                    owner: owner,
                    cause: records.causeOfNotKnowing(address, byPrefix),
                    attachment: records.attachments[address]
                )
            }.sorted { $0.address < $1.address }
        usedOutsidePools = unknown.filter { item in !active.contains { $0.cidr.contains(item.address) } }
        usedWithoutAllocation = unknown.filter { item in active.contains { $0.cidr.contains(item.address) } }
        sharedAddresses = records.rivals.map { SharedAddress(address: $0.key, owners: $0.value.sorted()) }
            .sorted { $0.address < $1.address }
        usedCount =
            records.inUseElsewhere.union(records.endpoints.keys).count
            + allocations.count { if case .tunnel = $0.use { true } else { false } }

        let unmatched = records.handles.filter { !usedHandles.contains($0.key) }
        matchedHandleCount = records.handles.count - unmatched.count
        leakedHandles =
            records.hidesBlocks
            ? []
            : unmatched.map { LeakedHandle(id: $0.key, revision: $0.value.revision) }.sorted { $0.id < $1.id }
        let unreadableHandles = Set(
            records.unreadable.compactMap { if case .handle(let id) = $0.key { id } else { nil } }
        )
        self.unreadableHandles = unreadableHandles.sorted()
        missingHandles = usedHandles.filter { records.handles[$0] == nil && !unreadableHandles.contains($0) }.sorted()
        unreadable = records.unreadable
        strayAffinities = records.strayAffinities
        hidesBlocks = records.hidesBlocks
        self.usedHandles = usedHandles
        information = records.information
        informationRevision = records.informationRevision
    }

    /// Whether an address has the handle, or may, in a block that cannot be read.
    public func mayHaveAddresses(handle id: String) -> Bool { hidesBlocks || usedHandles.contains(id) }

    public var leaks: [Allocation] { allocations.filter(\.isLeaked) }
    public var releasableLeaks: [Allocation] { allocations.filter(\.isReleasable) }
    public var invalidBlocks: [BlockSummary] { blocks.filter { !$0.violations.isEmpty } }

    /// calicoctl leaves out missing handles, which keep a DEL from finding an address, and addresses that several endpoints
    /// have; here they count.
    public var problemCount: Int {
        leaks.count + usedOutsidePools.count + usedWithoutAllocation.count + sharedAddresses.count
            + leakedHandles.count + missingHandles.count + invalidBlocks.count + unreadable.count
    }
}

extension IPAMRecords {
    fileprivate func causeOfNotKnowing(
        _ address: IPAddress,
        _ blocks: [CIDR: Block]
    ) -> ConsistencyCheck.UnknownCause {
        guard let pool = pools.first(where: { $0.cidr.contains(address) }) else { return .noPool }
        guard pool.isEnabled else { return .inactivePool(pool.name) }
        let cidr = pool.block(of: address)
        if unreadable.contains(where: { $0.key == .block(cidr) }) { return .unreadableBlock(cidr) }
        guard let block = blocks[cidr] else { return .noBlock(cidr) }
        let releasedAt = block.ordinal(of: address).flatMap { block.attribute($0)?.releasedAt }
        return releasedAt.map { .coolingDown(block: block.cidr, since: $0) } ?? .free(block: block.cidr)
    }
}

extension ConsistencyCheck.Allocation {
    fileprivate init(
        _ block: Block,
        _ ordinal: Int,
        _ attribute: Block.Attribute,
        _ records: IPAMRecords,
        _ now: Timestamp,
        _ grace: Duration
    ) {
        address = block.address(ordinal)
        self.block = block.cidr
        handle = attribute.handle
        attributes = attribute.secondary
        alternateOwner = attribute.alternateOwner
        sequenceNumber = block.sequenceNumber(of: ordinal)
        let node = attribute.secondary["node"]
        isBorrowed = node.map { block.affinity != .host($0) } ?? false
        if attribute.releasedAt != nil {
            use = .coolingDown
        } else if let owner = records.owner(of: address) {
            use = .endpoint(owner)
        } else if attribute.secondary["type"]?.hasSuffix("TunnelAddress") == true, let node,
            records.nodes.contains(node)
        {
            use = .tunnel(node: node)
        } else if block.affinity == .virtual("load-balancer") {
            use = .loadBalancer
        } else if attribute.handle?.lowercased() == "windows-reserved-ipam-handle" {
            use = .windowsReserved
        } else if let since = attribute.secondary["timestamp"].flatMap(Timestamp.init(attribute:)),
            now - since < grace
        {
            use = .recent
        } else if records.hidesEndpoints {
            use = .unknown
        } else {
            use = .none
        }
    }
}

extension Timestamp {
    /// As Go prints a time, which Calico notes beside an address: `2026-11-20 08:14:03.120045 +0000 UTC`; RFC 3339 too.
    init?(attribute text: String) {
        let words = text.split(separator: " ")
        guard words.count >= 3, words[2] == "+0000" else {
            self.init(text)
            return
        }
        self.init("\(words[0])T\(words[1])Z")
    }
}
