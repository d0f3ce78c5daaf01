import ClusterClient
import NetworkTypes

/// What a ``LeakCollection`` has found.
public struct CollectionPlan: Hashable, Sendable {
    /// How sure it is.
    public enum Standing: Hashable, Sendable {
        /// Seen for this long, which is less than the grace period.
        case candidate(Duration)
        /// To be taken back.
        case confirmed
    }

    public struct Leak: Hashable, Sendable {
        public let allocation: ConsistencyCheck.Allocation
        public internal(set) var standing: Standing
    }

    /// A handle that no address has (G9).
    public struct Orphan: Hashable, Sendable {
        public let handle: ConsistencyCheck.LeakedHandle
        public let standing: Standing
    }

    /// An empty block that its node does not need.
    public struct Surplus: Hashable, Sendable {
        public let cidr: CIDR
        public let owner: BlockOwner
        public let sequenceNumber: UInt64
        public let standing: Standing
    }

    /// What a host has noted of a block that it does not have.
    public struct Stray: Hashable, Sendable {
        public let affinity: StrayAffinity
        public let standing: Standing
    }

    /// By address.
    public let leaks: [Leak]
    public let handles: [Orphan]
    public let blocks: [Surplus]
    public let affinities: [Stray]
    /// Blocks with addresses that have cooled down, but are not written as free yet, as nobody uses the block (G8).
    public let cooledDown: [CIDR]

    /// Whether there is anything to take back.
    public var hasWork: Bool {
        !cooledDown.isEmpty || standings.contains(.confirmed)
    }

    /// Whether anything has been seen that may be confirmed later.
    public var hasCandidates: Bool {
        standings.contains { $0 != .confirmed }
    }

    private var standings: [Standing] {
        leaks.map(\.standing) + handles.map(\.standing) + blocks.map(\.standing) + affinities.map(\.standing)
    }
}

/// What a collection has taken back.
public struct CollectionOutcome: Hashable, Sendable {
    public internal(set) var addresses: [IPAddress] = []
    public internal(set) var handles: [String] = []
    public internal(set) var blocks: [CIDR] = []
    public internal(set) var affinities: [StrayAffinity] = []
    /// Blocks whose cooled-down addresses were written as free.
    public internal(set) var cooledDown: [CIDR] = []
    /// How many were in use again, or written by others, and left alone.
    public internal(set) var skipped = 0
    /// What could not be done, one clause each.
    public internal(set) var errors: [String] = []

    public init() {}
}
