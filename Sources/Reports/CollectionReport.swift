import IPAM
import JSON
import NetworkTypes

/// `ipam gc`: what nobody uses any more, and what became of it.
public struct CollectionReport: Sendable {
    private let plan: CollectionPlan
    /// `nil` when nothing was to be taken back.
    private let outcome: CollectionOutcome?

    public init(_ plan: CollectionPlan, _ outcome: CollectionOutcome?) {
        self.plan = plan
        self.outcome = outcome
    }

    public var text: String {
        var lines: [String] = []
        for leak in plan.leaks {
            let allocation = leak.allocation
            lines.append("\(allocation.address) is used by nobody: \(allocation.ownerText)\(leak.standing.text)")
        }
        for orphan in plan.handles {
            lines.append("handle \(orphan.handle.id) has no addresses\(orphan.standing.text)")
        }
        for block in plan.blocks {
            lines.append("block \(block.cidr) of \(block.owner) is empty and not needed\(block.standing.text)")
        }
        for stray in plan.affinities {
            lines.append(
                "affinity of \(stray.affinity.owner) for \(stray.affinity.cidr) is without its block\(stray.standing.text)"
            )
        }
        for cidr in plan.cooledDown { lines.append("block \(cidr) has addresses that have cooled down") }
        if let outcome {
            lines.append(
                "Released \(outcome.addresses.count) addresses and \(outcome.blocks.count) blocks, deleted "
                    + "\(outcome.handles.count) handles and \(outcome.affinities.count) affinities; \(outcome.skipped) had changed; \(outcome.errors.count) errors."
            )
        } else if lines.isEmpty {
            lines.append("Nothing to collect.")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    public func json() -> String {
        let report: JSONValue = [
            "addresses": .array(plan.leaks.map(json)),
            "handles": .array(
                plan.handles.map { orphan in
                    let isDone = outcome?.handles.contains(orphan.handle.id) ?? false
                    return ["id": .string(orphan.handle.id), "state": .string(orphan.standing.state(isDone))]
                }
            ),
            "blocks": .array(
                plan.blocks.map { block in
                    let isDone = outcome?.blocks.contains(block.cidr) ?? false
                    return [
                        "cidr": .string("\(block.cidr)"), "affinity": .string("\(block.owner)"),
                        "state": .string(block.standing.state(isDone)),
                    ]
                }
            ),
            "affinities": .array(
                plan.affinities.map { stray in
                    let isDone = outcome?.affinities.contains(stray.affinity) ?? false
                    return [
                        "cidr": .string("\(stray.affinity.cidr)"), "affinity": .string("\(stray.affinity.owner)"),
                        "state": .string(stray.standing.state(isDone)),
                    ]
                }
            ),
            "cooledDownBlocks": .array(plan.cooledDown.map { .string("\($0)") }),
            "skipped": .number(outcome?.skipped ?? 0),
            "errors": .array((outcome?.errors ?? []).map { .string($0) }),
        ]
        return report.report
    }

    private func json(_ leak: CollectionPlan.Leak) -> JSONValue {
        let allocation = leak.allocation
        func attribute(_ name: String) -> JSONValue { allocation.attributes[name].map { .string($0) } ?? .null }
        let isDone = outcome?.addresses.contains(allocation.address) ?? false
        return [
            "ip": .string("\(allocation.address)"), "block": .string("\(allocation.block)"),
            "handle": allocation.handle.map { .string($0) } ?? .null,
            // Text, as it is beyond 2^53.
            "sequenceNumber": .string("\(allocation.sequenceNumber)"), "pod": attribute("pod"),
            "namespace": attribute("namespace"), "node": attribute("node"),
            "state": .string(leak.standing.state(isDone)),
        ]
    }
}

extension CollectionPlan.Standing {
    /// What follows the description of the thing.
    fileprivate var text: String {
        switch self {
        case .candidate(let age): age < .seconds(1) ? " (seen now)" : " (seen for \(age.components.seconds) s)"
        case .confirmed: ""
        }
    }

    /// `candidate`, `confirmed`, or what was done.
    fileprivate func state(_ isDone: Bool) -> String {
        isDone ? "collected" : self == .confirmed ? "confirmed" : "candidate"
    }
}

extension ConsistencyCheck.Allocation {
    /// `pod shop/cart on node-a, handle pods.0a1b`.
    fileprivate var ownerText: String {
        var parts: [String] = []
        if let pod = attributes["pod"] { parts.append("pod \(attributes["namespace"] ?? "")/\(pod)") }
        if let type = attributes["type"] { parts.append(type) }
        if let node { parts.append("on \(node)") }
        let owner = parts.joined(separator: " ")
        return owner + (owner.isEmpty ? "" : ", ") + "handle \(handle ?? "<none>")"
    }
}
