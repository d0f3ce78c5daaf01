import NetworkTypes
import Testing

@testable import NFTables

@Suite struct PacketWalkTests {
    private let table = Table(family: .ip, name: "t")
    private let ports = NamedSet("ports", key: [.destinationPort], content: .verdict)
    private let ranges = NamedSet("ranges", key: [.sourceIPv4], isInterval: true)
    private let pairs = NamedSet("pairs", key: [.sourceIPv4, .destinationPort], isInterval: true)

    private func key(_ parts: Any...) -> Concatenation {
        var key = Concatenation()
        for part in parts {
            switch part {
            case let text as String: key.append(IPAddress(text)!)
            case let number as UInt16: key.append(number)
            default: fatalError("\(part)")
            }
        }
        return key
    }

    private func walk(
        _ rules: [Rule],
        _ bases: [Chain],
        chains: [String] = [],
        isFromHere: Bool = false,
        from source: String = "10.0.0.1",
        to destination: String = "10.0.0.2",
        port: UInt16 = 80
    ) throws -> PacketWalk {
        let kernel = FakeKernel()
        var change = Transaction(table: table)
        change.addTable()
        for set in [ports, ranges, pairs] { change.add(set) }
        for chain in ["web"] + chains { change.add(Chain(chain)) }
        for base in bases { change.add(base) }
        change.add(Element(key(80 as UInt16), .verdict(.goto("web"))), to: ports)
        change.add(Element(key("10.0.0.0"), through: key("10.0.0.9")), to: ranges)
        change.add(Element(key("10.0.1.0"), through: key("10.0.1.255")), to: ranges)
        change.add(Element(key("255.255.255.0"), through: key("255.255.255.255")), to: ranges)
        change.add(Element(key("10.0.0.0", 80 as UInt16), through: key("10.0.0.255", 80 as UInt16)), to: pairs)
        for rule in rules { change.add(rule) }
        try kernel.commit(change)
        return try PacketWalk(
            SimulatedPacket(from: IPAddress(source)!, 4000, to: IPAddress(destination)!, port, over: .tcp),
            isFromHere: isFromHere,
            through: Ruleset(table, from: kernel),
            isLocal: { $0 == IPAddress("10.0.0.9")! },
            random: { $0 - 1 }
        )
    }

    private func base(_ name: String, _ hook: Chain.Hook, _ priority: Int32 = 0, _ policy: Chain.Policy = .accept)
        -> Chain
    {
        Chain(name, base: Chain.Base(.filter, hook, priority: priority, policy: policy))
    }

    @Test func hooksAndPrioritiesAreInTheKernelsOrder() throws {
        let bases = [
            base("late", .prerouting, 10), base("early", .prerouting, -10), base("post", .postrouting),
            base("fore", .forward), base("in", .input), base("out", .output),
        ]
        let rules = bases.map { Rule(chain: $0.name, [.counter]) }
        func chains(_ isFromHere: Bool, _ destination: String) throws -> [String] {
            try walk(rules, bases, isFromHere: isFromHere, to: destination).visits.map(\.chain)
        }
        #expect(try chains(false, "10.0.0.2") == ["early", "late", "fore", "post"])
        #expect(try chains(false, "10.0.0.9") == ["early", "late", "in"])
        #expect(try chains(true, "10.0.0.2") == ["out", "post"])
        // What a node sends to itself comes in again.
        #expect(try chains(true, "10.0.0.9") == ["out", "post", "early", "late", "in"])
        #expect(try walk(rules, bases, to: "10.0.0.9").end == .delivered)
        #expect(try walk(rules, bases).end == .sent)
    }

    @Test func jumpsComeBackAndGotosDoNot() throws {
        let rules = [
            Rule(chain: "in", [.verdict(.jump("sub"))]), Rule(chain: "in", [.verdict(.goto("away"))]),
            Rule(chain: "in", [.verdict(.drop)]), Rule(chain: "sub", [.verdict(.return)]),
            Rule(chain: "sub", [.verdict(.drop)]), Rule(chain: "away", [.counter]),
        ]
        let walk = try walk(rules, [base("in", .prerouting), base("then", .prerouting, 5)], chains: ["sub", "away"])
        #expect(walk.visits.map(\.chain) == ["in", "sub", "in", "away"])
        #expect(walk.end == .sent)
    }

    @Test func policiesAndVerdictsEndPackets() throws {
        #expect(try walk([], [base("in", .forward, 0, .drop)]).end == .dropped)
        #expect(try walk([Rule(chain: "in", [.verdict(.accept)])], [base("in", .forward, 0, .drop)]).end == .sent)
        let reject = try walk([Rule(chain: "in", [.reject(.tcpReset)])], [base("in", .forward)])
        #expect(reject.end == .rejected)
        #expect(reject.visits.last?.result == .rejected(withReset: true))
    }

    @Test func setsOfEveryKindAreLookedInto() throws {
        let lookups: [(NamedSet, [Expression])] = [
            (ranges, [.sourceAddress(.ip, into: Register(0)), .lookup(Register(0), in: "ranges"), .verdict(.drop)]),
            (
                pairs,
                [
                    .sourceAddress(.ip, into: Register(0)), .destinationPort(into: Register(1)),
                    .lookup(Register(0), in: "pairs", inverted: true), .verdict(.drop),
                ]
            ),
        ]
        let cases: [(String, String, UInt16, Bool)] = [
            ("ranges", "10.0.0.0", 80, true), ("ranges", "10.0.0.9", 80, true), ("ranges", "10.0.0.10", 80, false),
            ("ranges", "9.255.255.255", 80, false), ("ranges", "10.0.1.255", 80, true),
            ("ranges", "10.0.2.0", 80, false), ("ranges", "255.255.255.255", 80, true),
            ("pairs", "10.0.0.7", 80, false), ("pairs", "10.0.0.7", 81, true), ("pairs", "10.0.1.7", 80, true),
        ]
        for (name, source, port, isDropped) in cases {
            let expressions = lookups.first { $0.0.name == name }!.1
            let walk = try walk([Rule(chain: "in", expressions)], [base("in", .forward)], from: source, port: port)
            #expect((walk.end == .dropped) == isDropped, "\(name) \(source) \(port)")
        }
        let found = try walk(
            [Rule(chain: "in", [.destinationPort(into: Register(0)), .verdict(of: Register(0), in: "ports")])],
            [base("in", .forward)]
        )
        #expect(found.visits[0].result == .verdict(.goto("web")))
        #expect(found.visits[0].lookUps == [.init(set: "ports", key: "80", element: "80 : goto web", isRandom: false)])
        #expect(found.visits[0].rule == "th dport vmap @ports")
    }

    @Test func whatItDoesNotKnowIsNamed() throws {
        let strange = Expression("limit", [:])
        // The kernel in memory does not carry expressions that libnftnl needs attributes for, so ask the walk alone.
        let error = #expect(throws: PacketWalk.Unknown.self) {
            _ = try walk([Rule(chain: "in", [strange])], [base("in", .forward)])
        }
        #expect(error?.description == "chain in has an expression that cannot be followed: limit")
    }
}
