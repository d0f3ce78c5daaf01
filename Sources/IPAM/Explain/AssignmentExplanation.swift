import ClusterClient
import NetworkTypes

/// Where the next address of a pod would come from, and which pools were considered and refused (C14).
public struct AssignmentExplanation: Hashable, Sendable {
    public let node: String
    public let nodeLabels: [String: String]
    public let namespaceLabels: [String: String]
    public let families: [Family]
    /// What is left out, as it cannot be read.
    public let unreadable: [UnreadableRecord]

    /// One family of addresses.
    public struct Family: Hashable, Sendable {
        public let family: IPFamily
        /// By name, which is the order in which they are tried; those that the pod asks for first.
        public let pools: [Pool]
        /// What the pod asks for and is not there.
        public let unknownPools: [String]
        public let source: Source
    }

    public struct Pool: Hashable, Sendable {
        public let name: String
        public let cidr: CIDR
        public let blockSize: Int
        /// Empty for a pool from which an address could be had.
        public internal(set) var refusals: [PoolRefusal]
        public let room: Room
    }

    /// What there is for the node in a pool.
    public struct Room: Hashable, Sendable {
        /// The node's own blocks, and how many addresses are free in them.
        public internal(set) var ownBlocks = 0
        public internal(set) var ownFree = 0
        /// Blocks that exist, of all nodes.
        public internal(set) var existingBlocks = 0
        public internal(set) var possibleBlocks: UInt64 = 0
        /// The block that the node would claim; `nil` when none is left.
        public internal(set) var nextBlock: CIDR?
        /// Free addresses in blocks of others.
        public internal(set) var freeElsewhere = 0
    }

    /// Where the next address comes from (P8, P11).
    public enum Source: Hashable, Sendable {
        case ownBlock(CIDR, pool: String)
        case newBlock(CIDR, pool: String)
        /// An empty block of another node, or of none.
        case reclaimedBlock(CIDR, pool: String)
        /// Of a block that another has, or nobody.
        case borrowed(CIDR, owner: BlockOwner?, pool: String)
        /// Nowhere: what ADD would fail with.
        case none(String)
    }
}
