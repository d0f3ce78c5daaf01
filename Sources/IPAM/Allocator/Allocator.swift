// IPAM: which address belongs to whom. Values (pools, blocks, handles, selectors) decide; the Allocator reads records
// from a compare-and-swap store, lets them decide, and writes them back. No netlink, no CNI, no files.

import ClusterClient
import KubernetesAPI
import NetworkTypes

/// Hands out and takes back addresses for one host, over any ``Datastore``.
///
/// Every operation is a read, a decision on values, and a commit that fails when a record changed in between; then it
/// starts over, until the time is up. On a store with transactions one assignment is one commit: handle, block and
/// affinity change together or not at all. Without, they are written in an order in which a crash at any step leaves
/// a state that the next operation completes (A8, P10).
public struct Allocator: RecordOperations {
    public let datastore: any Datastore
    /// The node's name.
    public let host: String
    public let timeLimit: Duration
    public let clock: AllocatorClock
    /// Told of each record that an assignment did without, as it cannot be read.
    let leaveOut: @Sendable (UnreadableRecord) -> Void

    var owner: BlockOwner { .host(host) }

    /// - Parameters:
    ///   - host: the node's name, which blocks become affine to.
    ///   - timeLimit: how long one operation tries again when others get in between or the store is unavailable;
    ///     ``RequestDeadline`` may end it sooner.
    ///   - leaveOut: is told of each record that an assignment did without, as it cannot be read.
    public init(
        datastore: any Datastore,
        host: String,
        timeLimit: Duration = .seconds(9),
        clock: AllocatorClock = .system,
        leaveOut: @escaping @Sendable (UnreadableRecord) -> Void = { _ in }
    ) {
        self.datastore = datastore
        self.host = host
        self.timeLimit = timeLimit
        self.clock = clock
        self.leaveOut = leaveOut
    }
}

/// The time, and a way to let it pass; tests bring their own.
public struct AllocatorClock: Sendable {
    /// The time of day, which is written into records.
    let now: @Sendable () -> Timestamp
    /// The time that limits are measured with.
    let uptime: @Sendable () -> ContinuousClock.Instant
    let sleep: @Sendable (Duration) async -> Void

    public init(
        now: @escaping @Sendable () -> Timestamp,
        uptime: @escaping @Sendable () -> ContinuousClock.Instant,
        sleep: @escaping @Sendable (Duration) async -> Void
    ) {
        self.now = now
        self.uptime = uptime
        self.sleep = sleep
    }

    /// The machine's. A sleep that is cancelled ends early.
    public static let system = AllocatorClock(
        now: { .now },
        uptime: { .now },
        sleep: { try? await Task.sleep(for: $0) }
    )
}

/// Who wants which addresses.
public struct AssignmentRequest: Hashable, Sendable {
    /// The identity of the container, by which its addresses are found again (2.3).
    public var handle: String
    /// What is noted with each address: `pod`, `namespace`, `node`, `timestamp`, and `ifname` for the interface.
    public var attributes: [String: String]
    /// How many addresses of each family to choose.
    public var ipv4: Int
    public var ipv6: Int
    /// Names or prefixes of the only pools to choose from, in order of preference; empty for any (P3, P4).
    public var ipv4Pools: [String]
    public var ipv6Pools: [String]
    /// Addresses that it has to be, besides those that are chosen (2.6).
    public var requested: [IPAddress]
    public var namespaceLabels: [String: String]
    public var use: IPPool.Use

    public init(
        handle: String,
        attributes: [String: String] = [:],
        ipv4: Int = 0,
        ipv6: Int = 0,
        ipv4Pools: [String] = [],
        ipv6Pools: [String] = [],
        requested: [IPAddress] = [],
        namespaceLabels: [String: String] = [:],
        use: IPPool.Use = .workload
    ) {
        self.handle = handle
        self.attributes = attributes
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.ipv4Pools = ipv4Pools
        self.ipv6Pools = ipv6Pools
        self.requested = requested
        self.namespaceLabels = namespaceLabels
        self.use = use
    }

    /// The interface that the addresses are for, when there is one.
    public var interface: String? { attributes[Block.interfaceAttribute] }

    func count(_ family: IPFamily) -> Int { family == .ipv4 ? ipv4 : ipv6 }
    func pools(_ family: IPFamily) -> [String] { family == .ipv4 ? ipv4Pools : ipv6Pools }

    var attribute: Block.Attribute { Block.Attribute(handleID: handle, secondary: attributes) }
}

/// An address and where it comes from.
public struct AssignedAddress: Hashable, Sendable {
    public let address: IPAddress
    /// The name of the pool; empty when the pool is gone.
    public let pool: String
    public let block: CIDR
    public let handle: String
    public let attributes: [String: String]
    /// Tells this assignment from an earlier or later one of the same address (X4).
    public let sequenceNumber: UInt64
}

/// An address to take back, and what it must still be.
public struct ReleaseOptions: Hashable, Sendable {
    public var address: IPAddress
    /// The handle that it has to belong to.
    public var handle: String?
    /// The sequence number that it has to have been assigned with.
    public var sequenceNumber: UInt64?

    public init(address: IPAddress, handle: String? = nil, sequenceNumber: UInt64? = nil) {
        self.address = address
        self.handle = handle
        self.sequenceNumber = sequenceNumber
    }
}
