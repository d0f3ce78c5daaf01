import ArgumentParser
import ClusterClient
import IPAM
import NetworkTypes
import Reports

struct IPAMCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ipam",
        abstract: "Look at the assignment of addresses, and put it right.",
        subcommands: [
            Show.self, Explain.self, Check.self, Collect.self, Release.self, Configure.self, Split.self,
        ]
    )
}

extension IPAMCommand {
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show how many addresses are in use, or who has one.",
            discussion: """
                Without a flag, shows for each pool how many addresses it has, how many are in use (assigned, or \
                cooling down after their release), reserved, and free. Changes nothing.

                Of several flags the first of --ip, --show-blocks, --show-borrowed, --show-configuration and --map counts.

                --map draws the blocks: of a pool of up to 1024 addresses each address as a cell, of a larger one each \
                block, 64 to a row; rows without a block are left out. It has colours on a terminal, unless NO_COLOR \
                is set.

                EXAMPLES
                  swiftletctl ipam show --show-blocks
                  swiftletctl ipam show --ip 10.80.0.1 -o json
                  swiftletctl ipam show --map
                  SWIFTLET_DATA_DIR=/mnt/node/var/lib/swiftlet swiftletctl ipam show
                """
        )

        @Option(help: ArgumentHelp("Show who has this address. Exits 4 when nobody has.", valueName: "address"))
        var ip: String?

        @Flag(help: "Show the blocks of each pool, and at the end those that belong to no pool.")
        var showBlocks = false

        @Flag(help: "Show the addresses that are used on another node than the one that owns their block.")
        var showBorrowed = false

        @Flag(help: "Show the settings of IPAM.")
        var showConfiguration = false

        @Flag(help: "Draw a picture of the blocks.")
        var map = false

        @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
        var output = ReportFormat.table

        func validate() throws {
            if map, output != .table { throw ValidationError("--map has no other form; use --show-blocks -o json.") }
        }

        /// The address to look for, if one is.
        private func address() throws -> IPAddress? {
            guard let ip else { return nil }
            guard let address = IPAddress(ip) else {
                throw Failure(status: .usage, message: "Error executing command: invalid IP address specified: \(ip)")
            }
            return address
        }

        func run() async throws {
            let address = try address()
            let store = try Store.open()
            try await Failure.translating {
                if let address {
                    let report = try await AddressReport.read(address, from: store)
                    try Output.print(output, table: report.text, json: report.json())
                    if !report.isAssigned { throw Failure(status: .notAssigned, message: "") }
                } else if showBlocks || !(showBorrowed || showConfiguration || map) {
                    let usage = try await IPAMUsage.read(from: store)
                    try Output.print(
                        output,
                        table: usage.table(showingBlocks: showBlocks),
                        json: usage.json(showingBlocks: showBlocks)
                    )
                } else if showBorrowed {
                    let borrowed = try await BorrowedAddresses.read(from: store)
                    try Output.print(output, table: borrowed.table, json: borrowed.json())
                } else if map, !showConfiguration {
                    Output.print(try await AddressMap.read(from: store).text(isColoured: Output.isColoured))
                } else {
                    let record = try await store.get(IPAMConfiguration.recordKey)
                    let configuration = try record.map { try IPAMConfiguration($0) } ?? IPAMConfiguration()
                    try Output.print(output, table: configuration.table, json: configuration.json())
                }
            }
        }
    }
}
