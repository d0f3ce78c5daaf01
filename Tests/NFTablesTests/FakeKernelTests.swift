import Foundation
import NetworkTypes
import TestSupport
import Testing

import class Netlink.NetworkNamespace

@testable import NFTables

/// What a kernel holds, in a form that does not depend on handles or on the order of hash tables.
struct Holdings: Hashable {
    var comment: String?
    var chains: Set<Chain> = []
    var rules: [String: [Rule]] = [:]
    var sets: Set<SetLayout> = []
    var elements: [String: Set<Element>] = [:]

    init?(of table: Table, in kernel: some NFTablesKernel) throws {
        guard let found = try kernel.table(table) else { return nil }
        comment = found.comment
        chains = Set(try kernel.chains(of: table))
        rules = Dictionary(grouping: try kernel.rules(of: table).map(\.rule), by: \.chain)
        sets = Set(try kernel.sets(of: table))
        for set in sets { elements[set.name] = Set(try kernel.elements(of: set.name, in: table)) }
    }
}

struct FakeKernelTests {
    @Test func holdsWhatItWasTold() throws {
        let fake = FakeKernel()
        try fake.commit(ExampleTable.creation)
        #expect(try fake.table(ExampleTable.table) == ExampleTable.table)
        #expect(try fake.chains(of: ExampleTable.table) == ExampleTable.chains)
        #expect(
            Set(try fake.rules(of: ExampleTable.table).map(\.rule)) == Set(ExampleTable.rules)
        )
        #expect(try fake.sets(of: ExampleTable.table) == ExampleTable.sets.map(\.layout))
        #expect(try fake.generation() == 2)
    }

    @Test(.enabled(if: isRoot)) func holdsTheSameAsTheKernel() throws {
        let namespace = try NetworkNamespace.makeContainer()
        let real = try NetfilterSocket(in: namespace)
        let fake = FakeKernel()
        try real.commit(ExampleTable.creation)
        try fake.commit(ExampleTable.creation)
        #expect(try Holdings(of: ExampleTable.table, in: fake) == Holdings(of: ExampleTable.table, in: real))
    }

    /// Random transactions, many of them wrong, on both: the same are refused for the same object and reason, and the
    /// same is held afterwards.
    @Test(.enabled(if: isRoot), arguments: 1...4 as ClosedRange<UInt64>)
    func agreesWithTheKernel(seed: UInt64) throws {
        let namespace = try NetworkNamespace.makeContainer()
        let real = try NetfilterSocket(in: namespace)
        let fake = FakeKernel()
        var random = SeededGenerator(seed: seed)
        var accepted = 0
        for step in 0..<150 {
            let change = randomTransaction(&random, holding: try fake.rules(of: ExampleTable.table))
            let expected = outcome(of: change, in: real)
            let actual = outcome(of: change, in: fake)
            #expect(actual == expected, "step \(step) of seed \(seed)")
            if expected.isEmpty { accepted += 1 }
            if step % 10 == 0 || actual != expected {
                let (fakeHolds, realHolds) = (
                    try Holdings(of: ExampleTable.table, in: fake), try Holdings(of: ExampleTable.table, in: real)
                )
                try #require(fakeHolds == realHolds, "step \(step) of seed \(seed)")
            }
        }
        #expect(accepted > 25)
    }

    /// Ranges that overlap are refused by both, in sets of one field and of several.
    @Test(.enabled(if: isRoot), arguments: 1...4 as ClosedRange<UInt64>)
    func agreesWithTheKernelOnRanges(seed: UInt64) throws {
        let namespace = try NetworkNamespace.makeContainer()
        let real = try NetfilterSocket(in: namespace)
        let fake = FakeKernel()
        try real.commit(ExampleTable.creation)
        try fake.commit(ExampleTable.creation)
        var random = SeededGenerator(seed: seed)
        var present: [(NamedSet, Element)] = []
        for step in 0..<200 {
            let first = Int.random(in: 1...40, using: &random)
            let last = min(first + Int.random(in: 0...8, using: &random), 41)
            func point(_ number: Int, _ port: UInt16?) -> Concatenation {
                var key = ExampleTable.address("172.16.0.\(number)")
                guard let port else { return key }
                key.append(IPAddress("10.0.0.1")!)
                key.append(TransportProtocol.tcp)
                key.append(port)
                return key
            }
            let isSingle = Bool.random(using: &random)
            let port: UInt16? = isSingle ? nil : .random(in: 1...2, using: &random)
            let set = isSingle ? ExampleTable.sources : ExampleTable.allowed
            var change = Transaction(table: ExampleTable.table)
            if Int.random(in: 0..<3, using: &random) == 0, let index = present.indices.randomElement(using: &random) {
                let (set, element) = present.remove(at: index)
                change.delete(element, from: set)
                try real.commit(change)
                try fake.commit(change)
                continue
            }
            let element = Element(point(first, port), through: point(last, port))
            change.add(element, to: set, exclusively: true)
            let expected = outcome(of: change, in: real)
            #expect(outcome(of: change, in: fake).isEmpty == expected.isEmpty, "step \(step): \(expected)")
            if expected.isEmpty { present.append((set, element)) }
        }
        #expect(try Holdings(of: ExampleTable.table, in: fake) == Holdings(of: ExampleTable.table, in: real))
    }

    private func outcome(of change: Transaction, in kernel: some NFTablesKernel) -> [String] {
        do {
            try kernel.commit(change)
            return []
        } catch NFTablesError.refused(let refusals) {
            return refusals.map(\.description)
        } catch {
            return ["\(error)"]
        }
    }

    private func randomTransaction(_ random: inout SeededGenerator, holding rules: [ListedRule]) -> Transaction {
        var change = Transaction(table: ExampleTable.table)
        if Int.random(in: 0..<4, using: &random) > 0 { change.addTable() }
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let chain = ["a", "b", "c", "base"].randomElement(using: &random)!
            let element = Element(
                ExampleTable.key("10.0.0.1", UInt16.random(in: 1...3, using: &random)),
                [.verdict(.drop), .verdict(.goto(chain))].randomElement(using: &random)!
            )
            let exclusively = Bool.random(using: &random)
            switch Int.random(in: 0..<16, using: &random) {
            case 0...2:
                let base = Chain.Base(.filter, .input, priority: 0)
                change.add(Chain(chain, base: chain == "base" ? base : nil), exclusively: exclusively)
            case 3: change.deleteChain(chain)
            case 4...5: change.add(ExampleTable.frontends, exclusively: exclusively)
            case 6: change.deleteSet("frontends")
            case 7...9: change.add(element, to: ExampleTable.frontends, exclusively: exclusively)
            case 10...11: change.delete(element, from: ExampleTable.frontends)
            case 12: change.replace(element, with: element, in: ExampleTable.frontends)
            case 13: change.flushSet("frontends")
            case 14:
                // Only "base" calls others, so that there are no loops.
                let target: Verdict = chain == "base" ? .jump("a") : .return
                change.add(
                    Rule(
                        chain: chain,
                        Bool.random(using: &random)
                            ? [.verdict(target)]
                            : [
                                .destinationAddress(.ip, into: Register(0)), .meta(.transport, into: Register(1)),
                                .destinationPort(into: Register(2)), .counter,
                                .lookup(Register(0), in: "allowed"), .verdict(target),
                            ],
                        comment: exclusively ? "a comment" : nil
                    )
                )
            default:
                if Int.random(in: 0..<10, using: &random) == 0 {
                    change.deleteTable()
                } else {
                    change.flushChain(chain)
                }
            }
        }
        return change
    }
}
