import NetworkTypes
import Testing

@testable import PodNetwork

struct PlanTests {
    private func plan(
        _ addresses: [String],
        change: (inout PodNetworkRequest) -> Void = { _ in }
    ) throws -> PodNetworkPlan {
        var request = PodNetworkRequest(
            namespacePath: "/run/netns/x",
            interfaceName: "eth0",
            hostInterfaceName: "cali0d7763386da",
            addresses: addresses.compactMap { IPAddress($0) }
        )
        change(&request)
        return try PodNetworkPlan(request)
    }

    /// Each setting as `path below /proc/sys/net = value`, with a `?` when its failure is only a warning.
    private func settings(_ side: PodNetworkPlan.Side) -> [String] {
        side.settings.map { "\($0.sysctl.components.joined(separator: "/"))=\($0.value)\($0.isRequired ? "" : "?")" }
    }

    @Test func ipv4() throws {
        let plan = try plan(["10.80.0.1"])
        #expect(plan.host.mac?.description == "ee:ee:ee:ee:ee:ee")
        #expect(plan.host.addresses == [])
        #expect(plan.host.routes.map(\.description) == ["10.80.0.1/32"])
        #expect(
            settings(plan.host) == [
                "ipv4/conf/cali0d7763386da/route_localnet=1", "ipv4/neigh/cali0d7763386da/proxy_delay=0?",
                "ipv4/conf/cali0d7763386da/proxy_arp=1", "ipv4/ip_forward=1",
                "ipv4/conf/cali0d7763386da/forwarding=1", "ipv6/conf/cali0d7763386da/accept_ra=0?",
            ]
        )
        #expect(plan.container.addresses.map(\.description) == ["10.80.0.1/32"])
        #expect(plan.container.neighbours.map(\.description) == ["169.254.1.1"])
        #expect(plan.container.routes.map(\.description) == ["169.254.1.1/32", "0.0.0.0/0 via 169.254.1.1"])
        #expect(settings(plan.container) == ["ipv4/ip_forward=0"])
    }

    @Test func ipv6() throws {
        let plan = try plan(["fd00::1"]) { $0.allowForwarding = true }
        #expect(plan.host.addresses.map(\.description) == ["fe80::ecee:eeff:feee:eeee/64"])
        #expect(
            settings(plan.host) == [
                "ipv6/conf/cali0d7763386da/accept_ra=0?", "ipv6/conf/cali0d7763386da/disable_ipv6=0",
                "ipv6/conf/cali0d7763386da/accept_dad=0", "ipv6/conf/cali0d7763386da/proxy_ndp=1",
                "ipv6/conf/all/forwarding=1", "ipv6/conf/cali0d7763386da/forwarding=1",
            ]
        )
        #expect(plan.container.neighbours.map(\.description) == ["fe80::ecee:eeff:feee:eeee"])
        #expect(plan.container.routes.map(\.description) == ["::/0 via fe80::ecee:eeff:feee:eeee"])
        #expect(
            settings(plan.container) == [
                "ipv6/conf/eth0/accept_dad=0", "ipv6/conf/all/disable_ipv6=0", "ipv6/conf/default/disable_ipv6=0",
                "ipv6/conf/lo/disable_ipv6=0", "ipv6/conf/eth0/disable_ipv6=0", "ipv6/conf/all/forwarding=1",
            ]
        )
    }

    @Test func routesOfAbsentFamiliesAreLeftOut() throws {
        let plan = try plan(["10.80.0.1"]) {
            $0.routes = ["10.96.0.1/12", "fd00::/8"].compactMap { CIDR($0) }.map { PodRoute(to: $0) }
        }
        #expect(plan.container.routes.map(\.description) == ["169.254.1.1/32", "10.96.0.0/12 via 169.254.1.1"])
    }

    /// The kernel takes only one for a destination and metric; one to the gateway is there already.
    @Test func routesThatAreThereTwiceAreMadeOnce() throws {
        let plan = try plan(["10.80.0.1"]) {
            $0.routes = ["10.96.0.0/12", "10.97.0.0/12", "169.254.1.1/32"].compactMap { CIDR($0) }
                .map { PodRoute(to: $0) }
            $0.routes.append(PodRoute(to: $0.routes[0].destination, priority: 50))
        }
        #expect(
            plan.container.routes.map(\.description) == [
                "169.254.1.1/32", "10.96.0.0/12 via 169.254.1.1", "10.96.0.0/12 via 169.254.1.1 metric 50",
            ]
        )
    }

    @Test func furtherInterfacesNeedNoRouteToTheGateway() throws {
        let plan = try plan(["10.80.0.1"]) { $0.interfaceName = "eth1" }
        #expect(
            plan.container.routes.map { $0.route(on: 3).description } == [
                "0.0.0.0/0 via 169.254.1.1 dev 3 onlink metric 1027"
            ]
        )
    }
}

struct HostInterfaceNameTests {
    @Test func namesOfPods() {
        #expect(HostInterfaceName.derive(namespace: "default", pod: "web-0") == "cali0d7763386da")
        #expect(HostInterfaceName.derive(prefix: "eni", namespace: "default", pod: "web-0") == "eni0d7763386da")
        #expect(HostInterfaceName.derive(prefix: "longprefix", namespace: "a", pod: "b").utf8.count == 15)
        let second = HostInterfaceName.derive(namespace: "default", pod: "web-0", interface: "eth1")
        #expect(second.hasPrefix("cali") && second.utf8.count == 15 && second != "cali0d7763386da")
        #expect(second != HostInterfaceName.derive(namespace: "default", pod: "web-0.eth1"))
    }

    @Test func namesOfOtherContainers() {
        #expect(HostInterfaceName.derive(containerID: "0123456789abcdef") == "cali0123456789a")
        #expect(HostInterfaceName.derive(containerID: "short") == "calishort")
        #expect(
            HostInterfaceName.derive(containerID: "short", interface: "eth1")
                != HostInterfaceName.derive(containerID: "short", interface: "eth2")
        )
        #expect(HostInterfaceName.alternate(containerID: "my-container-1").utf8.count == 15)
    }

    @Test func prefixesOfTheEnvironment() throws {
        #expect(try HostInterfaceName.prefixes(from: nil) == ["cali"])
        #expect(try HostInterfaceName.prefixes(from: " , ") == ["cali"])
        #expect(try HostInterfaceName.prefixes(from: "eni, azv") == ["eni", "azv"])
        for bad in ["a/b", "cali,much-too-long", "a:b"] {
            #expect(throws: PodNetworkError.self) { try HostInterfaceName.prefixes(from: bad) }
        }
    }

    @Test(arguments: [
        ("eth0", true), ("a.b", true), ("", false), (".", false), ("..", false), ("a b", false),
        ("a/b", false), ("a:b", false), ("a\u{a0}b", false), ("a\0", false), ("0123456789abcde", true),
        ("0123456789abcdef", false), ("cali%d", false),
    ])
    func validity(_ name: String, _ isValid: Bool) {
        #expect(HostInterfaceName.isValid(name) == isValid)
    }
}
