import KubernetesAPI
import NetworkTypes
import Testing

@testable import ServiceProxy

@Suite struct ServicePlannerTests {
    static let detecting = ServicePlanner(familiesWithLocalDetection: [.ipv4, .ipv6])
    static let blind = ServicePlanner()

    private func plan(
        _ service: Service,
        _ endpoints: [String] = ["10.9.0.1 here", "10.9.0.2 there"],
        _ planner: ServicePlanner = detecting
    ) -> [String] {
        planner.plan(service, with: [slice("a", endpoints)], in: .ipv4, on: thisNode).frontends.map { text($0) }
    }

    /// A Service that can be dialled in every way.
    private func everything(internalTP: Service.TrafficPolicy, externalTP: Service.TrafficPolicy) -> Service {
        service(type: .loadBalancer, ports: [Service.Port(port: 80, nodePort: 30080)]) {
            $0.externalIPs = [address("192.0.2.1"), address("2001:db8::1")]
            $0.ingress = [
                .init(address: address("203.0.113.1")), .init(address: address("203.0.113.2"), isVIP: false),
                .init(address: address("2001:db8::2")),
            ]
            $0.internalTrafficPolicy = internalTP
            $0.externalTrafficPolicy = externalTP
        }
    }

    struct Case: Sendable {
        let internalTP: Service.TrafficPolicy
        let externalTP: Service.TrafficPolicy
        let endpoints: [String]
        /// What the cluster IP does, and what all others do.
        let inside: String
        let outside: String
    }

    static let both = ["10.9.0.1 here", "10.9.0.2 there"]
    static let near = ["10.9.0.1 here"]
    static let far = ["10.9.0.2 there"]
    static let (l, r) = ("10.9.0.1:8080*", "10.9.0.2:8080")

    /// Every cell of the policies, with endpoints here and there, only here, only there, and nowhere (FE-1 … FE-6).
    static let policies = [
        Case(
            internalTP: .cluster,
            externalTP: .cluster,
            endpoints: both,
            inside: "\(l) \(r) unlessLocal",
            outside: "\(l) \(r) always"
        ),
        Case(
            internalTP: .cluster,
            externalTP: .local,
            endpoints: both,
            inside: "\(l) \(r) unlessLocal",
            outside: "\(l) never near \(l) \(r) unlessLocal"
        ),
        Case(
            internalTP: .local,
            externalTP: .cluster,
            endpoints: both,
            inside: "\(l) unlessLocal",
            outside: "\(l) \(r) always"
        ),
        Case(
            internalTP: .local,
            externalTP: .local,
            endpoints: both,
            inside: "\(l) unlessLocal",
            outside: "\(l) never near \(l) \(r) unlessLocal"
        ),
        Case(
            internalTP: .cluster,
            externalTP: .cluster,
            endpoints: near,
            inside: "\(l) unlessLocal",
            outside: "\(l) always"
        ),
        Case(
            internalTP: .cluster,
            externalTP: .local,
            endpoints: near,
            inside: "\(l) unlessLocal",
            outside: "\(l) never near \(l) unlessLocal"
        ),
        Case(
            internalTP: .local,
            externalTP: .cluster,
            endpoints: near,
            inside: "\(l) unlessLocal",
            outside: "\(l) always"
        ),
        Case(
            internalTP: .local,
            externalTP: .local,
            endpoints: near,
            inside: "\(l) unlessLocal",
            outside: "\(l) never near \(l) unlessLocal"
        ),
        Case(
            internalTP: .cluster,
            externalTP: .cluster,
            endpoints: far,
            inside: "\(r) unlessLocal",
            outside: "\(r) always"
        ),
        Case(
            internalTP: .cluster,
            externalTP: .local,
            endpoints: far,
            inside: "\(r) unlessLocal",
            outside: "drop never near \(r) unlessLocal"
        ),
        Case(
            internalTP: .local,
            externalTP: .cluster,
            endpoints: far,
            inside: "drop unlessLocal",
            outside: "\(r) always"
        ),
        Case(
            internalTP: .local,
            externalTP: .local,
            endpoints: far,
            inside: "drop unlessLocal",
            outside: "drop never near \(r) unlessLocal"
        ),
        Case(
            internalTP: .cluster,
            externalTP: .cluster,
            endpoints: [],
            inside: "reject unlessLocal",
            outside: "reject always"
        ),
        Case(
            internalTP: .cluster,
            externalTP: .local,
            endpoints: [],
            inside: "reject unlessLocal",
            outside: "reject never"
        ),
        Case(
            internalTP: .local,
            externalTP: .cluster,
            endpoints: [],
            inside: "reject unlessLocal",
            outside: "reject always"
        ),
        Case(
            internalTP: .local,
            externalTP: .local,
            endpoints: [],
            inside: "reject unlessLocal",
            outside: "reject never"
        ),
    ]

    @Test(arguments: policies) func everyPolicy(_ c: Case) {
        #expect(
            plan(everything(internalTP: c.internalTP, externalTP: c.externalTP), c.endpoints) == [
                "10.96.0.10:80/TCP -> \(c.inside)", "192.0.2.1:80/TCP -> \(c.outside)",
                "203.0.113.1:80/TCP -> \(c.outside)",
                "node port 30080/TCP (IPv4) -> \(c.outside)",
            ]
        )
    }

    @Test(arguments: policies) func everyPolicyInTheOtherFamily(_ c: Case) {
        func inTheOtherFamily(_ text: String) -> String {
            text.split(separator: "10.9.0.", omittingEmptySubsequences: false).joined(separator: "fd09::")
        }
        let (inside, outside) = (inTheOtherFamily(c.inside), inTheOtherFamily(c.outside))
        let plan = Self.detecting.plan(
            everything(internalTP: c.internalTP, externalTP: c.externalTP),
            with: [slice("a", family: .ipv6, c.endpoints.map(inTheOtherFamily))],
            in: .ipv6,
            on: thisNode
        )
        #expect(
            plan.frontends.map { text($0) } == [
                "[fd96::10]:80/TCP -> \(inside)", "[2001:db8::1]:80/TCP -> \(outside)",
                "[2001:db8::2]:80/TCP -> \(outside)", "node port 30080/TCP (IPv6) -> \(outside)",
            ]
        )
    }

    /// MQ-1, MQ-2 and the lines below the table of MQ-7.
    @Test(arguments: [
        (ServicePlanner(masqueradeAll: true, familiesWithLocalDetection: [.ipv4]), "always", "unlessLocal"),
        (ServicePlanner(masqueradeAll: true), "always", "always"),
        (ServicePlanner(familiesWithLocalDetection: [.ipv4]), "unlessLocal", "unlessLocal"),
        (ServicePlanner(familiesWithLocalDetection: [.ipv6]), "never", "always"),
    ])
    func masquerade(_ planner: ServicePlanner, clusterIP: String, near: String) {
        let frontends = plan(everything(internalTP: .cluster, externalTP: .local), Self.both, planner)
        #expect(frontends.first == "10.96.0.10:80/TCP -> \(Self.l) \(Self.r) \(clusterIP)")
        #expect(frontends.last == "node port 30080/TCP (IPv4) -> \(Self.l) never near \(Self.l) \(Self.r) \(near)")
    }

    @Test func kindsAndNames() {
        let service = service(
            type: .nodePort,
            ports: [
                Service.Port(name: "dns", transport: .udp, port: 53, nodePort: 30053),
                Service.Port(name: "dns-tcp", port: 53),
            ]
        )
        let frontends = Self.detecting.plan(service, with: [], in: .ipv4, on: thisNode).frontends
        #expect(frontends.map(\.kind) == [.clusterIP, .nodePort, .clusterIP])
        #expect(
            frontends.map { "\($0.servicePort) \($0.servicePort.transport)" }
                == ["default/web:dns UDP", "default/web:dns UDP", "default/web:dns-tcp TCP"]
        )
    }

    @Test(arguments: [
        service(type: .externalName), service(clusterIPs: []), service(clusterIPs: ["fd96::10"]), service(ports: []),
    ])
    func servicesThatAreSkipped(_ service: Service) {
        #expect(Self.detecting.plan(service, with: [slice("a", ["10.9.0.1"])], in: .ipv4, on: thisNode) == .empty)
    }

    /// The external policy counts only for what is exposed (1.2), and only where there is something to dial (EP-1).
    @Test func externalPolicyOfWhatIsNotExposed() {
        let withoutAddress = service(type: .loadBalancer) { $0.externalTrafficPolicy = .local }
        #expect(plan(withoutAddress, Self.far) == ["10.96.0.10:80/TCP -> \(Self.r) unlessLocal"])
        let localOnly = service { ($0.internalTrafficPolicy, $0.externalTrafficPolicy) = (.local, .local) }
        #expect(plan(localOnly, Self.far) == ["10.96.0.10:80/TCP -> drop unlessLocal"])
        let external = service { ($0.externalIPs, $0.externalTrafficPolicy) = ([address("192.0.2.1")], .local) }
        #expect(plan(external, Self.far).last == "192.0.2.1:80/TCP -> drop never near \(Self.r) unlessLocal")
    }

    @Test func affinityIsOfTheWholeServicePort() {
        var service = everything(internalTP: .cluster, externalTP: .cluster)
        service.affinityTimeout = 600
        let frontends = Self.detecting.plan(service, with: [], in: .ipv4, on: thisNode).frontends
        #expect(frontends.count == 4 && frontends.allSatisfy { $0.affinityTimeout == 600 })
    }

    @Test(
        arguments: [
            ([], nil, []),
            (["10.0.0.0/8", "0.0.0.0/0"], nil, []),  // FW-1
            (["fd00::/8"], nil, []),  // FW-1: after the filter nothing is left
            (
                [" 10.1.0.0/16 ", "10.0.0.0/8", "10.0.0.0/8", "fd00::/8", "192.168.1.7/24"],
                ["10.0.0.0/8", "192.168.1.0/24"], []
            ),  // FW-6
            (["nonsense", "10.0.0.0/8", "10.0.0.1"], ["10.0.0.0/8"], ["nonsense", "10.0.0.1"]),
            (["172.16.0.0/16"], ["172.16.0.0/16", "203.0.113.1/32"], []),  // FW-3
        ] as [([String], [String]?, [String])]
    )
    func sourceRanges(_ ranges: [String], _ allowed: [String]?, _ unreadable: [String]) {
        var service = everything(internalTP: .cluster, externalTP: .cluster)
        service.loadBalancerSourceRanges = ranges
        let plan = Self.detecting.plan(service, with: [], in: .ipv4, on: thisNode)
        #expect(plan.unreadableSourceRanges == unreadable)
        for frontend in plan.frontends {
            // FW-5: of all kinds only this one.
            let expected = frontend.kind == .loadBalancerIP ? allowed : nil
            #expect(frontend.allowedSources?.map(\.description) == expected)
        }
    }
}
