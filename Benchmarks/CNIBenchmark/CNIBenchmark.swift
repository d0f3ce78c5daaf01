import ArgumentParser
import Dispatch
import Glibc
import Measuring
import Synchronization
import TestSupport

/// Measures our plugin against the reference plugins, in network namespaces that only this process knows.
@main
struct CNIBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "CNIBenchmark",
        abstract: "Measures swiftlet against the reference plugins ptp and host-local.",
        discussion: """
            In turns: each round makes a pod namespace for each contestant (swiftlet on its local store, swiftlet on an etcd \
            on loopback, the reference plugins) and calls ADD, then DEL, of all of them, the one that goes first changing \
            from round to round. Times run from before the plugin is started until it has ended.

            At once: ADD for 100 pods that all are called before the first has answered, then DEL, of swiftlet on its local \
            store and of the reference plugins, in turns. The time is that of all of them. Every answer is checked: the pods \
            have different addresses, and have them really.

            Both stores sync what they write to the disk; the reference plugins sync nothing. A goal that is missed is \
            marked; a call of swiftlet that fails makes the benchmark fail. Needs root.
            """
    )

    @Option(help: "The plugin to measure: the release build of swiftlet, stripped.")
    var plugin: String

    @Option(help: "Where the reference plugins are.")
    var reference = "/usr/lib/cni"

    @Option(help: "An existing directory on the disk that the stores shall be on; etcd's is in $TMPDIR.")
    var data: String

    @Option(help: "How many rounds in turns.")
    var rounds = 150

    @Option(help: "How many pods at once.")
    var pods = 100

    @Option(help: "How many rounds with pods at once; 0 for none.")
    var crowds = 10

    func validate() throws {
        guard rounds > 0, pods > 0, crowds >= 0 else {
            throw ValidationError("--rounds and --pods take a number of 1 or more, --crowds of 0 or more.")
        }
    }

    func run() throws {
        // First of all: etcd, the plugins and all threads are to be there.
        try enterOwnNetwork()
        let etcd = try Self.startEtcd()
        defer { etcd.stop() }
        let reference = Contestant.reference(directory: reference, data: data)
        var board = Scoreboard(
            "\(rounds) rounds in turns, \(crowds) with \(pods) pods at once; ratios to ptp with host-local"
        )
        board.take("calls in turns") { board in
            var turns = Turns([
                .local(plugin, data: "\(data)/turns"), .etcd(plugin, data: "\(data)/etcd", endpoint: etcd.endpoint),
                reference,
            ])
            try turns.play(rounds: rounds)
            board.add(turns)
        }
        if crowds > 0 {
            board.take("\(pods) pods at once") { board in
                var crowd = Crowd([.local(plugin, data: "\(data)/crowd"), reference], size: pods)
                try crowd.play(rounds: crowds)
                board.add(crowd, size: pods)
            }
        }
        board.add(Figure("the plugin's file", try Self.size(plugin), .mebibytes, goal: .atMost(45)))
        print(board.text, terminator: "")
        if board.hasFailures { throw ExitCode.failure }
    }

    /// An etcd that syncs what it writes, as etcd does when nobody says otherwise.
    private static func startEtcd() throws -> EtcdServer {
        // The last one counts, and tests say otherwise.
        try waiting { try await EtcdServer("--unsafe-no-fsync=false") }
    }

    /// Runs asynchronous work while the main thread, which alone may start what is measured, waits.
    private static func waiting<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
        let result = Mutex<Result<Value, any Error>?>(nil)
        let end = DispatchSemaphore(value: 0)
        Task {
            do {
                let value = try await body()
                result.withLock { $0 = .success(value) }
            } catch {
                result.withLock { $0 = .failure(error) }
            }
            end.signal()
        }
        end.wait()
        guard let result = result.withLock({ $0 }) else { throw BenchmarkFailure("no result") }
        return try result.get()
    }

    private static func size(_ path: String) throws -> Double {
        var status = stat()
        guard stat(path, &status) == 0 else { throw BenchmarkFailure(call: "stat of \(path)") }
        return Double(status.st_size) / 1_048_576
    }
}
