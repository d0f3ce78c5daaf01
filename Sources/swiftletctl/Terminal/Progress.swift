import Glibc

/// A line on stderr that is written over while a person looks on; elsewhere only the last one is printed.
struct Progress {
    private static let isShown = isatty(STDERR_FILENO) == 1
    private static let interval = Duration.milliseconds(100)
    /// Removes what is left of an older, longer line.
    private static let clearing = "\u{1b}[K"

    private var shown: ContinuousClock.Instant?

    /// Shows a line, unless the last one is only just to be seen.
    mutating func show(_ text: @autoclosure () -> String) {
        guard Self.isShown else { return }
        let now = ContinuousClock.now
        guard shown.map({ now - $0 >= Self.interval }) ?? true else { return }
        shown = now
        Self.write("\r\(text())\(Self.clearing)")
    }

    /// The last line, which stays.
    mutating func end(_ text: String) {
        Self.write(Self.isShown ? "\r\(text)\(Self.clearing)\n" : "\(text)\n")
        shown = nil
    }

    /// Takes the line away.
    mutating func clear() {
        if shown != nil { Self.write("\r\(Self.clearing)") }
        shown = nil
    }

    /// Shows what is being done as long as it is.
    static func during<Value>(_ text: String, _ body: () async throws -> Value) async rethrows -> Value {
        guard isShown else { return try await body() }
        write("\r\(text) …\(clearing)")
        defer { write("\r\(clearing)") }
        return try await body()
    }

    private static func write(_ text: String) {
        var text = text
        text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
