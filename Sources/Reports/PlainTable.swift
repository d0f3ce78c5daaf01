/// A table as `kubectl` prints it: columns three spaces apart, and nothing behind the last word of a line.
struct PlainTable: Hashable, Sendable {
    let titles: [String]
    /// One cell for each title.
    private(set) var rows: [[String]] = []

    init(_ titles: [String]) {
        self.titles = titles
    }

    mutating func add(_ cells: [String]) {
        rows.append(titles.indices.map { $0 < cells.count ? cells[$0] : "" })
    }

    /// Every line with its newline.
    func text(margin: String = "") -> String {
        let widths = titles.indices.map { index in rows.reduce(titles[index].count) { max($0, $1[index].count) } }
        return ([titles] + rows).map { cells in
            var line = margin
            for (index, cell) in cells.enumerated() {
                line += cell + String(repeating: " ", count: widths[index] - cell.count + 3)
            }
            return line.trimmingEnd + "\n"
        }.joined()
    }
}

extension String {
    fileprivate var trimmingEnd: Substring {
        guard let last = lastIndex(where: { $0 != " " }) else { return "" }
        return self[...last]
    }
}
