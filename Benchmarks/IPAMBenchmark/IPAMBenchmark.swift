import ArgumentParser
import Glibc
import Measuring

/// Measures IPAM: the allocator alone, on the local store, in a large pool, and what shows a person all of it.
@main
struct IPAMBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "IPAMBenchmark",
        abstract: "Measures the allocator, its stores, and swiftletctl.",
        discussion: """
            The core: assignments per second in this process, of blocks alone and of the whole allocator over a store in \
            memory, which reads and writes all records as JSON.

            The local store: assignments and releases one after another, each synced to the disk.

            A large pool: the first ADD of each of many nodes, by the plugin itself, in a pool 10.0.0.0/8 that is empty, and \
            in one whose first half is other nodes' blocks, so that half of the nodes have to walk over them.

            swiftletctl: what ipam show, ipam show --show-blocks and ipam check take with many blocks, on the local store and \
            on an etcd on loopback, which syncs what it writes. Blocks shown are half full, 32 addresses each on average; \
            check reads blocks with one address each, and with it an affinity, a handle and an endpoint.

            A goal that is missed is marked; what fails makes the benchmark fail. Needs root.
            """
    )

    @Option(help: "The release build of the CNI plugin.")
    var plugin: String
    @Option(help: "The release build of swiftletctl.")
    var swiftletctl: String
    @Option(help: "An existing directory on the disk that the stores shall be on; etcd's is in $TMPDIR.")
    var data: String
    @Option(help: "How many nodes take their first address of the large pool.")
    var nodes = 100
    @Option(help: "How many of its 262,144 blocks other nodes have.")
    var taken = 131_072
    @Option(help: "How many blocks swiftletctl shows and checks.")
    var blocks = 10_000
    @Option(help: "How many times it does.")
    var repetitions = 5

    func validate() throws {
        guard nodes > 0, (0..<1 << 18).contains(taken), (1...1 << 18).contains(blocks), repetitions > 0 else {
            throw ValidationError(
                "numbers are 1 or more; the large pool has 262,144 blocks, of which one has to be free"
            )
        }
    }

    func run() async throws {
        var board = Scoreboard("times are of one call; of several calls the median, unless another is named")
        await board.take("the allocator in memory") { board in try await AllocatorCore.measure(&board) }
        await board.take("the local store") { board in
            try await WarmStore(directory: "\(data)/warm").measure(&board)
        }
        for taken in Set([0, taken]).sorted() {
            let additions = FirstAdditions(
                plugin: plugin,
                directory: "\(data)/large-\(taken)",
                nodes: nodes,
                taken: taken
            )
            await board.take("first ADDs beside \(taken) blocks") { board in try await additions.measure(&board) }
        }
        let inspections = Inspections(
            program: swiftletctl,
            directory: "\(data)/inspected",
            blocks: blocks,
            repetitions: repetitions
        )
        await board.take("swiftletctl") { board in try await inspections.measure(&board) }
        print(board.text, terminator: "")
        if board.hasFailures { throw ExitCode.failure }
    }
}
