import ClusterClient
import IPAM
import JSON
import NetworkTypes

// `ipam show`: how full pools and blocks are (7.2 a, b).

extension IPAMUsage {
    /// One row for each pool and, if wanted, one for each of its blocks behind it and for each orphan at the end.
    ///
    /// - Parameter affinities: what the affinities of the blocks say; a wide table tells it.
    public func table(
        showingBlocks: Bool,
        _ form: TableForm = .narrow,
        affinities: [CIDR: BlockAffinity.State] = [:]
    ) -> String {
        var columns: [Table.Column] = [
            .init("GROUPING"), .init("CIDR"), .init("IPS TOTAL", .right), .init("IPS IN USE", .right),
            .init("IPS RESERVED", .right), .init("IPS FREE", .right),
        ]
        if form != .narrow { columns += ["POOL", "OWNER", "NODE", "STATE"].map { .init($0) } }
        var table = Table(columns)
        func add(_ blocks: [BlockUsage], pool: String) {
            guard showingBlocks else { return }
            for block in blocks {
                table.add(
                    ["Block", block.cidr.description] + block.counts.cells(form) + [
                        pool, block.affinity?.description ?? "", block.affinity?.node ?? "",
                        block.state(affinities),
                    ]
                )
            }
        }
        for pool in pools {
            table.add(["IP Pool", pool.cidr.description] + pool.counts.cells(form) + [pool.name, "", "", pool.state])
            add(pool.blocks, pool: pool.name)
        }
        add(orphanBlocks, pool: "")
        return table.text(form)
    }

    public func json(showingBlocks: Bool) -> String {
        let report: JSONValue = [
            "pools": .array(
                pools.map { pool in
                    var members = [("name", JSONValue.string(pool.name)), ("cidr", .string("\(pool.cidr)"))]
                    members += pool.counts.members
                    if showingBlocks { members.append(("blocks", .array(pool.blocks.map(\.json)))) }
                    return .object(JSONObject(members))
                }
            ),
            "orphanBlocks": .array(orphanBlocks.map(\.json)),
        ]
        return report.report
    }
}

extension PoolUsage {
    /// `enabled`, or why nothing is assigned from it.
    fileprivate var state: String { refusals.isEmpty ? "enabled" : refusals.map(\.code).joined(separator: ",") }
}

extension BlockUsage {
    /// What the owner's record says (2.4): only `confirmed` is as it should be.
    fileprivate func state(_ affinities: [CIDR: BlockAffinity.State]) -> String {
        guard affinity != nil else { return "unowned" }
        return affinities[cidr]?.rawValue ?? "unrecorded"
    }

    fileprivate var json: JSONValue {
        .object(
            JSONObject(
                [("cidr", .string("\(cidr)")), ("affinity", .optional(affinity?.description))] + counts.members
            )
        )
    }
}

extension BlockOwner {
    /// The node, when it is one.
    var node: String? { if case .host(let name) = self { name } else { nil } }
}
