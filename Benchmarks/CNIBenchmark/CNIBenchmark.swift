import ArgumentParser
import Glibc
import Netlink

/// Measures ADD and DEL of our plugin against the reference plugins, in network namespaces that only this process knows.
@main
struct CNIBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "CNIBenchmark",
        abstract: "Measures swiftlet against the reference plugins ptp and host-local.",
        discussion: """
            Each round makes two pod namespaces and calls ADD, then DEL, of both plugins in turn, the one that goes first \
            changing from round to round. Times run from before the plugin is started until it has ended. Needs root.
            """
    )

    @Option(help: "The plugin to measure: the release build of swiftlet.")
    var plugin: String

    @Option(help: "Where the reference plugins are.")
    var reference = "/usr/lib/cni"

    @Option(help: "An existing directory on the disk that the stores shall be on.")
    var data: String

    @Option(help: "How many rounds.")
    var rounds = 200

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds takes a number of 1 or more.") }
    }

    func run() throws {
        let host = try NetworkNamespace.create()
        let (plugin, reference, data, rounds) = (plugin, reference, data, rounds)
        let report = try host.run {
            var contest = Contest(
                ours: .swiftlet(plugin, data: data),
                theirs: .reference(directory: reference, data: data)
            )
            for round in 0..<5 { try contest.play(round, counted: false) }
            for round in 5..<rounds + 5 { try contest.play(round, counted: true) }
            return contest.report
        }
        print(report, terminator: "")
    }
}

/// All rounds and what they measured.
struct Contest {
    /// What one plugin took.
    struct Score {
        var add = Samples()
        var delete = Samples()
        var version = Samples()
        var peakResident = 0
    }

    let contestants: [Contestant]
    private var scores: [Score]

    init(ours: Contestant, theirs: Contestant) {
        contestants = [ours, theirs]
        scores = [Score(), Score()]
    }

    /// One round. The first few warm the caches and tell how much memory ADD takes; their times are not counted.
    mutating func play(_ round: Int, counted: Bool) throws {
        let order = round.isMultiple(of: 2) ? [0, 1] : [1, 0]
        let pods = [try NetworkNamespace.create(), try NetworkNamespace.create()]
        var results = ["", ""]
        for index in order {
            let outcome = try contestants[index].add("bench-\(round)", pods[index], watchingMemory: !counted)
            results[index] = outcome.output
            scores[index].peakResident = max(scores[index].peakResident, outcome.peakResident)
            if counted { scores[index].add.add(outcome.milliseconds) }
        }
        for index in order {
            let outcome = try contestants[index].delete("bench-\(round)", pods[index], result: results[index])
            if counted { scores[index].delete.add(outcome.milliseconds) }
        }
        for index in order {
            let outcome = try contestants[index].version()
            if counted { scores[index].version.add(outcome.milliseconds) }
        }
    }

    var report: String {
        let (ours, theirs) = (scores[0], scores[1])
        func row(_ name: String, _ ours: Samples, _ theirs: Samples) -> String {
            let ratio = ours.percentile(0.5) / theirs.percentile(0.5)
            return "| \(name) | \(ours.summary) | \(theirs.summary) | \(Samples.text(ratio)) |\n"
        }
        return "\(ours.add.values.count) rounds; milliseconds, median / 95th percentile\n\n"
            + "| call | swiftlet, local store | ptp with host-local | ratio of medians |\n| --- | --- | --- | --- |\n"
            + row("ADD", ours.add, theirs.add)
            + row("DEL", ours.delete, theirs.delete)
            + row("VERSION", ours.version, theirs.version)
            + "\nLargest resident set during ADD: \(ours.peakResident) KiB against \(theirs.peakResident) KiB\n"
    }
}
