import NetworkTypes
import Testing

@testable import ServiceProxy

/// The rules that are there whatever the Services are.
@Suite struct FixedRulesTests {
    private func rules(
        _ table: RuleTable,
        _ family: IPFamily = .ipv4,
        _ options: IPTablesOptions = IPTablesOptions()
    ) -> [String] {
        let fixed = FixedRules(table, family, options)
        let chains = (fixed.chains + fixed.tails).flatMap { chain in chain.rules.map { "\(chain.name) \($0)" } }
        return (chains + fixed.jumps.map { "\($0.chain) \($0.rule)" }).map {
            $0.replacing(#/ ?-m comment --comment "[^"]*"/#, with: "")
        }
    }

    @Test func masquerade() {
        let rules = rules(.nat, .ipv4, IPTablesOptions(masqueradeBit: 31))
        for rule in [
            "KUBE-MARK-MASQ -j MARK --set-xmark 0x80000000/0x80000000",
            "KUBE-POSTROUTING -m mark ! --mark 0x80000000/0x80000000 -j RETURN",
            "KUBE-POSTROUTING -j MARK --set-xmark 0x80000000/0x0", "KUBE-POSTROUTING -j MASQUERADE --random-fully",
            "PREROUTING -j KUBE-SERVICES", "OUTPUT -j KUBE-SERVICES", "POSTROUTING -j KUBE-POSTROUTING",
        ] { #expect(rules.contains(rule), "\(rule)") }
    }

    struct NodePorts: Sendable {
        var family = IPFamily.ipv4
        var addresses: NodePortAddresses.Selection?
        var servesLoopback = false
        let rules: [String]
    }

    @Test(arguments: [
        NodePorts(rules: ["! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL"]),
        NodePorts(servesLoopback: true, rules: ["-m addrtype --dst-type LOCAL"]),
        NodePorts(family: .ipv6, servesLoopback: true, rules: ["! -d ::1/128 -m addrtype --dst-type LOCAL"]),
        NodePorts(
            addresses: .only([address("192.0.2.2"), address("192.0.2.1"), address("127.0.0.1")]),
            rules: ["-d 192.0.2.1/32", "-d 192.0.2.2/32"]
        ),
        NodePorts(
            addresses: .only([address("192.0.2.1")]),
            servesLoopback: true,
            rules: ["-d 192.0.2.1/32", "-d 127.0.0.0/8 -m addrtype --dst-type LOCAL"]
        ),
        NodePorts(addresses: .only([]), rules: []),
    ])
    func whereNodePortsAreServed(_ sample: NodePorts) {
        var surroundings = Surroundings()
        surroundings.nodePorts[sample.family] = sample.addresses
        let options = IPTablesOptions(servesLoopback: sample.servesLoopback, surroundings)
        #expect(
            rules(.nat, sample.family, options).filter { $0.hasPrefix("KUBE-SERVICES ") }
                == sample.rules.map { "KUBE-SERVICES \($0) -j KUBE-NODEPORTS" }
        )
        let guards = rules(.filter, sample.family, options).filter { $0.contains("127.0.0.0/8") }
        #expect(guards.isEmpty != (sample.servesLoopback && sample.family == .ipv4))
    }

    @Test func whatIsForwarded() {
        let accepts = [
            "KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
            "KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ]
        let drop = "KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP"
        #expect(rules(.filter).filter { $0.hasPrefix("KUBE-FORWARD") } == [drop] + accepts)
        let liberal = IPTablesOptions(dropsInvalid: false)
        #expect(rules(.filter, .ipv6, liberal).filter { $0.hasPrefix("KUBE-FORWARD") } == accepts)
    }

    @Test func rangesOfClusterIPs() {
        let ranges: Set<CIDR> = [CIDR("10.96.0.0/16")!, CIDR("fd96::/112")!]
        let options = IPTablesOptions(Surroundings(serviceCIDRs: ranges))
        #expect(rules(.filter, .ipv6, options).filter { $0.contains("96") } == ["KUBE-SERVICES -d fd96::/112 -j DROP"])
        #expect(!rules(.nat, .ipv4, options).contains { $0.contains("10.96") })
    }
}
