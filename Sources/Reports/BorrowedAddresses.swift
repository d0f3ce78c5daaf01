import ClusterClient
import IPAM
import JSON
import NetworkTypes

/// `ipam show --show-borrowed`: addresses that are used on another node than the one that owns their block (7.2 d).
public struct BorrowedAddresses: Hashable, Sendable {
    struct Entry: Hashable, Sendable {
        let address: IPAddress
        /// Who uses it.
        let node: String
        let block: CIDR
        /// The node that owns the block; `nil` when none does.
        let owner: String?
        /// `pod`, or what the allocation says it is.
        let type: String
        /// `namespace/pod`, or empty.
        let allocatedTo: String
    }

    /// Ordered by address.
    let entries: [Entry]
    /// How many addresses in use do not say on which node.
    let unknownCount: Int

    /// Addresses that cool down are used by nobody and do not count.
    ///
    /// - Parameter namespace: only addresses of its pods.
    public init(_ blocks: [Block], namespace: String? = nil) {
        var entries: [Entry] = []
        var unknownCount = 0
        for block in blocks.sorted(by: { $0.cidr < $1.cidr }) {
            let owner: String? =
                switch block.affinity {
                case .host(let name), .virtual(let name): name
                case nil: nil
                }
            for ordinal in block.allocations.indices {
                guard let attribute = block.attribute(ordinal), attribute.releasedAt == nil,
                    namespace == nil || attribute.secondary["namespace"] == namespace
                else { continue }
                guard let node = attribute.secondary["node"], !node.isEmpty else {
                    unknownCount += 1
                    continue
                }
                guard block.affinity != .host(node) else { continue }
                let machine = attribute.secondary["vmi-name"]
                let pod = attribute.secondary["pod"]
                entries.append(
                    Entry(
                        address: block.address(ordinal),
                        node: node,
                        block: block.cidr,
                        owner: owner,
                        type: machine != nil ? "vmi" : pod != nil ? "pod" : attribute.secondary["type"] ?? "",
                        allocatedTo: (machine ?? pod).map { "\(attribute.secondary["namespace"] ?? "")/\($0)" } ?? ""
                    )
                )
            }
        }
        self.entries = entries
        self.unknownCount = unknownCount
    }

    /// Reads all blocks of a store, or those that a filter leaves.
    ///
    /// - Parameter leaveOut: is told of each record that cannot be read; without it that is an error.
    public static func read(
        from datastore: any Datastore,
        _ filter: UsageFilter = UsageFilter(),
        leaveOut: ((UnreadableRecord) -> Void)? = nil
    ) async throws -> BorrowedAddresses {
        BorrowedAddresses(try await filter.blocks(of: datastore, leaveOut: leaveOut), namespace: filter.namespace)
    }

    public func table(_ form: TableForm = .narrow) -> String {
        var table = Table([
            .init("IP"), .init("BORROWING-NODE"), .init("BLOCK"), .init("BLOCK OWNER"), .init("TYPE"),
            .init("ALLOCATED-TO"),
        ])
        for entry in entries {
            table.add([
                entry.address.description, entry.node, entry.block.description, entry.owner ?? "", entry.type,
                entry.allocatedTo,
            ])
        }
        guard unknownCount > 0, form != .csv else { return table.text(form) }
        return table.text
            + "\nNote: found \(unknownCount) IP allocations without an explicit node association. "
            + "Unable to determine if they are borrowed.\n"
    }

    public func json() -> String {
        let report: JSONValue = [
            "borrowed": .array(
                entries.map { entry in
                    [
                        "ip": .string("\(entry.address)"), "borrowingNode": .string(entry.node),
                        "block": .string("\(entry.block)"), "blockOwner": .optional(entry.owner),
                        "type": .string(entry.type), "allocatedTo": .string(entry.allocatedTo),
                    ]
                }
            )
        ]
        return report.report
    }
}
