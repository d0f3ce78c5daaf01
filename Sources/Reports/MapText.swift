import IPAM
import NetworkTypes

// `ipam show --map`: a picture of the blocks, one cell for each address of a small pool, one for each block of a large one.

extension AddressMap {
    /// - Parameter isColoured: whether the reader is a terminal that shows colours; the letters say the same without.
    public func text(isColoured: Bool) -> String {
        let painter = MapPainter(isColoured: isColoured)
        var lines: [String] = []
        for pool in pools { lines += painter.lines(pool) + [""] }
        if !orphanBlocks.isEmpty {
            lines.append("Blocks in no pool")
            lines += orphanBlocks.flatMap { painter.lines($0, indentation: "  ") } + [""]
        }
        guard !lines.isEmpty else { return "There are no pools and no blocks.\n" }
        lines.append(painter.legend)
        return lines.map { $0 + "\n" }.joined()
    }
}

private struct MapPainter {
    let isColoured: Bool

    private static let width = 64
    /// Up to here each address has a cell.
    private static let addressLimit: UInt64 = 1024

    func lines(_ pool: AddressMap.Pool) -> [String] {
        let used = pool.blocks.reduce(0) { $0 + $1.inUseCount }
        let blockCount = pool.blockCount == .max ? "2^64 or more" : "\(pool.blockCount)"
        let heading =
            "\(pool.name) \(pool.cidr): \(used) addresses in use, \(pool.blocks.count) of \(blockCount) blocks of "
            + "/\(pool.blockSize)"
        let bits = pool.cidr.family.addressBits - pool.cidr.prefixLength
        if bits < 64, 1 << UInt64(bits) <= Self.addressLimit {
            guard !pool.blocks.isEmpty else { return [heading, "  no block has been claimed"] }
            return [heading] + pool.blocks.flatMap { lines($0, indentation: "  ") }
        }
        return [heading] + blockLines(pool)
    }

    /// A row for each 64 addresses of a block.
    func lines(_ block: AddressMap.Block, indentation: String) -> [String] {
        let owner = block.affinity.map { "\($0)" } ?? "nobody"
        var lines = ["\(indentation)\(block.cidr) \(owner)"]
        if !block.borrowers.isEmpty { lines[0] += ", lent to \(block.borrowers.sorted().joined(separator: ", "))" }
        var rest = block.cells[...]
        while !rest.isEmpty {
            lines.append(indentation + "  " + row(rest.prefix(Self.width).map(cell)))
            rest = rest.dropFirst(Self.width)
        }
        return lines
    }

    /// A row for each 64 blocks, where there is one.
    private func blockLines(_ pool: AddressMap.Pool) -> [String] {
        guard !pool.blocks.isEmpty else { return ["  no block has been claimed"] }
        let width = UInt64(Self.width)
        var rows: [(start: UInt64, cells: [Cell])] = []
        for block in pool.blocks {
            let position = pool.position(of: block.cidr)
            let start = position / width * width
            if rows.last?.start != start {
                let count = min(width, pool.blockCount - start)
                rows.append((start, Array(repeating: .none, count: Int(count))))
            }
            rows[rows.count - 1].cells[Int(position - start)] = cell(block)
        }
        let labels = rows.map { pool.cidr(at: $0.start)?.address.description ?? "" }
        let labelWidth = labels.map(\.count).max() ?? 0
        var lines: [String] = []
        var expected: UInt64 = 0
        for (label, (start, cells)) in zip(labels, rows) {
            if start > expected { lines.append("  ...") }
            let padding = String(repeating: " ", count: labelWidth - label.count)
            lines.append("  \(label)\(padding)  \(row(cells))")
            expected = start + width
        }
        if expected < pool.blockCount { lines.append("  ...") }
        return lines
    }

    // MARK: Cells

    /// A letter, and the colour that says the same: a background of the 16 that every terminal has.
    struct Cell: Hashable {
        let letter: Character
        let colour: Int?

        static let none = Cell(letter: "-", colour: nil)
    }

    private func cell(_ address: AddressMap.Cell) -> Cell {
        switch address {
        case .free: Cell(letter: ".", colour: 42)
        case .inUse: Cell(letter: "#", colour: 41)
        case .coolingDown: Cell(letter: "~", colour: 43)
        case .reserved: Cell(letter: "r", colour: 45)
        }
    }

    /// How many tenths are in use.
    private func cell(_ block: AddressMap.Block) -> Cell {
        let tenths = block.inUseCount * 10 / max(1, block.cells.count)
        if tenths == 10 { return Cell(letter: "#", colour: 41) }
        return Cell(letter: Character("\(tenths)"), colour: tenths < 5 ? 42 : 43)
    }

    private func row(_ cells: [Cell]) -> String {
        guard isColoured else { return String(cells.map(\.letter)) }
        var text = ""
        var colour: Int?
        for cell in cells {
            if cell.colour != colour { text += cell.colour.map { "\u{1b}[0;30;\($0)m" } ?? "\u{1b}[0m" }
            colour = cell.colour
            text.append(cell.letter)
        }
        return colour == nil ? text : text + "\u{1b}[0m"
    }

    var legend: String {
        func sample(_ cell: Cell) -> String { row([cell]) }
        let addresses = [
            "\(sample(cell(.inUse))) in use", "\(sample(cell(.coolingDown))) cooling down",
            "\(sample(cell(.reserved))) reserved", "\(sample(cell(.free))) free",
        ]
        return "Addresses: \(addresses.joined(separator: ", ")). Blocks: 0 to 9 tenths in use, "
            + "\(sample(cell(.inUse))) full, - not claimed."
    }
}
