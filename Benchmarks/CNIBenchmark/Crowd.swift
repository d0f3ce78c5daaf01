import Glibc
import Measuring
import Netlink
import NetworkTypes

/// Many pods at once: how long until all of them have their network, and until all have lost it again.
///
/// Each has a namespace of its own, made before the clock is started; the contestants take turns.
struct Crowd {
    /// What one contestant took for all pods.
    struct Score {
        fileprivate(set) var add: [Cost] = []
        fileprivate(set) var delete: [Cost] = []
        fileprivate(set) var calls = 0
        fileprivate(set) var failures: [String] = []
    }

    private let contestants: [Contestant]
    private let size: Int
    private(set) var scores: [Score]

    init(_ contestants: [Contestant], size: Int) {
        self.contestants = contestants
        self.size = size
        scores = contestants.map { _ in Score() }
    }

    /// The first round is not counted.
    mutating func play(rounds: Int) throws {
        let pods = try contestants.map { _ in try (0..<size).map { _ in try NetworkNamespace.create() } }
        for round in 0...rounds {
            let order = contestants.indices.map { ($0 + round) % contestants.count }
            var results = contestants.map { _ in [String?](repeating: nil, count: size) }
            for index in order {
                let cost = try add(index, round, pods[index], &results[index])
                if round > 0 { scores[index].add.append(cost) }
                settle()
            }
            for index in order {
                let cost = try delete(index, round, pods[index], results[index])
                if round > 0 { scores[index].delete.append(cost) }
                settle()
            }
        }
    }

    private mutating func add(
        _ index: Int,
        _ round: Int,
        _ pods: [NetworkNamespace],
        _ results: inout [String?]
    ) throws -> Cost {
        let contestant = contestants[index]
        let (cost, outcomes) = try run(pods) { try contestant.add("crowd-\(round)-\($0)", pods[$0]) }
        var seen: Set<IPAddress> = []
        for (number, outcome) in outcomes.enumerated() {
            if outcome.status == 0 { results[number] = outcome.output }
            count(index) {
                let address = try PodCheck.address(outcome, pods[number])
                guard seen.insert(address).inserted else { throw BenchmarkFailure("\(address) was given twice") }
            }
        }
        return cost
    }

    private mutating func delete(
        _ index: Int,
        _ round: Int,
        _ pods: [NetworkNamespace],
        _ results: [String?]
    ) throws -> Cost {
        let contestant = contestants[index]
        let (cost, outcomes) = try run(pods) {
            try contestant.delete("crowd-\(round)-\($0)", pods[$0], result: results[$0])
        }
        for (number, outcome) in outcomes.enumerated() {
            count(index) { try PodCheck.requireGone(outcome, pods[number]) }
        }
        return cost
    }

    /// Starts a call for each pod, and waits for them all.
    private func run(
        _ pods: [NetworkNamespace],
        _ start: (Int) throws -> ProgramRun
    ) throws -> (Cost, [ProgramRun.Outcome]) {
        let begin = monotonicMilliseconds()
        let runs = try pods.indices.map(start)
        let outcomes = try runs.map { try $0.finish() }
        let wall = monotonicMilliseconds() - begin
        return (Cost(wall: wall, cpu: outcomes.reduce(0) { $0 + $1.cpu }), outcomes)
    }

    private mutating func count(_ index: Int, _ check: () throws -> Void) {
        scores[index].calls += 1
        do { try check() } catch { scores[index].failures.append("\(error)") }
    }

    /// The kernel takes links apart for a while after they are gone; the next one must not pay for it.
    private func settle() { usleep(300_000) }
}
