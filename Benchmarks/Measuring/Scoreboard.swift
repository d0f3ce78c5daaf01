import Glibc

/// Figures beside their goals, as one table.
public struct Scoreboard: Sendable {
    private let title: String
    private let loadBefore = Self.load
    private var figures: [Figure] = []
    /// What failed of the things measured, each with a count.
    private var failures: [String] = []
    private var remarks: [String] = []

    public init(_ title: String) {
        self.title = title
    }

    public mutating func add(_ figure: Figure) { figures.append(figure) }

    /// Takes note of a failure of what is measured, which a figure must not hide.
    public mutating func add(failure: String) { failures.append(failure) }

    /// Takes the figures of one part; when it fails, the others are still worth to be seen.
    public mutating func take(_ part: String, _ measure: (inout Scoreboard) async throws -> Void) async {
        Self.tell(part)
        do { try await measure(&self) } catch { add(failure: "\(part): \(error)") }
    }

    /// As the other, where nothing is waited for.
    public mutating func take(_ part: String, _ measure: (inout Scoreboard) throws -> Void) {
        Self.tell(part)
        do { try measure(&self) } catch { add(failure: "\(part): \(error)") }
    }

    /// For who waits.
    private static func tell(_ part: String) {
        let line = Array("measuring: \(part)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }

    /// Takes note of something to know about the figures.
    public mutating func add(remark: String) { remarks.append(remark) }

    public var hasFailures: Bool { !failures.isEmpty }

    public var text: String {
        let rows =
            [["", "goal", "measured", "", ""]]
            + figures.map { figure in
                let verdict = figure.isReached.map { $0 ? "reached" : "MISSED" } ?? ""
                return [figure.name, figure.goalText, figure.unit.text(figure.value), verdict, figure.detail]
            }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            let cells = row.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return [1, 2].contains(column) ? padding + row[column] : row[column] + padding
            }
            return cells.joined(separator: "  ").droppingTrailingSpaces
        }
        let load = "load average: \(loadBefore) before, \(Self.load) after"
        let notes = failures.map { "FAILED: \($0)" } + remarks
        return ([title, load, ""] + lines + notes).joined(separator: "\n") + "\n"
    }

    /// How many wanted to run in the last minute, this benchmark among them.
    private static var load: String {
        var averages = [0.0, 0.0, 0.0]
        return getloadavg(&averages, 1) == 1 ? averages[0].text(digits: 1) : "unknown"
    }
}

extension String {
    fileprivate var droppingTrailingSpaces: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
