import ClusterClient
import NetworkTypes

/// A record that a host wants or has a block, which it does not have: the block does not exist, or is somebody else's.
///
/// It means nothing (A1, A5). The host itself cleans it up when it meets it; of a host that is gone it stays.
public struct StrayAffinity: Hashable, Sendable {
    /// The host.
    public let node: String
    public let cidr: CIDR
    public let state: BlockAffinity.State
    let revision: Revision

    public var owner: BlockOwner { .host(node) }

    /// Whether a claim may be under way that is about to create the block (A2).
    public var mayBeClaim: Bool { state == .pending }
}

extension IPAMRecords {
    /// By host and prefix. Of a block that cannot be read nobody can tell whose it is.
    var strayAffinities: [StrayAffinity] {
        guard !affinities.isEmpty else { return [] }
        let owners = Dictionary(blocks.map { ($0.cidr, $0.affinity) }) { first, _ in first }
        let unreadable = Set(unreadable.map(\.key))
        return affinities.compactMap { affinity in
            guard case .blockAffinity(.host(let node), let cidr) = affinity.key,
                (owners[cidr] ?? nil) != .host(node), !unreadable.contains(.block(cidr))
            else { return nil }
            return StrayAffinity(node: node, cidr: cidr, state: affinity.state, revision: affinity.revision)
        }
    }
}
