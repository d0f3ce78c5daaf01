import ArgumentParser

/// That a report is to be shown again and again.
struct WatchOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Go on, and show it anew when it has changed, until Ctrl-C.")
    var watch = false

    @Option(help: ArgumentHelp("How often --watch looks.", valueName: "seconds"))
    var interval = 2

    func validate() throws {
        guard (1...3600).contains(interval) else { throw ValidationError("--interval is between 1 and 3600 seconds.") }
    }

    /// Prints a report, and with `--watch` each later one that is different: on a terminal in its place, elsewhere behind
    /// it.
    func show(_ report: () async throws -> String) async throws {
        var last = try await report()
        // Clears the screen and what was scrolled out of it.
        let clearing = watch && Output.isTerminal ? "\u{1b}[H\u{1b}[2J\u{1b}[3J" : ""
        Output.print(clearing + last)
        while watch {
            try await Task.sleep(for: .seconds(interval))
            let report = try await report()
            guard report != last else { continue }
            last = report
            Output.print(clearing + report)
        }
    }
}
