import ClusterClient
import Measuring
import Stores
import TestSupport

/// What a person waits for who asks `swiftletctl` about many blocks.
struct Inspections {
    let program: String
    let directory: String
    let blocks: Int
    let repetitions: Int

    private struct Command {
        let words: [String]
        let proof: Proof

        var name: String { words.joined(separator: " ") }
    }

    /// What tells that a command has seen all that there is.
    private enum Proof {
        case text(String)
        case lines(Int)
        /// A text in its JSON form; the table rounds.
        case json(String)
    }

    func measure(_ board: inout Scoreboard) async throws {
        let halfFull = OtherNodes(blocks: blocks) { $0 % 65 }
        let inUse = (0..<blocks).reduce(0) { $0 + halfFull.inUse($1) }
        let complete = OtherNodes(blocks: blocks, inUse: { _ in 1 }, isComplete: true)
        let show = [
            Command(words: ["ipam", "show"], proof: .json("\"ipsInUse\": \(inUse),")),
            Command(words: ["ipam", "show", "--show-blocks"], proof: .lines(blocks)),
        ]
        let check = [Command(words: ["ipam", "check"], proof: .text("found 0 problems"))]
        for (number, (nodes, commands)) in [(halfFull, show), (complete, check)].enumerated() {
            let directory = "\(directory)-\(number)"
            try await nodes.write(toLocalStore: directory)
            try measure(
                &board,
                commands,
                on: "local store",
                [
                    "DATASTORE_TYPE": "local", "SWIFTLET_DATA_DIR": directory,
                ]
            )
            // The last one counts; tests do without syncing.
            let etcd = try await EtcdServer("--unsafe-no-fsync=false")
            defer { etcd.stop() }
            let environment = ["DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": etcd.endpoint]
            try await nodes.write(to: StoreSelection(environment: environment).open(program: "IPAMBenchmark"))
            try measure(&board, commands, on: "etcd", environment)
        }
    }

    private func measure(
        _ board: inout Scoreboard,
        _ commands: [Command],
        on name: String,
        _ environment: [String: String]
    ) throws {
        let variables = environment.map { "\($0.key)=\($0.value)" }
        for command in commands {
            // The first fills the caches, and tells the memory that it takes.
            let peak = try run(command.words, variables, watchingMemory: true).peakResident
            try prove(command, variables)
            let outcomes = try (0..<repetitions).map { _ in try run(command.words, variables) }
            let times = Percentiles(outcomes.map(\.milliseconds))
            let cpu = Percentiles(outcomes.map(\.cpu))
            board.add(
                Figure(
                    "\(command.name), \(blocks) blocks, \(name)",
                    times.p50,
                    .milliseconds,
                    goal: .atMost(1000),
                    detail: "CPU \(Figure.Unit.milliseconds.text(cpu.p50)), "
                        + "peak memory \(Figure.Unit.mebibytes.text(peak))"
                )
            )
        }
    }

    private func prove(_ command: Command, _ environment: [String]) throws {
        var words = command.words
        if case .json = command.proof { words += ["-o", "json"] }
        let output = try run(words, environment).output
        let isProof =
            switch command.proof {
            case .text(let text), .json(let text): output.contains(text)
            case .lines(let count): output.count { $0 == "\n" } >= count
            }
        guard isProof else {
            throw BenchmarkFailure("swiftletctl \(command.name) does not say \(command.proof): \(output.suffix(1000))")
        }
    }

    private func run(
        _ words: [String],
        _ environment: [String],
        watchingMemory: Bool = false
    ) throws -> ProgramRun.Outcome {
        let outcome = try ProgramRun(program, words, environment: environment).finish(watchingMemory: watchingMemory)
        guard outcome.status == 0 else {
            throw BenchmarkFailure(
                "swiftletctl \(words.joined(separator: " ")) ended with \(outcome.status): \(outcome.output.suffix(1000))"
            )
        }
        return outcome
    }
}
