/// How a table is written.
public enum TableForm: Hashable, Sendable {
    /// As calicoctl prints it.
    case narrow
    /// With columns that calicoctl does not have.
    case wide
    /// The columns of the wide form as RFC 4180 has them; numbers are whole.
    case csv
}

/// A boxed table as calicoctl prints it: a heading, left-aligned, and rows whose columns are aligned each on its own.
public struct Table: Hashable, Sendable {
    public enum Alignment: Hashable, Sendable {
        case left, right
    }

    public struct Column: Hashable, Sendable {
        public let title: String
        public let alignment: Alignment

        public init(_ title: String, _ alignment: Alignment = .left) {
            self.title = title
            self.alignment = alignment
        }
    }

    public let columns: [Column]
    /// One cell for each column.
    public private(set) var rows: [[String]] = []

    public init(_ columns: [Column]) {
        self.columns = columns
    }

    /// Adds a row; cells that are missing are empty, and those beyond the last column are dropped.
    public mutating func add(_ cells: [String]) {
        rows.append(columns.indices.map { $0 < cells.count ? cells[$0] : "" })
    }

    /// The text, every line with its newline.
    public var text: String {
        let widths = columns.indices.map { index in
            rows.reduce(columns[index].title.count) { max($0, $1[index].count) }
        }
        let rule = "+" + widths.map { String(repeating: "-", count: $0 + 2) + "+" }.joined() + "\n"
        func line(_ cells: [String], _ alignments: [Alignment]) -> String {
            let padded = columns.indices.map { index in
                let padding = String(repeating: " ", count: widths[index] - cells[index].count)
                return alignments[index] == .left ? cells[index] + padding : padding + cells[index]
            }
            return "|" + padded.map { " \($0) |" }.joined() + "\n"
        }
        let heading = line(columns.map(\.title), columns.map { _ in .left })
        let body = rows.map { line($0, columns.map(\.alignment)) }.joined()
        return rule + heading + rule + body + rule
    }

    /// The text in a form; what is in the columns is whoever's who made the table.
    public func text(_ form: TableForm) -> String {
        form == .csv ? commaSeparated([columns.map(\.title)] + rows) : text
    }
}

/// Rows as RFC 4180 has them, but that lines end as those of every other report do.
func commaSeparated(_ rows: [[String]]) -> String {
    rows.map { row in
        row.map { cell in
            guard cell.contains(where: { ",\"\n\r".contains($0) }) else { return cell }
            return "\"" + cell.replacing("\"", with: "\"\"") + "\""
        }.joined(separator: ",") + "\n"
    }.joined()
}
