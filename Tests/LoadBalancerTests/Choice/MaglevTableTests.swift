import NetworkTypes
import TestSupport
import Testing

@testable import LoadBalancer

/// The two properties that the paper promises, on random sets of targets.
struct MaglevTableTests {
    private static func targets(_ count: Int, seed: UInt64) -> [TransportAddress] {
        var random = SeededGenerator(seed: seed)
        var all: Set<TransportAddress> = []
        while all.count < count {
            let address = IPAddress.v4(IPv4Address(bits: 0x0a00_0000 | UInt32.random(in: 0..<1 << 24, using: &random)))
            all.insert(TransportAddress(address, UInt16.random(in: 1...65_535, using: &random)))
        }
        return all.shuffled(using: &random)
    }

    private static func shares(_ table: MaglevTable, _ count: Int) -> [Int] {
        table.slots.reduce(into: Array(repeating: 0, count: count)) { $0[Int($1)] += 1 }
    }

    @Test(arguments: [1, 2, 3, 10, 100, 163, 164, 500])
    func targetsHaveNearlyEqualShares(count: Int) {
        for seed in UInt64(1)...5 {
            let targets = Self.targets(count, seed: seed)
            let shares = Self.shares(MaglevTable(targets), count)
            // They take turns, and nobody has two turns more than another.
            #expect(shares.max()! - shares.min()! <= 1, "\(count) targets, seed \(seed): \(shares)")
        }
    }

    @Test(arguments: [2, 3, 10, 50, 150])
    func aTargetThatGoesMovesFewOthers(count: Int) {
        for seed in UInt64(1)...5 {
            let targets = Self.targets(count, seed: seed)
            let gone = Int(seed) % count
            let left = targets.enumerated().filter { $0.offset != gone }.map(\.element)
            let (before, after) = (MaglevTable(targets), MaglevTable(left))
            let moved = zip(before.slots, after.slots).filter { old, new in
                Int(old) != gone && targets[Int(old)] != left[Int(new)]
            }.count
            // The paper measures a few percent of needless moves; a plain modulus would move nearly everything.
            #expect(Double(moved) / Double(before.size) < 0.05, "\(count) targets, seed \(seed): \(moved) slots")
        }
    }

    @Test
    func theOrderOfTargetsDoesNotMatter() {
        let targets = Self.targets(20, seed: 7)
        let other = targets.sorted()
        let (first, second) = (MaglevTable(targets), MaglevTable(other))
        #expect(first.slots.map { targets[Int($0)] } == second.slots.map { other[Int($0)] })
    }

    @Test
    func aClientWhoseTargetRestsGetsAnotherAndTheOthersStay() {
        let targets = Self.targets(10, seed: 3)
        let table = MaglevTable(targets)
        for number in UInt32(0)..<500 {
            let client = IPAddress.v4(IPv4Address(bits: 0xc0a8_0000 + number))
            let usual = table.target(of: client) { _ in true }
            let without4 = table.target(of: client) { $0 != 4 }
            #expect(usual == 4 ? without4 != 4 && without4 != nil : without4 == usual)
        }
    }

    @Test
    func withoutTargetsThereIsNone() {
        #expect(MaglevTable([]).target(of: .v4(.loopback)) { _ in true } == nil)
        #expect(MaglevTable(Self.targets(3, seed: 1)).target(of: .v4(.loopback)) { _ in false } == nil)
    }
}
