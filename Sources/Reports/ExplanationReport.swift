import ClusterClient
import IPAM
import JSON
import NetworkTypes

/// `ipam explain`: which pools are considered for a pod, and why each is refused.
public struct ExplanationReport: Sendable {
    private let subject: String
    private let explanation: AssignmentExplanation
    private let addresses: [IPAddress]

    /// - Parameters:
    ///   - subject: the pod as `NAMESPACE/NAME`.
    ///   - addresses: those that it has.
    public init(_ subject: String, _ explanation: AssignmentExplanation, addresses: [IPAddress]) {
        self.subject = subject
        self.explanation = explanation
        self.addresses = addresses
    }

    public var text: String {
        var lines = ["Pod \(subject) on node \(explanation.node)"]
        if !addresses.isEmpty { lines.append("It has \(addresses.map(\.description).joined(separator: ", ")).") }
        if explanation.families.isEmpty { lines += ["", "There are no pools."] }
        var text = lines.map { $0 + "\n" }.joined()
        for family in explanation.families {
            text += "\n\(family.family): \(family.source.text).\n"
            text += table(family)
            for pool in family.pools {
                for refusal in pool.refusals { text += "  \(pool.name) is refused: \(refusal).\n" }
            }
            for name in family.unknownPools { text += "  \(name) is asked for, and there is no such pool.\n" }
        }
        return text
    }

    private func table(_ family: AssignmentExplanation.Family) -> String {
        guard !family.pools.isEmpty else { return "" }
        var table = PlainTable(["POOL", "CIDR", "RESULT", "OWN BLOCKS", "FREE IN THEM", "BLOCKS", "FREE ELSEWHERE"])
        for pool in family.pools {
            let possible = pool.room.possibleBlocks == .max ? "2^64" : "\(pool.room.possibleBlocks)"
            table.add([
                pool.name, "\(pool.cidr)", pool.refusals.isEmpty ? "usable" : "refused", "\(pool.room.ownBlocks)",
                "\(pool.room.ownFree)", "\(pool.room.existingBlocks) of \(possible)", "\(pool.room.freeElsewhere)",
            ])
        }
        return table.text(margin: "  ")
    }

    public func json() -> String {
        func labels(_ labels: [String: String]) -> JSONValue {
            .object(JSONObject(labels.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
        }
        let report: JSONValue = [
            "pod": .string(subject), "node": .string(explanation.node), "nodeLabels": labels(explanation.nodeLabels),
            "namespaceLabels": labels(explanation.namespaceLabels),
            "addresses": .array(addresses.map { .string("\($0)") }),
            "families": .array(explanation.families.map(json)),
        ]
        return report.report
    }

    private func json(_ family: AssignmentExplanation.Family) -> JSONValue {
        [
            "family": .string("\(family.family)"), "source": family.source.json,
            "unknownPools": .array(family.unknownPools.map { .string($0) }),
            "pools": .array(
                family.pools.map { pool in
                    [
                        "name": .string(pool.name), "cidr": .string("\(pool.cidr)"),
                        "blockSize": .number(pool.blockSize), "usable": .bool(pool.refusals.isEmpty),
                        "refusals": .array(
                            pool.refusals.map { ["code": .string($0.code), "message": .string($0.description)] }
                        ),
                        "ownBlocks": .number(pool.room.ownBlocks), "ownFree": .number(pool.room.ownFree),
                        "existingBlocks": .number(pool.room.existingBlocks),
                        // Beyond 2^53 text, as numbers of addresses are.
                        "possibleBlocks": pool.room.possibleBlocks <= 1 << 53
                            ? .number(pool.room.possibleBlocks) : .string("\(pool.room.possibleBlocks)"),
                        "nextBlock": pool.room.nextBlock.map { .string("\($0)") } ?? .null,
                        "freeElsewhere": .number(pool.room.freeElsewhere),
                    ]
                }
            ),
        ]
    }
}

extension AssignmentExplanation.Source {
    fileprivate var text: String {
        switch self {
        case .ownBlock(let block, let pool): "the next address comes from block \(block) of the node, in pool \(pool)"
        case .newBlock(let block, let pool): "the next address comes from a new block, \(block), in pool \(pool)"
        case .reclaimedBlock(let block, let pool):
            "the next address comes from block \(block) in pool \(pool), which is empty and is taken over"
        case .borrowed(let block, let owner, let pool):
            "the next address is borrowed from block \(block) of \(owner?.description ?? "nobody"), in pool \(pool)"
        case .none(let reason): "no address can be had: \(reason)"
        }
    }

    fileprivate var json: JSONValue {
        func value(_ kind: String, _ block: CIDR, _ pool: String) -> JSONValue {
            ["kind": .string(kind), "block": .string("\(block)"), "pool": .string(pool)]
        }
        switch self {
        case .ownBlock(let block, let pool): return value("ownBlock", block, pool)
        case .newBlock(let block, let pool): return value("newBlock", block, pool)
        case .reclaimedBlock(let block, let pool): return value("reclaimedBlock", block, pool)
        case .borrowed(let block, let owner, let pool):
            return [
                "kind": "borrowed", "block": .string("\(block)"), "pool": .string(pool),
                "owner": owner.map { .string($0.description) } ?? .null,
            ]
        case .none(let reason): return ["kind": "none", "reason": .string(reason)]
        }
    }
}
