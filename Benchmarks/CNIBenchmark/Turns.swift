import Measuring
import Netlink

/// Calls of all contestants, one at a time and in turns, the one that goes first changing from round to round.
struct Turns {
    /// What one contestant took.
    struct Score {
        fileprivate(set) var add: [Cost] = []
        fileprivate(set) var delete: [Cost] = []
        fileprivate(set) var version: [Cost] = []
        /// Of ADD, in MiB.
        fileprivate(set) var peakResident = 0.0
    }

    private let contestants: [Contestant]
    private(set) var scores: [Score]

    init(_ contestants: [Contestant]) {
        self.contestants = contestants
        scores = contestants.map { _ in Score() }
    }

    /// The first few rounds warm the caches and tell how much memory ADD takes; their times are not counted.
    mutating func play(rounds: Int) throws {
        let warming = 5
        for round in 0..<warming + rounds { try play(round, counted: round >= warming) }
    }

    private mutating func play(_ round: Int, counted: Bool) throws {
        let container = "turn-\(round)"
        let pods = try contestants.map { _ in try NetworkNamespace.create() }
        let order = contestants.indices.map { ($0 + round) % contestants.count }
        var results = contestants.map { _ in "" }
        for index in order {
            let outcome = try contestants[index].add(container, pods[index]).finish(watchingMemory: !counted)
            _ = try PodCheck.address(outcome, pods[index])
            results[index] = outcome.output
            scores[index].peakResident = max(scores[index].peakResident, outcome.peakResident)
            if counted { scores[index].add.append(outcome.cost) }
        }
        for index in order {
            let outcome = try contestants[index].delete(container, pods[index], result: results[index]).finish()
            try PodCheck.requireGone(outcome, pods[index])
            if counted { scores[index].delete.append(outcome.cost) }
        }
        for index in order {
            let outcome = try contestants[index].version().finish()
            try PodCheck.requireSuccess(outcome, "VERSION")
            if counted { scores[index].version.append(outcome.cost) }
        }
    }
}
