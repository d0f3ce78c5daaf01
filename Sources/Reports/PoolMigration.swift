import ClusterClient
import IPAM
import JSON
import NetworkTypes

/// How far one pool has taken the place of another, whose block size cannot be changed (C13): `ipam migrate-pool`.
public struct PoolMigration: Hashable, Sendable {
    /// Why it cannot be.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// An address of the old pool that is in use.
    public struct Holder: Hashable, Sendable {
        public let address: IPAddress
        public let node: String
        /// `namespace/pod`, or what else has the address.
        public let owner: String
    }

    /// What has been done, and what has to be.
    public enum Stage: String, Hashable, Sendable {
        /// Addresses are still assigned from the old pool.
        case enabled
        /// Some of its addresses are in use.
        case draining
        /// None is; the old pool can be deleted.
        case drained
        /// There is no old pool any more.
        case done
    }

    public let oldName: String
    /// `nil` when it is gone.
    public let old: IPPool?
    public let new: IPPool
    /// By address.
    public let holders: [Holder]

    public var stage: Stage {
        guard let old else { return .done }
        return old.isEnabled ? .enabled : holders.isEmpty ? .drained : .draining
    }

    public init(from oldName: String, to newName: String, pools: [IPPool], blocks: [Block]) throws(Problem) {
        func pool(_ name: String) -> IPPool? { pools.first { $0.name == name } }
        guard oldName != newName else { throw Problem(description: "a pool cannot take its own place") }
        guard let new = pool(newName) else {
            throw Problem(
                description: "there is no IP pool \(newName), which is to take the place of \(oldName): create it first"
            )
        }
        old = pool(oldName)
        if let old, old.family != new.family {
            throw Problem(description: "\(oldName) is of \(old.family), and \(newName) of \(new.family)")
        }
        guard new.isEnabled else {
            throw Problem(
                description: "IP pool \(newName) is disabled or being deleted, so that nothing could move to it"
            )
        }
        guard new.spec.assignmentMode == .automatic || old?.spec.assignmentMode == .manual else {
            throw Problem(
                description:
                    "assignmentMode of IP pool \(newName) is Manual, so that pods do not move to it by themselves"
            )
        }
        self.oldName = oldName
        self.new = new
        var holders: [Holder] = []
        if let cidr = old?.cidr {
            for block in blocks where cidr.contains(block.cidr) {
                for ordinal in block.allocations.indices {
                    guard let attribute = block.attribute(ordinal), attribute.releasedAt == nil else { continue }
                    let about = attribute.secondary
                    let pod = about["pod"].map { "\(about["namespace"] ?? "")/\($0)" }
                    holders.append(
                        Holder(
                            address: block.address(ordinal),
                            node: about["node"] ?? "",
                            owner: pod ?? about["type"] ?? attribute.handle ?? ""
                        )
                    )
                }
            }
        }
        self.holders = holders.sorted { $0.address < $1.address }
    }

    /// What a person might not have meant.
    private var warnings: [String] {
        guard let old else { return [] }
        var warnings: [String] = []
        let room = UInt128(1) << UInt128(min(127, new.family.addressBits - new.cidr.prefixLength))
        if room < UInt128(holders.count) {
            warnings.append("\(new.name) has \(room) addresses, and \(holders.count) of \(old.name) are in use")
        }
        for (field, was, will) in [
            ("nodeSelector", old.spec.nodeSelector, new.spec.nodeSelector),
            ("namespaceSelector", old.spec.namespaceSelector, new.spec.namespaceSelector),
        ] where was != will {
            warnings.append(
                "\(field) of \(new.name) is \(will.isEmpty ? "empty" : will), that of \(old.name) "
                    + (was.isEmpty ? "empty" : was)
            )
        }
        if !Set(old.spec.allowedUses).isSubset(of: new.spec.allowedUses) {
            warnings.append("\(new.name) is not for all that \(old.name) is for (allowedUses)")
        }
        return warnings
    }

    public var text: String {
        guard let old else { return "There is no IP pool \(oldName) any more; \(new.name) has its place.\n" }
        var lines = [
            "IP pool \(new.name), \(new.cidr) in blocks of /\(new.spec.blockSize), takes the place of \(old.name), "
                + "\(old.cidr) in blocks of /\(old.spec.blockSize)."
        ]
        lines += warnings.map { "WARNING: \($0)" }
        lines.append(
            old.isEnabled
                ? "next     \(old.name) is disabled, so that nothing more is assigned from it"
                : "done     \(old.name) is disabled: nothing more is assigned from it"
        )
        guard !holders.isEmpty else {
            lines.append("done     no address of \(old.name) is in use")
            lines.append("next     \(old.name) is deleted, with its empty blocks")
            return lines.map { $0 + "\n" }.joined()
        }
        lines.append("waiting  \(holders.count) addresses of \(old.name) are in use, until their pods are made anew:")
        var table = PlainTable(["NODE", "OWNER", "IP"])
        for holder in holders.sorted(by: { ($0.node, $0.owner) < ($1.node, $1.owner) }) {
            table.add([holder.node.isEmpty ? "<none>" : holder.node, holder.owner, "\(holder.address)"])
        }
        lines.append("then     \(old.name) is deleted: run the command again")
        let last = lines.removeLast()
        return lines.map { $0 + "\n" }.joined() + table.text(margin: "  ") + last + "\n"
    }

    public func json() -> String {
        let report: JSONValue = [
            "from": .string(oldName), "to": .string(new.name), "stage": .string(stage.rawValue),
            "warnings": .array(warnings.map { .string($0) }),
            "inUse": .array(
                holders.map { holder in
                    [
                        "ip": .string("\(holder.address)"), "node": .optional(holder.node.isEmpty ? nil : holder.node),
                        "owner": .string(holder.owner),
                    ]
                }
            ),
        ]
        return report.report
    }

    public static func read(
        from oldName: String,
        to newName: String,
        _ datastore: any Datastore
    ) async throws -> PoolMigration {
        let resources = try await IPAMAdministration(datastore: datastore).resources(.pool)
        let pools = resources.compactMap { resource in if case .pool(let pool) = resource { pool } else { nil } }
        let filter = UsageFilter(pools: pools.contains { $0.name == oldName } ? [oldName] : [])
        return try PoolMigration(
            from: oldName,
            to: newName,
            pools: pools,
            blocks: try await filter.blocks(of: datastore)
        )
    }
}
