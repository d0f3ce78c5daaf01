import ClusterClient
import KubernetesAPI
import NetworkTypes

/// Finds what nobody uses any more: addresses whose container is gone, handles without addresses, blocks of nodes that
/// do not need them, affinities without their block (`reference/calico.md` 2.13). A state machine without I/O: records go in, and what to take back
/// comes out.
///
/// What is seen once is only a candidate, since an ADD or a DEL may be under way. It is confirmed when it is still there,
/// and unchanged, after the grace period (G4). So a daemon observes again and again, every half of the period (G1), and a
/// command observes twice.
public struct LeakCollection: Sendable {
    public static let defaultGrace = Duration.seconds(15 * 60)

    public let grace: Duration
    /// Whether a node that has no record does not exist. So it is in Kubernetes; in the other stores a node is recorded
    /// only when somebody wanted its labels.
    public let knowsAllNodes: Bool
    private var candidates: [Candidate: ContinuousClock.Instant] = [:]

    public init(grace: Duration = defaultGrace, knowsAllNodes: Bool) {
        self.grace = grace
        self.knowsAllNodes = knowsAllNodes
    }

    /// One thing in one state: written since, it is another.
    private enum Candidate: Hashable {
        case address(IPAddress, handle: String?, sequenceNumber: UInt64)
        case handle(ConsistencyCheck.LeakedHandle)
        case emptyBlock(CIDR, sequenceNumber: UInt64)
        case affinity(StrayAffinity)
    }

    /// Looks at the records.
    ///
    /// - Parameters:
    ///   - now: the time of day, which time stamps in records are compared with.
    ///   - uptime: the time that the grace period is measured with.
    public mutating func observe(
        _ records: IPAMRecords,
        now: Timestamp,
        uptime: ContinuousClock.Instant
    ) -> CollectionPlan {
        let earlier = candidates
        var seen: [Candidate: ContinuousClock.Instant] = [:]
        /// Since when it has been a candidate, and whether that is long enough.
        func judge(_ candidate: Candidate) -> CollectionPlan.Standing {
            let since = earlier[candidate] ?? uptime
            seen[candidate] = since
            let age = since.duration(to: uptime)
            return age >= grace && earlier[candidate] != nil ? .confirmed : .candidate(age)
        }

        let check = ConsistencyCheck(records, now: now)
        var leaks: [CollectionPlan.Leak] = []
        for allocation in check.allocations where isJudged(allocation) {
            let standing = judge(
                .address(allocation.address, handle: allocation.handle, sequenceNumber: allocation.sequenceNumber)
            )
            let isNodeGone = allocation.node.map { isGone($0, records) } ?? false
            leaks.append(.init(allocation: allocation, standing: isNodeGone ? .confirmed : standing))
        }
        // A container has all its addresses or none (G5).
        let live = Set(
            check.allocations.lazy.filter { $0.use != .none && $0.use != .coolingDown }.compactMap(\.handle)
        )
        leaks.removeAll { $0.allocation.handle.map(live.contains) ?? false }
        let undecided = Set(leaks.lazy.filter { $0.standing != .confirmed }.compactMap(\.allocation.handle))
        for index in leaks.indices where leaks[index].standing == .confirmed {
            guard let handle = leaks[index].allocation.handle, undecided.contains(handle) else { continue }
            leaks[index].standing = .candidate(.zero)
        }

        let handles = check.leakedHandles.map { CollectionPlan.Orphan(handle: $0, standing: judge(.handle($0))) }
        let blocks = surplusBlocks(records, judge)
        let affinities = check.strayAffinities.map { affinity in
            let standing = judge(.affinity(affinity))
            // A new host may claim a block before it is known as a node (A2).
            let isConfirmed = isGone(affinity.node, records) && !affinity.mayBeClaim
            return CollectionPlan.Stray(affinity: affinity, standing: isConfirmed ? .confirmed : standing)
        }
        let cooldowns = records.blocks.filter { block in
            guard let cooldown = records.configuration?.cooldown else { return false }
            var block = block
            return block.isSound && block.endCooldowns(now: now, cooldown: cooldown)
        }.map(\.cidr)
        candidates = seen
        return CollectionPlan(
            leaks: leaks,
            handles: handles,
            blocks: blocks,
            affinities: affinities,
            cooledDown: cooldowns
        )
    }

    /// A list of nodes without any is more likely one that could not be read.
    private func isGone(_ node: String, _ records: IPAMRecords) -> Bool {
        knowsAllNodes && !records.nodes.isEmpty && !records.nodes.contains(node)
    }

    /// Whether an address is used by nobody, as far as that can be told: its record says of which container it is, so that
    /// an endpoint would have been recorded (G3), or it is of a tunnel, which goes with its node (G2).
    private func isJudged(_ allocation: ConsistencyCheck.Allocation) -> Bool {
        guard allocation.isReleasable else { return false }
        if allocation.isTunnel { return knowsAllNodes && allocation.node != nil }
        let isOfPod = allocation.attributes["pod"] != nil && allocation.attributes["namespace"] != nil
        return isOfPod || allocation.attributes[Block.interfaceAttribute] != nil
    }

    /// Empty blocks that their nodes can do without: all of a node that is gone (G6), and those beyond a node's last (G7).
    private func surplusBlocks(
        _ records: IPAMRecords,
        _ judge: (Candidate) -> CollectionPlan.Standing
    ) -> [CollectionPlan.Surplus] {
        var surplus: [CollectionPlan.Surplus] = []
        let byOwner = Dictionary(grouping: records.blocks) { $0.affinity }
        for (owner, blocks) in byOwner {
            guard let owner, case .host(let node) = owner else { continue }
            let isNodeGone = isGone(node, records)
            for family in IPFamily.allCases {
                let ofFamily = blocks.filter { $0.cidr.family == family }
                let empty = ofFamily.filter(\.isEmpty)
                // The node's next address comes from the first that has room, so that one is kept.
                let kept = isNodeGone || empty.count < ofFamily.count ? 0 : 1
                for block in empty.dropFirst(kept) {
                    let standing = judge(.emptyBlock(block.cidr, sequenceNumber: block.sequenceNumber))
                    surplus.append(
                        .init(
                            cidr: block.cidr,
                            owner: owner,
                            sequenceNumber: block.sequenceNumber,
                            standing: isNodeGone ? .confirmed : standing
                        )
                    )
                }
            }
        }
        return surplus.sorted { $0.cidr < $1.cidr }
    }
}

extension ConsistencyCheck.Allocation {
    public var node: String? { attributes["node"] }
    fileprivate var isTunnel: Bool { attributes["type"]?.hasSuffix("TunnelAddress") == true }
}
