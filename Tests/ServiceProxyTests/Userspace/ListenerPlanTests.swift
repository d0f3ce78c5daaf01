import LoadBalancer
import NetworkTypes
import Testing

@testable import ServiceProxy

/// What a frontend needs of the node, as a table.
struct ListenerPlanTests {
    private static let backends = [Backend(address: address("10.9.0.1"), port: 8080, isLocal: true)]

    static func frontend(
        _ key: Frontend.Key,
        kind: Frontend.Kind = .clusterIP,
        port: String = "http",
        balancing: BalancingWish = BalancingWish()
    ) -> Frontend {
        Frontend(
            key: key,
            kind: kind,
            servicePort: ServicePortName(namespace: "default", name: "web", port: port, transport: .tcp),
            route: Route(backends: backends, masquerade: .always, whenEmpty: .reject),
            affinityTimeout: 30,
            balancing: balancing
        )
    }

    private static func host(_ adjust: (inout ListenerPlan.Host) -> Void = { _ in }) -> ListenerPlan.Host {
        var host = ListenerPlan.Host(
            ownsAddresses: true,
            localAddresses: [address("192.0.2.1"), address("127.0.0.1"), address("fd02::1")],
            nodePorts: [:],
            portMap: UserspaceOptions.PortMap(ports: ["default/web:http": 8000]),
            algorithm: .random
        )
        adjust(&host)
        return host
    }

    /// The address that is taken, and what is listened on.
    private static func summary(_ plan: ListenerPlan) -> String {
        ([plan.address.map { "+\($0)" }] + plan.listeners.map { "\($0.endpoint)" }).compactMap(\.self)
            .joined(separator: " ")
    }

    static let cases: [(frontend: Frontend, host: ListenerPlan.Host, expected: String)] = [
        (frontend(.address(address("10.96.0.10"), .tcp, 80)), host(), "+10.96.0.10 tcp 10.96.0.10:80"),
        (frontend(.address(address("fd96::10"), .udp, 53)), host(), "+fd96::10 udp [fd96::10]:53"),
        // An address that the node has anyway stays as it is.
        (frontend(.address(address("192.0.2.1"), .tcp, 80), kind: .externalIP), host(), "tcp 192.0.2.1:80"),
        (frontend(.nodePort(.ipv4, .tcp, 30080), kind: .nodePort), host(), "tcp 0.0.0.0:30080"),
        (frontend(.nodePort(.ipv6, .udp, 30080), kind: .nodePort), host(), "udp [::]:30080"),
        (
            frontend(.nodePort(.ipv4, .tcp, 30080), kind: .nodePort),
            host { $0.nodePorts = [.ipv4: .only([address("192.0.2.1"), address("10.96.0.10")])] },
            "tcp 192.0.2.1:30080"
        ),
        // Without the right to give the node addresses: by the port map, or where the address happens to be there.
        (
            frontend(.address(address("10.96.0.10"), .tcp, 80)), host { $0.ownsAddresses = false },
            "tcp 127.0.0.1:8000"
        ),
        (
            frontend(.address(address("fd96::10"), .tcp, 80)),
            host {
                $0.ownsAddresses = false
                $0.portMap.addresses = [.v4(.unspecified), .v6(.unspecified)]
            },
            "tcp [::]:8000"
        ),
        (
            frontend(.address(address("192.0.2.1"), .tcp, 443), kind: .externalIP),
            host { $0.ownsAddresses = false },
            "tcp 192.0.2.1:443"
        ),
    ]

    @Test(arguments: cases.indices)
    func listeners(index: Int) throws {
        let (frontend, host, expected) = Self.cases[index]
        let plan = try ListenerPlan(frontend, on: host)
        #expect(Self.summary(plan) == expected)
        for listener in plan.listeners {
            #expect(listener.route.targets == [TransportAddress(address("10.9.0.1"), 8080)])
            #expect(listener.balancing.affinityTimeout == .seconds(30))
        }
    }

    @Test
    func whatCannotBeServedSaysWhy() {
        #expect {
            try ListenerPlan(Self.frontend(.address(address("10.96.0.10"), .sctp, 80)), on: Self.host())
        } throws: {
            ($0 as? ListenerPlan.Refusal)?.reason.contains("SCTP is not served in userspace mode") == true
        }
        #expect {
            try ListenerPlan(
                Self.frontend(.address(address("10.96.0.10"), .tcp, 80), port: "other"),
                on: Self.host { $0.ownsAddresses = false }
            )
        } throws: {
            ($0 as? ListenerPlan.Refusal)?.reason.contains("the port map has no port for default/web:other") == true
        }
    }

    @Test(arguments: [
        Frontend.Key.address(backends[0].address, .tcp, 8080), .nodePort(.ipv4, .tcp, 8080),
    ])
    func aListenerThatWouldDialItselfIsRefused(key: Frontend.Key) {
        let host = Self.host { $0.localAddresses.insert(Self.backends[0].address) }
        #expect { try ListenerPlan(Self.frontend(key), on: host) } throws: {
            ($0 as? ListenerPlan.Refusal)?.reason.contains("the proxy would dial itself") == true
        }
    }

    @Test
    func aWishGoesBeforeTheDefault() throws {
        let key = Frontend.Key.address(address("10.96.0.10"), .tcp, 80)
        let wish = BalancingWish(algorithm: .maglev, sendsProxyHeader: true)
        let wished = try ListenerPlan(Self.frontend(key, balancing: wish), on: Self.host())
        #expect(wished.listeners[0].balancing.algorithm == .maglev && wished.listeners[0].balancing.sendsProxyHeader)
        let usual = try ListenerPlan(Self.frontend(key), on: Self.host { $0.algorithm = .leastConnections })
        #expect(usual.listeners[0].balancing.algorithm == .leastConnections)
    }
}
