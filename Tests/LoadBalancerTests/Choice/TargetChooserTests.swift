import NetworkTypes
import TestSupport
import Testing

@testable import LoadBalancer

/// How the targets of one group are chosen. Time and chance are given.
struct TargetChooserTests {
    private var chooser = TargetChooser()
    private var random = SeededGenerator(seed: 42)
    private let start = ContinuousClock.now
    private let targets = (1...4).map { TransportAddress(.v4(IPv4Address(10, 9, 0, $0)), 8080) }

    private static func client(_ number: UInt32) -> IPAddress { .v4(IPv4Address(bits: 0xac10_0000 + number)) }

    private func question(
        _ algorithm: Balancing.Algorithm,
        affinity: Duration? = nil,
        without gone: TransportAddress? = nil,
        memory: UInt8 = 0
    ) -> TargetChooser.Question {
        TargetChooser.Question(
            TargetList(targets.filter { $0 != gone }, memory: memory),
            Balancing(algorithm: algorithm, affinityTimeout: affinity)
        )
    }

    private mutating func choose(
        _ question: TargetChooser.Question,
        for client: UInt32 = 1,
        tried: [TransportAddress] = [],
        after: Duration = .zero
    ) -> TransportAddress? {
        chooser.choose(question, for: Self.client(client), tried: tried, at: start + after, using: &random)
    }

    @Test(arguments: Balancing.Algorithm.allCases)
    mutating func everyTargetIsTriedBeforeAClientIsRefused(algorithm: Balancing.Algorithm) {
        let question = question(algorithm)
        var tried: [TransportAddress] = []
        while let target = choose(question, tried: tried) { tried.append(target) }
        #expect(tried.count == targets.count && Set(tried) == Set(targets))
    }

    @Test(arguments: Balancing.Algorithm.allCases)
    mutating func aRestingTargetIsUsedOnlyWhenNoOtherIsLeft(algorithm: Balancing.Algorithm) {
        _ = chooser.failed(targets[0], at: start)
        for client in UInt32(0)..<200 { #expect(choose(question(algorithm), for: client) != targets[0]) }
        #expect(choose(question(algorithm), tried: Array(targets[1...])) == targets[0])
        let later = (UInt32(0)..<400).map { choose(question(algorithm), for: $0, after: .seconds(2)) }
        #expect(later.contains(targets[0]))
    }

    @Test
    mutating func randomChoiceIsEven() {
        let question = question(.random)
        var counts: [TransportAddress: Int] = [:]
        for _ in 0..<8000 { counts[choose(question)!, default: 0] += 1 }
        // 2000 expected, with a standard deviation of 39.
        for target in targets { #expect(abs(counts[target, default: 0] - 2000) < 200, "\(counts)") }
    }

    @Test
    mutating func roundRobinTakesTurns() {
        let question = question(.roundRobin)
        let first = (0..<4).map { _ in choose(question)! }
        #expect(Set(first) == Set(targets))
        #expect((0..<4).map { _ in choose(question)! } == first)
    }

    @Test
    mutating func leastConnectionsFollowsTheLoads() {
        let question = question(.leastConnections)
        for _ in 0..<40 { chooser.opened(choose(question)!) }
        #expect(targets.allSatisfy { chooser.load(of: $0) == 10 })
        for _ in 0..<5 { chooser.closed(targets[2]) }
        for _ in 0..<5 {
            #expect(choose(question) == targets[2])
            chooser.opened(targets[2])
        }
        #expect(targets.allSatisfy { chooser.load(of: $0) == 10 })
    }

    @Test
    mutating func maglevKeepsAClientWithItsTarget() {
        let all = question(.maglev)
        let less = question(.maglev, without: targets[3])
        var moved = 0
        for client in UInt32(0)..<400 {
            let target = choose(all, for: client)!
            #expect(choose(all, for: client) == target)
            if target != targets[3], choose(less, for: client) != target { moved += 1 }
        }
        #expect(moved < 20)
    }

    // SA-1: a client stays for the timeout since its last connection, not since its first.
    @Test
    mutating func affinityLastsFromTheLastConnection() {
        let question = question(.roundRobin, affinity: .seconds(10))
        let target = choose(question)
        for second in stride(from: 9, through: 45, by: 9) {
            #expect(choose(question, after: .seconds(second)) == target)
        }
        #expect(choose(question, after: .seconds(56)) != target)
        #expect(choose(question, for: 2, after: .seconds(56)) != choose(question, for: 3, after: .seconds(56)))
    }

    @Test
    mutating func affinityForgetsATargetThatIsGoneOrFails() {
        let question = question(.roundRobin, affinity: .seconds(100))
        let first = choose(question)!
        let second = choose(self.question(.roundRobin, affinity: .seconds(100), without: first))!
        #expect(second != first)
        #expect(choose(question) == second)
        _ = chooser.failed(second, at: start)
        let third = choose(question, tried: [second])!
        #expect(third != second)
        // It stays with the one that served it, though the other may serve again.
        #expect(choose(question, after: .seconds(50)) == third)
    }

    // SA-5: lists of another kind remember for themselves.
    @Test
    mutating func memoriesAreApart() {
        let far = question(.roundRobin, affinity: .seconds(100))
        let near = question(.roundRobin, affinity: .seconds(100), memory: 1)
        let target = choose(far)
        #expect(choose(near) != target)
        #expect(choose(far) == target)
    }

    @Test
    func restsGrowAndEndWithASuccess() {
        var health = TargetHealth()
        var now = start
        var rests: [Duration] = []
        for _ in 0..<8 {
            let rest = health.failed(targets[0], at: now)!
            #expect(health.failed(targets[0], at: now) == nil)
            #expect(health.isResting(targets[0], at: now + rest - .milliseconds(1)))
            #expect(!health.isResting(targets[0], at: now + rest))
            rests.append(rest)
            now += rest
        }
        #expect(rests == [1, 2, 4, 8, 16, 32, 60, 60].map { .seconds($0) })
        health.succeeded(targets[0])
        #expect(health.isPerfect && health.failed(targets[0], at: now) == .seconds(1))
    }

    @Test
    func whatIsOverIsForgotten() {
        var memory = AffinityMemory()
        for number in UInt32(0)..<100_000 {
            let client = AffinityMemory.Client(address: Self.client(number), memory: 0)
            memory.note(client, at: targets[0], timeout: .seconds(1), start + .milliseconds(number))
        }
        #expect(memory.count <= 2048 + 1)
    }

    @Test
    func memoryIsBounded() {
        var memory = AffinityMemory()
        func note(_ number: UInt32, after: Duration) {
            let client = AffinityMemory.Client(address: Self.client(number), memory: 0)
            memory.note(client, at: targets[0], timeout: .seconds(60), start + after)
        }
        for number in UInt32(0)..<140_000 { note(number, after: .zero) }
        #expect(memory.count == AffinityMemory.limit)
        // One that is remembered stays so.
        note(0, after: .seconds(50))
        let first = AffinityMemory.Client(address: Self.client(0), memory: 0)
        #expect(memory.target(of: first, within: .seconds(60), at: start + .seconds(70)) == targets[0])
        note(200_000, after: .seconds(70))
        #expect(memory.count == 2)
    }
}
