import ClusterClient
import IPAM
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
    public init(_ blocks: [Block]) {
        var entries: [Entry] = []
        var unknownCount = 0
        for block in blocks.sorted(by: { $0.cidr < $1.cidr }) {
            let owner: String? =
                switch block.affinity {
                case .host(let name), .virtual(let name): name
                case nil: nil
                }
            for ordinal in block.allocations.indices {
                guard let attribute = block.attribute(ordinal), attribute.releasedAt == nil else { continue }
                guard let node = attribute.secondary["node"], !node.isEmpty else {
                    unknownCount += 1
                    continue
                }
                guard block.affinity != .host(node) else { continue }
                let pod = attribute.secondary["pod"]
                entries.append(
                    Entry(
                        address: block.address(ordinal),
                        node: node,
                        block: block.cidr,
                        owner: owner,
                        type: attribute.secondary["vmi"] != nil
                            ? "vmi" : pod != nil ? "pod" : attribute.secondary["type"] ?? "",
                        allocatedTo: pod.map { "\(attribute.secondary["namespace"] ?? "")/\($0)" } ?? ""
                    )
                )
            }
        }
        self.entries = entries
        self.unknownCount = unknownCount
    }

    /// Reads all blocks of a store.
    public static func read(from datastore: any Datastore) async throws -> BorrowedAddresses {
        let records = try await datastore.read([.collection(.blocks(.ipv4)), .collection(.blocks(.ipv6))])
        return BorrowedAddresses(try records.joined().map { try Block($0) })
    }

    public var table: String {
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
        guard unknownCount > 0 else { return table.text }
        return table.text + "\n\(unknownCount) allocated addresses do not say which node uses them.\n"
    }

    public func json() throws -> String {
        try jsonText(
            JSONBorrowed(
                borrowed: entries.map {
                    JSONBorrowed.Entry(
                        ip: $0.address,
                        borrowingNode: $0.node,
                        block: $0.block,
                        blockOwner: JSONNullable(value: $0.owner),
                        type: $0.type,
                        allocatedTo: $0.allocatedTo
                    )
                }
            )
        )
    }
}

private struct JSONBorrowed: Encodable {
    struct Entry: Encodable {
        let ip: IPAddress
        let borrowingNode: String
        let block: CIDR
        let blockOwner: JSONNullable<String>
        let type: String
        let allocatedTo: String
    }

    let borrowed: [Entry]
}
