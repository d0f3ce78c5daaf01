import IPAM
import NetworkTypes

// `ipam show`: how full pools and blocks are (7.2 a, b).

extension IPAMUsage {
    /// One row for each pool and, if wanted, one for each of its blocks behind it and for each orphan at the end.
    public func table(showingBlocks: Bool) -> String {
        var table = Table([
            .init("GROUPING"), .init("CIDR"), .init("IPS TOTAL", .right), .init("IPS IN USE", .right),
            .init("IPS RESERVED", .right), .init("IPS FREE", .right),
        ])
        func add(_ blocks: [BlockUsage]) {
            guard showingBlocks else { return }
            for block in blocks { table.add(["Block", block.cidr.description] + block.counts.cells) }
        }
        for pool in pools {
            table.add(["IP Pool", pool.cidr.description] + pool.counts.cells)
            add(pool.blocks)
        }
        add(orphanBlocks)
        return table.text
    }

    public func json(showingBlocks: Bool) throws -> String {
        try jsonText(
            JSONUsage(
                pools: pools.map { JSONPool($0, showingBlocks: showingBlocks) },
                orphanBlocks: orphanBlocks.map { JSONBlock($0) }
            )
        )
    }
}

private struct JSONUsage: Encodable {
    let pools: [JSONPool]
    let orphanBlocks: [JSONBlock]
}

private struct JSONPool: Encodable {
    let name: String
    let cidr: CIDR
    let ipsTotal, ipsInUse, ipsReserved, ipsFree: JSONCount
    let blocks: [JSONBlock]?

    init(_ pool: PoolUsage, showingBlocks: Bool) {
        name = pool.name
        cidr = pool.cidr
        ipsTotal = JSONCount(value: pool.counts.total)
        ipsInUse = JSONCount(value: pool.counts.inUse)
        ipsReserved = JSONCount(value: pool.counts.reserved)
        ipsFree = JSONCount(value: pool.counts.free)
        blocks = showingBlocks ? pool.blocks.map { JSONBlock($0) } : nil
    }
}

private struct JSONBlock: Encodable {
    let cidr: CIDR
    let affinity: JSONNullable<String>
    let ipsTotal, ipsInUse, ipsReserved, ipsFree: JSONCount

    init(_ block: BlockUsage) {
        cidr = block.cidr
        affinity = JSONNullable(value: block.affinity?.description)
        ipsTotal = JSONCount(value: block.counts.total)
        ipsInUse = JSONCount(value: block.counts.inUse)
        ipsReserved = JSONCount(value: block.counts.reserved)
        ipsFree = JSONCount(value: block.counts.free)
    }
}
