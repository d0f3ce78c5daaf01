import ClusterClient
import IPAM
import JSON
import NetworkTypes

/// `ipam top`: who has the most addresses.
public struct TopReport: Hashable, Sendable {
    public enum Grouping: String, Hashable, Sendable, CaseIterable {
        case node, namespace, pool
    }

    struct Entry: Hashable, Sendable {
        /// Empty for addresses whose records do not say it, or that are in no pool.
        let name: String
        /// Of a pool.
        var cidr: CIDR?
        /// Assigned, and not cooling down.
        var inUse = 0
        var coolingDown = 0
        /// Of those in use, how many are in blocks that others own.
        var borrowed = 0
        /// Blocks that it owns, or that it has.
        var blocks = 0
        /// What is neither in use nor cooling down in them; reserved addresses count.
        var free = 0
        var pods: Set<String> = []
        var nodes: Set<String> = []

        init(_ name: String) {
            self.name = name
        }
    }

    let grouping: Grouping
    /// The one with the most addresses in use comes first.
    let entries: [Entry]

    public init(_ grouping: Grouping, pools: [IPPool], blocks: [Block]) {
        self.grouping = grouping
        var entries: [String: Entry] = [:]
        let sortedPools = pools.sorted { $0.cidr < $1.cidr }
        if grouping == .pool {
            for pool in pools { entries[pool.name, default: Entry(pool.name)].cidr = pool.cidr }
        }
        for block in blocks {
            let owner = block.affinity?.node ?? ""
            let holder: String? =
                switch grouping {
                case .node: block.affinity == nil ? nil : owner
                case .pool: sortedPools.last { $0.cidr.contains(block.cidr) }?.name ?? ""
                case .namespace: nil
                }
            if let holder {
                entries[holder, default: Entry(holder)].blocks += 1
                entries[holder, default: Entry(holder)].free += block.size - block.inUseCount
            }
            for ordinal in block.allocations.indices {
                guard let attribute = block.attribute(ordinal) else { continue }
                if attribute.releasedAt != nil {
                    // It is nobody's any more, but it is its block's.
                    if let holder { entries[holder, default: Entry(holder)].coolingDown += 1 }
                    continue
                }
                let node = attribute.secondary["node"] ?? ""
                let namespace = attribute.secondary["namespace"] ?? ""
                let name =
                    switch grouping {
                    case .node: node
                    case .namespace: namespace
                    case .pool: holder ?? ""
                    }
                var entry = entries.removeValue(forKey: name) ?? Entry(name)
                entry.inUse += 1
                if node != owner || block.affinity == nil { entry.borrowed += 1 }
                if let pod = attribute.secondary["pod"] { entry.pods.insert("\(namespace)/\(pod)") }
                if !node.isEmpty { entry.nodes.insert(node) }
                entries[name] = entry
            }
        }
        self.entries = entries.values.sorted { ($1.inUse, $0.name) < ($0.inUse, $1.name) }
    }

    public static func read(
        _ grouping: Grouping,
        from datastore: any Datastore,
        _ filter: UsageFilter = UsageFilter(),
        leaveOut: ((UnreadableRecord) -> Void)? = nil
    ) async throws -> TopReport {
        // Of pools that cannot be read the blocks tell, too.
        let resources = try await IPAMAdministration(datastore: datastore)
            .resources(.pool, leaveOut: leaveOut == nil ? nil : { _ in })
        let pools = resources.compactMap { resource in if case .pool(let pool) = resource { pool } else { nil } }
        return TopReport(grouping, pools: pools, blocks: try await filter.blocks(of: datastore, leaveOut: leaveOut))
    }

    private var columns: [(title: String, name: String, value: (Entry) -> Int)] {
        let inUse = ("IPS IN USE", "ipsInUse", { (entry: Entry) in entry.inUse })
        let cooling = ("COOLING DOWN", "ipsCoolingDown", { (entry: Entry) in entry.coolingDown })
        let borrowed = ("BORROWED", "ipsBorrowed", { (entry: Entry) in entry.borrowed })
        let blocks = ("BLOCKS", "blocks", { (entry: Entry) in entry.blocks })
        let free = ("FREE IN BLOCKS", "ipsFreeInBlocks", { (entry: Entry) in entry.free })
        let pods = ("PODS", "pods", { (entry: Entry) in entry.pods.count })
        let nodes = ("NODES", "nodes", { (entry: Entry) in entry.nodes.count })
        switch grouping {
        case .node: return [inUse, borrowed, pods, blocks, cooling, free]
        case .namespace: return [inUse, borrowed, pods, nodes]
        case .pool: return [inUse, borrowed, pods, nodes, blocks, cooling, free]
        }
    }

    /// - Parameter limit: how many entries there are at most.
    public func table(_ form: TableForm = .narrow, limit: Int = .max) -> String {
        let columns = columns
        var table = Table(
            [.init(grouping.rawValue.uppercased())] + (grouping == .pool ? [.init("CIDR")] : [])
                + columns.map { .init($0.title, .right) }
        )
        for entry in entries.prefix(limit) {
            let name = entry.name.isEmpty && form != .csv ? "<none>" : entry.name
            let prefix = grouping == .pool ? [entry.cidr.map { "\($0)" } ?? ""] : []
            table.add([name] + prefix + columns.map { "\($0.value(entry))" })
        }
        return table.text(form)
    }

    /// The name is null where records do not say it, or where addresses are in no pool.
    public func json(limit: Int = .max) -> String {
        let columns = columns
        let items = entries.prefix(limit).map { entry -> JSONValue in
            var members = [("name", JSONValue.optional(entry.name.isEmpty ? nil : entry.name))]
            if grouping == .pool { members.append(("cidr", .optional(entry.cidr.map { "\($0)" }))) }
            members += columns.map { ($0.name, .number($0.value(entry))) }
            return .object(JSONObject(members))
        }
        let report: JSONValue = ["by": .string(grouping.rawValue), "items": .array(items)]
        return report.report
    }
}
