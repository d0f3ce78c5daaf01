import NFTables
import Testing

@testable import ServiceProxy

struct ChainNumbersTests {
    private static func pick(_ count: Int) -> PickChain {
        PickChain(marking: .never, scope: .service, isNear: false, count: count)
    }

    private static func element(_ number: UInt32, _ verdict: Verdict) -> Element {
        Element(Key.number(number), .verdict(verdict))
    }

    private let options = NFTablesOptions()

    @Test func whatWasWrittenIsReadBack() throws {
        var numbers = ChainNumbers()
        for count in 1...3 { numbers.add(Self.pick(count)) }
        numbers.remove(Self.pick(2))
        let (frontend, bySource) = numbers.elements
        var reading = ChainNumbers.Reading(
            frontend: frontend,
            bySource: bySource,
            chains: Set((1...3).map(Self.pick))
        )
        #expect(reading.numbers.chains == numbers.chains)
        #expect(reading.numbers.elements == (frontend, bySource))
        // A number that a packet may still carry is not given to another chain.
        let highest = try #require(reading.numbers.chains.keys.max())
        reading.numbers.add(Self.pick(9))
        #expect(try #require(reading.numbers[Self.pick(9)]) > highest)
    }

    @Test(
        arguments: [
            element(3, .drop), element(0, .goto("pick-1")), element(7, .goto("pick-2")), element(7, .jump("pick-1")),
            element(7, .goto("nobody's")), element(1, .goto("pick-1")), element(2, .goto("by-source")),
            element(10, .goto("pick-1")),
        ]
    )
    func whatSomeoneElseWroteIsNotTaken(_ stranger: Element) {
        let reading = ChainNumbers.Reading(
            frontend: [stranger, Self.element(9, .goto("pick-1"))],
            bySource: [Self.element(40, .goto("pick-1"))],
            chains: [Self.pick(1)]
        )
        #expect(reading.numbers.chains == [9: Self.pick(1)])
        #expect(!reading.numbers.elements.frontend.contains(stranger))
        var numbers = reading.numbers
        numbers.add(Self.pick(2))
        #expect(numbers[Self.pick(2)] == 41)
    }

    /// Whatever is done to `frontend-chains` is mended, and only what differs is written.
    @Test(
        arguments: [
            "flush", "delete by-source", "delete pick", "replace pick", "stranger", "flush by-source-chains",
        ]
    )
    func damageIsMended(_ damage: String) async throws {
        let kernel = FakeKernel()
        func backend() -> NFTablesBackend {
            NFTablesBackend(kernel: kernel, families: [.ipv4], options: options, logger: silent)
        }
        _ = try await backend().start(with: sampleFrontends)
        let table = ServiceTable(family: .ipv4, options: options)
        let map = table.maps.frontendChains
        func contents() throws -> [Set<Element>] {
            try table.maps.all.map { Set(try kernel.elements(of: $0.name, in: table.table)) }
        }
        let intact = try contents()
        let pick = try #require(
            try kernel.elements(of: map.name, in: table.table).first { $0.value == .verdict(.goto("pick-1")) }
        )
        var change = Transaction(table: table.table)
        switch damage {
        case "flush by-source-chains": change.flushSet(table.maps.bySourceChains.name)
        case "flush": change.flushSet(map.name)
        case "delete by-source": change.delete(ChainNumbers.bySourceElement(.service), from: map)
        case "delete pick": change.delete(pick, from: map)
        case "replace pick":
            change.delete(pick, from: map)
            change.add(Element(pick.key, .verdict(.drop)), to: map)
        default: change.add(Self.element(99, .goto("pick-1")), to: map)
        }
        try kernel.commit(change)
        let start = try await backend().start(with: sampleFrontends)
        #expect(start.findings == [.ipv4: .adopted])
        #expect(start.changes > 0)
        let mended = try contents()
        // A chain whose number is lost gets another.
        if ["delete by-source", "stranger", "flush by-source-chains"].contains(damage) { #expect(mended == intact) }
        #expect(zip(mended, intact).allSatisfy { $0.count == $1.count })
        #expect(try await backend().start(with: sampleFrontends).changes == 0)
    }
}
