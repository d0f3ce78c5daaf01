import ArgumentParser
import ClusterClient
import IPAM
import NetworkTypes
import Reports

extension IPAMCommand {
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show how many addresses are in use, or who has one.",
            discussion: """
                Without a flag, shows for each pool how many addresses it has, how many are in use (assigned, or \
                cooling down after their release), reserved, and free. Changes nothing.

                Of several flags the first of --ip, --show-blocks, --show-borrowed, --show-configuration and --map counts.

                What cannot be read is told on stderr and left out; `swiftletctl ipam check` says more.

                --pool, --node and --namespace leave only some of the rows; the numbers stay those of whole pools and blocks.

                --map draws the blocks: of a pool of up to 1024 addresses each address as a cell, of a larger one each \
                block, 64 to a row; rows without a block are left out. It has colours on a terminal, unless NO_COLOR \
                is set.

                OUTPUT
                  table  As calicoctl prints it.
                  wide   Also the pool of a block, its OWNER and NODE, and the STATE: of a
                         pool enabled or why it is not, of a block what its owner's record
                         says (confirmed, pending, pendingDeletion), unrecorded, or unowned.
                         With --ip also where the address lies.
                  csv    The columns of wide, with whole numbers.
                  json, yaml
                         For programs; numbers beyond 2^53 are text.

                EXAMPLES
                  swiftletctl ipam show --show-blocks
                  swiftletctl ipam show --show-blocks --node worker-2 -o wide
                  swiftletctl ipam show --ip 10.80.0.1 -o json
                  swiftletctl ipam show --map --watch
                  SWIFTLET_DATA_DIR=/mnt/node/var/lib/swiftlet swiftletctl ipam show

                \(Manual.ends([.notAssigned: "nobody has the address of --ip"]))
                """
        )

        @Option(help: ArgumentHelp("Show who has this address.", valueName: "address"))
        var ip: String?

        @Flag(help: "Show the blocks of each pool, and at the end those that belong to no pool.")
        var showBlocks = false

        @Flag(help: "Show the addresses that are used on another node than the one that owns their block.")
        var showBorrowed = false

        @Flag(help: "Show the settings of IPAM.")
        var showConfiguration = false

        @Flag(help: "Draw a picture of the blocks.")
        var map = false

        @Option(help: ArgumentHelp("Only pools of this name or prefix; may be repeated.", valueName: "pool"))
        var pool: [String] = []

        @Option(help: ArgumentHelp("Only blocks that this node owns or has addresses in.", valueName: "node"))
        var node: String?

        @Option(help: ArgumentHelp("Only blocks in which pods of this namespace have addresses.", valueName: "name"))
        var namespace: String?

        @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
        var output = ReportFormat.table

        @OptionGroup var watching: WatchOptions
        @OptionGroup var store: StoreOptions

        private enum Subject {
            case address(IPAddress), usage(showingBlocks: Bool), borrowed, configuration, map
        }

        private var filter: UsageFilter { UsageFilter(pools: pool, node: node, namespace: namespace) }

        func validate() throws {
            if map, output != .table { throw ValidationError("--map has no other form; use --show-blocks -o json.") }
            if !filter.isEmpty, ip != nil || (showConfiguration && !showBlocks && !showBorrowed) {
                throw ValidationError("--pool, --node and --namespace are about pools and blocks.")
            }
        }

        func run() async throws {
            let subject = try subject()
            try await store.use { store in
                var isMissing = false
                try await watching.show { try await report(subject, store, &isMissing) }
                if isMissing { throw Failure(status: .notAssigned, message: "") }
            }
        }

        private func subject() throws -> Subject {
            if let ip {
                guard let address = IPAddress(ip) else {
                    throw Failure(
                        status: .usage,
                        message: "Error executing command: invalid IP address specified: \(ip)"
                    )
                }
                return .address(address)
            }
            if showBlocks { return .usage(showingBlocks: true) }
            if showBorrowed { return .borrowed }
            if showConfiguration { return .configuration }
            return map ? .map : .usage(showingBlocks: false)
        }

        private func report(
            _ subject: Subject,
            _ store: any Datastore,
            _ isMissing: inout Bool
        ) async throws -> String {
            switch subject {
            case .address(let address):
                let report = try await AddressReport.read(address, from: store)
                isMissing = !report.isAssigned
                return try output.text(table: { $0 == .csv ? report.csv() : report.text($0) }, json: report.json)
            case .usage(let showingBlocks):
                let usage = try await IPAMUsage.read(from: store, filter, leaveOut: Output.leaveOut)
                let needsAffinities = showingBlocks && (output == .wide || output == .csv)
                let affinities = needsAffinities ? try await usage.affinityStates(from: store) : [:]
                return try output.text(
                    table: { usage.table(showingBlocks: showingBlocks, $0, affinities: affinities) },
                    json: { usage.json(showingBlocks: showingBlocks) }
                )
            case .borrowed:
                let borrowed = try await BorrowedAddresses.read(from: store, filter, leaveOut: Output.leaveOut)
                return try output.text(table: borrowed.table, json: borrowed.json)
            case .configuration:
                let record = try await store.get(IPAMConfiguration.recordKey)
                let configuration = try record.map { try IPAMConfiguration($0) } ?? IPAMConfiguration()
                return try output.text(table: configuration.table, json: configuration.json)
            case .map:
                return try await AddressMap.read(from: store, filter, leaveOut: Output.leaveOut)
                    .text(isColoured: Output.isColoured)
            }
        }
    }
}
