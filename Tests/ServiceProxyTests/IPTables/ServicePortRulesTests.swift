import KubernetesAPI
import NetworkTypes
import Testing

@testable import ServiceProxy

/// The text of rules for each combination of policies, from a Service through the planner.
@Suite struct ServicePortRulesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        var service = ServicePortRulesTests.web
        var endpoints = ["10.9.0.1 here", "10.9.1.1 there"]
        var masqueradeAll = false
        var sources = LocalSources.within([CIDR("10.9.0.0/16")!])
        /// `CHAIN RULE`, without comments, `-m tcp` and hashes; `SEP1` is the chain of the first endpoint.
        let nat: [String]
        var filter: [String] = []

        var testDescription: String { name }
    }

    static let web = service(type: .nodePort, ports: [Service.Port(name: "http", port: 80, nodePort: 30080)])
    static func web(_ adjust: (inout Service) -> Void) -> Service {
        var service = web
        adjust(&service)
        return service
    }

    private static let picks = ["SVC -m statistic --mode random --probability 0.50000000000 -j SEP1", "SVC -j SEP2"]
    private static let endpoints = [
        "SEP1 -s 10.9.0.1/32 -j KUBE-MARK-MASQ", "SEP1 -p tcp -j DNAT --to-destination 10.9.0.1:8080",
        "SEP2 -p tcp -j DNAT --to-destination 10.9.1.1:8080",
    ]
    private static let dispatch = [
        "KUBE-SERVICES -d 10.96.0.10/32 -p tcp --dport 80 -j SVC", "KUBE-NODEPORTS -p tcp --dport 30080 -j EXT",
    ]
    private static let external = ["EXT -j KUBE-MARK-MASQ", "EXT -j SVC"]
    private static func mark(_ source: String, after: String = "") -> String {
        "SVC \(source.isEmpty ? "" : "\(source) ")-d 10.96.0.10/32 \(after)-p tcp --dport 80 -j KUBE-MARK-MASQ"
    }

    static let cases: [Case] = [
        Case(
            name: "cluster IP and node port",
            nat: endpoints + external + [mark("! -s 10.9.0.0/16")] + picks + dispatch
        ),
        Case(
            name: "masquerade all",
            masqueradeAll: true,
            nat: endpoints + external + [mark("")] + picks + dispatch
        ),
        Case(
            name: "pods by interface",
            sources: .interfaces(prefix: "pod"),
            nat: endpoints + external + [mark("", after: "! -i pod+ ")] + picks + dispatch
        ),
        Case(name: "no detector", sources: .unknown, nat: endpoints + external + picks + dispatch),
        Case(
            name: "eTP Local",
            service: web { $0.externalTrafficPolicy = .local },
            nat: [endpoints[0], endpoints[1], endpoints[2]]
                + [
                    "EXT -s 10.9.0.0/16 -j SVC", "EXT -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ",
                    "EXT -m addrtype --src-type LOCAL -j SVC", "EXT -j SVL",
                    mark("! -s 10.9.0.0/16"),
                ] + picks + ["SVL -j SEP1"] + dispatch
        ),
        Case(
            name: "eTP Local without a local endpoint",
            service: web { $0.externalTrafficPolicy = .local },
            endpoints: ["10.9.1.1 there"],
            nat: [
                "SEP1 -p tcp -j DNAT --to-destination 10.9.1.1:8080", "EXT -s 10.9.0.0/16 -j SVC",
                "EXT -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ", "EXT -m addrtype --src-type LOCAL -j SVC",
                mark("! -s 10.9.0.0/16"), "SVC -j SEP1",
            ] + dispatch,
            filter: ["KUBE-EXTERNAL-SERVICES -p tcp -m addrtype --dst-type LOCAL --dport 30080 -j DROP"]
        ),
        Case(
            name: "iTP Local",
            service: web { $0.internalTrafficPolicy = .local },
            nat: endpoints + external + picks + [
                mark("! -s 10.9.0.0/16").replacing("SVC", "SVL"), "SVL -j SEP1",
                dispatch[0].replacing("SVC", "SVL"), dispatch[1],
            ]
        ),
        Case(
            name: "no endpoints",
            endpoints: [],
            nat: [],
            filter: [
                "KUBE-SERVICES -d 10.96.0.10/32 -p tcp --dport 80 -j REJECT --reject-with tcp-reset",
                "KUBE-EXTERNAL-SERVICES -p tcp -m addrtype --dst-type LOCAL --dport 30080 -j REJECT "
                    + "--reject-with tcp-reset",
            ]
        ),
        Case(
            name: "affinity",
            service: web {
                $0.type = .clusterIP
                $0.ports = [Service.Port(name: "http", port: 80)]
                $0.affinityTimeout = 60
            },
            nat: [
                endpoints[0], "SEP1 -p tcp RECENT --set SEP1 -j DNAT --to-destination 10.9.0.1:8080",
                "SEP2 -p tcp RECENT --set SEP2 -j DNAT --to-destination 10.9.1.1:8080", mark("! -s 10.9.0.0/16"),
                "SVC RECENT --rcheck --seconds 60 --reap SEP1 -j SEP1",
                "SVC RECENT --rcheck --seconds 60 --reap SEP2 -j SEP2",
            ] + picks + [dispatch[0]]
        ),
        Case(
            name: "load balancer with source ranges, and an external IP",
            service: web {
                $0.type = .loadBalancer
                $0.ingress = [.init(address: address("203.0.113.1"))]
                $0.externalIPs = [address("198.51.100.1")]
                $0.loadBalancerSourceRanges = ["192.0.2.0/24", "192.0.2.7/32"]
            },
            nat: endpoints + external + ["FW -s 192.0.2.0/24 -j EXT", mark("! -s 10.9.0.0/16")] + picks + [
                dispatch[0], "KUBE-SERVICES -d 198.51.100.1/32 -p tcp --dport 80 -j EXT",
                "KUBE-SERVICES -d 203.0.113.1/32 -p tcp --dport 80 -j FW", dispatch[1],
            ],
            filter: ["KUBE-PROXY-FIREWALL -d 203.0.113.1/32 -p tcp --dport 80 -j DROP"]
        ),
    ]

    @Test(arguments: cases) func text(_ sample: Case) {
        let planner = ServicePlanner(
            masqueradeAll: sample.masqueradeAll,
            familiesWithLocalDetection: sample.sources == .unknown ? [] : [.ipv4]
        )
        let ports = [EndpointPort(name: "http", port: 8080)]
        let plan = planner.plan(
            sample.service,
            with: [slice("a", ports: ports, sample.endpoints)],
            in: .ipv4,
            on: thisNode
        )
        let name = ServicePortName(namespace: "default", name: "web", port: "http", transport: .tcp)
        let options = IPTablesOptions(Surroundings(localSources: sample.sources))
        func rules(_ table: RuleTable, _ frontends: [Frontend]) -> ChainRules {
            ServicePortRules(frontends, of: name, in: table, .ipv4, options).rules
        }
        let (nat, filter) = (rules(.nat, plan.frontends), rules(.filter, plan.frontends))
        // The same, however the frontends came.
        #expect(rules(.nat, plan.frontends.reversed()) == nat)
        #expect(rules(.filter, plan.frontends.reversed()) == filter)
        var names = [(ChainName.servicePort(.cluster, name), "SVC"), (ChainName.servicePort(.local, name), "SVL")]
        names += [(ChainName.servicePort(.external, name), "EXT"), (ChainName.servicePort(.sources, name), "FW")]
        for (index, text) in sample.endpoints.enumerated() {
            let backend = Backend(address: endpoint(text).address, port: 8080, isLocal: false)
            names.append((ChainName.endpoint(backend, of: name), "SEP\(index + 1)"))
        }
        func readable(_ rules: ChainRules) -> [String] {
            let lines =
                rules.chains.flatMap { chain in chain.rules.map { "\(chain.name) \($0)" } }
                + rules.shared.map { "\($0.chain) \($0.rule)" }
            return lines.map { line in
                var line = line
                for (long, short) in names { line = line.replacing(long, short) }
                line = line.replacing(" -m tcp", "").replacing(" --mask 255.255.255.255 --rsource", "")
                line = line.replacing("-m recent ", "RECENT ").replacing(" --name", "")
                return line.replacing(#/ -m comment --comment "[^"]*"/#, with: "")
            }
        }
        #expect(readable(nat).sorted() == sample.nat.sorted())
        #expect(readable(filter) == sample.filter)
        // In the order of a chain.
        for chain in Set(sample.nat.map { $0.prefix { $0 != " " } }) where !chain.hasPrefix("KUBE-") {
            #expect(
                readable(nat).filter { $0.hasPrefix("\(chain) ") }
                    == sample.nat.filter { $0.hasPrefix("\(chain) ") }
            )
        }
    }

    @Test func clusterIPsAreFound() {
        let rule = SharedRule(
            chain: ChainName.services,
            rule:
                "-d fd96::10/128 -p udp -m comment --comment \"default/web:x cluster IP\" -m udp --dport 53 -j KUBE-SVC-X"
        )
        #expect(SavedTable.key(of: rule, .ipv6) == .address(address("fd96::10"), .udp, 53))
        #expect(SavedTable.owner(of: rule.rule) == "udp default/web:x")
        #expect(SavedTable.target(of: rule.rule) == "KUBE-SVC-X")
        #expect(SavedTable.target(of: "-p tcp -j REJECT --reject-with tcp-reset") == "REJECT")
    }
}

extension String {
    fileprivate func replacing(_ text: String, _ other: String) -> String { replacing(text, with: other) }
}
