import ArgumentParser
import IPAM
import Reports

extension TopReport.Grouping: ExpressibleByArgument {}

extension IPAMCommand {
    struct Top: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show which nodes, namespaces or pools have the most addresses.",
            discussion: """
                The one with the most addresses in use comes first. BORROWED are those of them that are in blocks of other \
                nodes, or of nobody. BLOCKS are those that a node owns or a pool has; COOLING DOWN and FREE IN BLOCKS is \
                what else is in them. <none> stands for addresses whose records do not say it, or that are in no pool. \
                Changes nothing.

                EXAMPLES
                  swiftletctl ipam top --by namespace
                  swiftletctl ipam top --by node --pool default --limit 10 --watch
                  swiftletctl ipam top --by pool -o csv

                \(Manual.ends())
                """
        )

        @Option(help: ArgumentHelp("What to count by.", valueName: "what"))
        var by = TopReport.Grouping.node

        @Option(name: .shortAndLong, help: ArgumentHelp("How many rows to show; 0 for all.", valueName: "number"))
        var limit = 20

        @Option(help: ArgumentHelp("Only blocks of pools of this name or prefix; may be repeated.", valueName: "pool"))
        var pool: [String] = []

        @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
        var output = ReportFormat.table

        @OptionGroup var watching: WatchOptions
        @OptionGroup var store: StoreOptions

        func validate() throws {
            guard limit >= 0 else { throw ValidationError("--limit is a number of rows.") }
        }

        func run() async throws {
            try await store.use { store in
                let limit = limit == 0 ? Int.max : limit
                try await watching.show {
                    let report = try await TopReport.read(
                        by,
                        from: store,
                        UsageFilter(pools: pool),
                        leaveOut: Output.leaveOut
                    )
                    return try output.text(
                        table: { report.table($0, limit: limit) },
                        json: { report.json(limit: limit) }
                    )
                }
            }
        }
    }
}
