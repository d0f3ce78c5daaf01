import NFTables
import NetworkTypes

/// A small table with one of everything.
enum ExampleTable {
    static let table = Table(family: .ip, name: "example", comment: "an example")

    static let frontends = NamedSet(
        "frontends",
        key: [.destinationIPv4, .transport, .destinationPort],
        content: .verdict,
        comment: "what can be dialled"
    )
    static let backends = NamedSet(
        "backends",
        key: [.destinationIPv4, .transport, .destinationPort, .random(modulus: 2)],
        content: .fields([.destinationIPv4, .destinationPort])
    )
    static let hairpin = NamedSet(
        "hairpin",
        key: [.sourceIPv4, .destinationIPv4, .transport, .destinationPort]
    )
    static let addresses = NamedSet("addresses", key: [.destinationIPv4])
    static let sources = NamedSet("sources", key: [.sourceIPv4], isInterval: true)
    static let allowed = NamedSet(
        "allowed",
        key: [.sourceIPv4, .destinationIPv4, .transport, .destinationPort],
        isInterval: true
    )
    static let affinity = NamedSet(
        "affinity",
        key: [.sourceIPv4, .mark],
        content: .fields([.destinationIPv4, .destinationPort]),
        isDynamic: true,
        timeout: 10_800_000,
        size: 100_000
    )

    static func key(_ address: String, _ port: UInt16, slot: UInt32? = nil) -> Concatenation {
        var key = Concatenation()
        key.append(IPAddress(address)!)
        key.append(TransportProtocol.tcp)
        key.append(port)
        if let slot { key.append(hostOrder: slot) }
        return key
    }

    static func endpoint(_ address: String, _ port: UInt16) -> Concatenation {
        var data = Concatenation()
        data.append(IPAddress(address)!)
        data.append(port)
        return data
    }

    static func address(_ address: String) -> Concatenation {
        var key = Concatenation()
        key.append(IPAddress(address)!)
        return key
    }

    static let chains = [
        Chain("pick-2", comment: "two backends"), Chain("services"), Chain("refuse"),
        Chain("prerouting", base: Chain.Base(.nat, .prerouting, priority: -100)),
        Chain("postrouting", base: Chain.Base(.nat, .postrouting, priority: 100)),
        Chain("input", base: Chain.Base(.filter, .input, priority: 0)),
    ]

    static let rules: [Rule] = [
        Rule(
            chain: "pick-2",
            [
                .destinationAddress(.ip, into: Register(0)), .meta(.transport, into: Register(1)),
                .destinationPort(into: Register(2)), .random(modulus: 2, into: Register(3)),
                .lookup(Register(0), in: "backends", into: Register(0)),
                .destinationNAT(.ip, address: Register(0), port: Register(1)),
            ],
            comment: "choose"
        ),
        Rule(
            chain: "services",
            [
                .destinationAddress(.ip, into: Register(0)), .meta(.transport, into: Register(1)),
                .destinationPort(into: Register(2)), .verdict(of: Register(0), in: "frontends"),
            ]
        ),
        Rule(
            chain: "services",
            [
                .sourceAddress(.ip, into: Register(0)), .lookup(Register(0), in: "sources", inverted: true),
                .meta(.mark, into: Register(0)), .or(Register(0), 0x4000), .setMeta(.mark, from: Register(0)),
            ]
        ),
        Rule(
            chain: "services",
            [
                .addressType(.destination, into: Register(0)), .compare(Register(0), .equal, hostOrder: 2),
                .counter, .verdict(.goto("refuse")),
            ]
        ),
        Rule(
            chain: "services",
            [
                .sourceAddress(.ip, into: Register(0)), .meta(.mark, into: Register(1)),
                .immediate([10, 0, 0, 1], into: Register(2)), .immediate([0, 80], into: Register(3)),
                .change(.update, of: "affinity", key: Register(0), data: Register(2), timeout: 60_000),
            ]
        ),
        Rule(
            chain: "refuse",
            [
                .meta(.transport, into: Register(0)), .compare(Register(0), .equal, [6]), .reject(.tcpReset),
            ]
        ),
        Rule(chain: "refuse", [.reject(.portUnreachable(.ip))]),
        Rule(chain: "prerouting", [.verdict(.jump("services"))]),
        Rule(
            chain: "postrouting",
            [
                .meta(.mark, into: Register(0)), .and(Register(0), 0x4000),
                .compare(Register(0), .equal, hostOrder: 0x4000), .meta(.mark, into: Register(0)),
                .and(Register(0), ~0x4000), .setMeta(.mark, from: Register(0)), .masquerade(fullyRandom: true),
            ]
        ),
        Rule(
            chain: "postrouting",
            [
                .connection(.status, into: Register(0)), .and(Register(0), 0x20),
                .compare(Register(0), .notEqual, hostOrder: 0), .sourceAddress(.ip, into: Register(0)),
                .destinationAddress(.ip, into: Register(1)), .meta(.transport, into: Register(2)),
                .destinationPort(into: Register(3)), .lookup(Register(0), in: "hairpin"),
                .masquerade(fullyRandom: true),
            ]
        ),
        Rule(
            chain: "input",
            [
                .connection(.state, into: Register(0)), .and(Register(0), 8),
                .compare(Register(0), .notEqual, hostOrder: 0),
                .destinationAddress(.ip, into: Register(0)), .lookup(Register(0), in: "addresses"), .verdict(.drop),
            ]
        ),
    ]

    static let sets = [frontends, backends, hairpin, addresses, sources, allowed, affinity]

    /// Makes the whole table.
    static var creation: Transaction {
        var change = Transaction(table: table)
        change.addTable()
        for set in sets { change.add(set) }
        for chain in chains { change.add(chain) }
        for rule in rules { change.add(rule) }
        change.add(
            Element(key("10.96.0.10", 80), .verdict(.goto("pick-2")), comment: "default/web:http"),
            to: frontends
        )
        change.add(Element(key("10.96.0.10", 80, slot: 0), .data(endpoint("10.9.0.2", 8080))), to: backends)
        change.add(Element(key("10.96.0.10", 80, slot: 1), .data(endpoint("10.9.0.3", 8080))), to: backends)
        change.add(Element(address("10.96.0.10")), to: addresses)
        change.add(Element(address("10.9.0.0"), through: address("10.9.255.255")), to: sources)
        change.add(Element(address("240.0.0.0"), through: address("255.255.255.255")), to: sources)
        var start = Concatenation()
        var end = Concatenation()
        start.append(IPAddress("10.9.0.0")!)
        end.append(IPAddress("10.9.255.255")!)
        for part in ["10.96.0.10"] {
            start.append(IPAddress(part)!)
            end.append(IPAddress(part)!)
        }
        start.append(TransportProtocol.tcp)
        end.append(TransportProtocol.tcp)
        start.append(80 as UInt16)
        end.append(80 as UInt16)
        change.add(Element(start, through: end), to: allowed)
        return change
    }
}
