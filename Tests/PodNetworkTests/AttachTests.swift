import Glibc
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import PodNetwork

@Suite(.enabled(if: isRoot))
struct AttachTests {
    let node: PodFixture

    init() throws {
        node = try PodFixture()
    }

    static let addressChoices: [[String]] = [
        ["10.80.0.1"], ["fd00:80::1"], ["10.80.0.1", "fd00:80::1"], ["10.80.0.1", "10.80.0.9", "fd00:80::1"],
    ]

    @Test(arguments: addressChoices)
    func everythingOfTheSectionIsInPlace(_ addresses: [String]) throws {
        let pod = try node.pod("web-0") {
            $0.addresses = addresses.compactMap { IPAddress($0) }
            $0.mtu = 1450
            $0.mac = MACAddress("02:00:00:00:00:07")
            $0.queues = 2
        }
        let result = try node.attach(pod)
        let isIPv4 = addresses.contains { !$0.contains(":") }
        let isIPv6 = addresses.contains { $0.contains(":") }

        #expect(result.warnings.isEmpty)
        #expect(result.host.name == "cali0d7763386da")
        #expect(result.host.mac == PodNetworkPlan.hostMAC)
        #expect(result.host.mtu == 1450)
        #expect(result.container.name == "eth0")
        #expect(result.container.mac == MACAddress("02:00:00:00:00:07"))
        #expect(result.container.mtu == 1450)
        #expect(
            result.routes.map { "\($0.destination) via \($0.gateway)" }
                == (isIPv4 ? ["0.0.0.0/0 via 169.254.1.1"] : [])
                + (isIPv6 ? ["::/0 via fe80::ecee:eeff:feee:eeee"] : [])
        )

        let hostSocket = try NetlinkSocket(in: node.host)
        let hostEnd = try hostSocket.get(.link(.name("cali0d7763386da")))
        #expect(hostEnd.index == result.host.index)
        #expect(hostEnd.isUp && hostEnd.kind == "veth" && hostEnd.transmitQueues == 2)
        #expect(hostEnd.alias == "container-web-0/eth0")
        for address in addresses {
            let route = try #require(
                try hostSocket.list(.routes(RouteFilter(destination: address.address.hostPrefix))).first
            )
            #expect(route.nextHop == .interface(hostEnd.index))
        }
        #expect(try hostSocket.list(.addresses(family: .ipv4, on: hostEnd.index)).isEmpty)

        let podSocket = try NetlinkSocket(in: pod.namespace)
        let eth0 = try podSocket.get(.link(.name("eth0")))
        #expect(eth0.isUp && eth0.peerIndex == hostEnd.index && eth0.receiveQueues == 2)
        let prefixes = try podSocket.list(.addresses(on: eth0.index)).filter { $0.scope != .link }
            .map { "\($0.prefix)" }
        #expect(prefixes.sorted() == addresses.map { $0 + ($0.contains(":") ? "/128" : "/32") }.sorted())
        let neighbours = try podSocket.list(.neighbours(on: eth0.index)).filter { $0.state.contains(.permanent) }
        #expect(neighbours.allSatisfy { $0.mac == PodNetworkPlan.hostMAC })
        #expect(
            Set(neighbours.map { "\($0.address)" })
                == Set((isIPv4 ? ["169.254.1.1"] : []) + (isIPv6 ? ["fe80::ecee:eeff:feee:eeee"] : []))
        )
        if isIPv4 {
            let routes = try podSocket.list(.routes(RouteFilter(family: .ipv4))).map(\.description)
            #expect(
                routes.sorted() == [
                    "0.0.0.0/0 via 169.254.1.1 dev \(eth0.index)", "169.254.1.1/32 dev \(eth0.index) scope link",
                ]
            )
        }
        #expect(try node.differences(pod) == [])
    }

    @Test func settingsAreWritten() throws {
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1") { $0.allowForwarding = true }
        try pod.namespace.run {
            for scope in ["all", "default", "lo"] {
                try Sysctl("ipv6", "conf", scope, "disable_ipv6")?.write("1")
            }
        }
        try node.attach(pod)
        let veth = pod.request.hostInterfaceName
        let host: [([String], String)] = [
            (["ipv4", "conf", veth, "route_localnet"], "1"), (["ipv4", "neigh", veth, "proxy_delay"], "0"),
            (["ipv4", "conf", veth, "proxy_arp"], "1"), (["ipv4", "conf", veth, "forwarding"], "1"),
            (["ipv6", "conf", veth, "accept_dad"], "0"), (["ipv6", "conf", veth, "disable_ipv6"], "0"),
            (["ipv6", "conf", veth, "proxy_ndp"], "1"), (["ipv6", "conf", veth, "forwarding"], "1"),
            (["ipv6", "conf", veth, "accept_ra"], "0"),
        ]
        let inPod: [([String], String)] = [
            (["ipv6", "conf", "eth0", "accept_dad"], "0"), (["ipv6", "conf", "eth0", "disable_ipv6"], "0"),
            (["ipv6", "conf", "all", "disable_ipv6"], "0"), (["ipv6", "conf", "default", "disable_ipv6"], "0"),
            (["ipv6", "conf", "lo", "disable_ipv6"], "0"), (["ipv4", "ip_forward"], "1"),
            (["ipv6", "conf", "all", "forwarding"], "1"),
        ]
        for (namespace, settings) in [(node.host, host), (pod.namespace, inPod)] {
            let values = try namespace.run { try settings.map { try #require(Sysctl($0.0)).read() } }
            for (setting, value) in zip(settings, values) { #expect(value == setting.1, "\(setting.0)") }
        }
    }

    @Test func customRoutesReplaceTheDefaultOnes() throws {
        let pod = try node.pod("web-0", "10.80.0.1") {
            $0.routes = ["10.96.0.0/12", "192.168.0.0/16", "fd00::/8"].compactMap { CIDR($0) }
                .map { PodRoute(to: $0, mtu: 1400, priority: 7) }
        }
        let result = try node.attach(pod)
        #expect(result.routes.map(\.destination.description) == ["10.96.0.0/12", "192.168.0.0/16"])
        let routes = try NetlinkSocket(in: pod.namespace).list(.routes(RouteFilter(family: .ipv4)))
        #expect(Set(routes.map(\.destination.description)) == ["10.96.0.0/12", "192.168.0.0/16", "169.254.1.1/32"])
        #expect(routes.filter { $0.mtu == 1400 && $0.metric == 7 }.count == 2)
        #expect(try node.differences(pod) == [])
    }

    @Test func repeatedAttachChangesNothing() throws {
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1")
        let first = try node.attach(pod)
        let second = try node.attach(pod)
        #expect(first == second)
    }

    @Test func attachAfterTamperingPutsItRight() throws {
        let pod = try node.pod("web-0", "10.80.0.1")
        let first = try node.attach(pod)
        try NetlinkSocket(in: pod.namespace).send(.setLink(.name("eth0"), up: false))
        let second = try node.attach(pod)
        #expect(first.host.index != second.host.index)
        #expect(try node.differences(pod) == [])
    }

    @Test func foreignInterfaceInThePodIsLeftAlone() throws {
        let pod = try node.pod("web-0", "10.80.0.1")
        try NetlinkSocket(in: pod.namespace).send(.addVeth(VethEnd(name: "eth0"), peer: VethEnd(name: "other")))
        let before = try node.snapshot(pod)
        #expect(throws: PodNetworkError.interfaceExists(name: "eth0")) { try node.attach(pod) }
        #expect(try node.snapshot(pod) == before)
    }

    @Test func otherPluginsVethToTheHostIsLeftAlone() throws {
        let pod = try node.pod("web-0", "10.80.0.1")
        try NetlinkSocket(in: node.host).send(
            .addVeth(VethEnd(name: "veth1234"), peer: VethEnd(name: "eth0"), in: pod.namespace)
        )
        let before = try node.snapshot(pod)
        #expect(throws: PodNetworkError.interfaceExists(name: "eth0")) { try node.attach(pod) }
        #expect(try node.snapshot(pod) == before)
        try node.detach(pod)
        #expect(try node.snapshot(pod) == before)
    }

    @Test func newSandboxOfThePodTakesTheHostNameOver() throws {
        let old = try node.pod("web-0", "10.80.0.1") { $0.owner = "old/eth0" }
        try node.attach(old)
        let new = try node.pod("web-0", "10.80.0.2") { $0.owner = "new/eth0" }
        try node.attach(new)
        #expect(try node.differences(new) == [])
        #expect(try NetlinkSocket(in: old.namespace).list(.links()).map(\.name) == ["lo"])
        // DEL of the old container comes late, and must not touch the new one.
        try node.detach(old)
        try node.detach(old, namespacePath: "/nonexistent")
        #expect(try node.differences(new) == [])
    }

    @Test func alternateNameIsTakenWhenAnotherContainerHasTheName() throws {
        let containers = try ["my-container-1", "my-container-2"].enumerated().map { index, id in
            try node.pod(id, "10.80.0.\(index + 1)") {
                $0.hostInterfaceName = HostInterfaceName.derive(containerID: id)
                $0.alternateHostInterfaceName = HostInterfaceName.alternate(containerID: id)
                $0.owner = "\(id)/eth0"
            }
        }
        let names = try containers.map { try node.attach($0).host.name }
        #expect(names[0] == "calimy-containe")
        #expect(names[1] == HostInterfaceName.alternate(containerID: "my-container-2"))
        #expect(try node.attach(containers[1]).host.name == names[1])
        try node.detach(containers[1])
        #expect(try node.differences(containers[0]) == [])
        #expect(try NetlinkSocket(in: node.host).list(.links()).map(\.name).sorted() == [names[0], "lo"].sorted())
    }

    /// Another container's ADD has made its pair and not yet put its owner down: its link must not be taken for a
    /// left-over.
    @Test func alternateNameIsTakenWhenTheOtherIsStillAtWork() throws {
        let socket = try NetlinkSocket(in: node.host)
        try socket.send(.addVeth(VethEnd(name: "calimy-containe"), peer: VethEnd(name: "elsewhere")))
        let pod = try node.pod("my-container-2", "10.80.0.2") {
            $0.hostInterfaceName = "calimy-containe"
            $0.alternateHostInterfaceName = HostInterfaceName.alternate(containerID: "my-container-2")
            $0.owner = "my-container-2/eth0"
        }
        #expect(try node.attach(pod).host.name == pod.request.alternateHostInterfaceName)
        #expect(try socket.get(.link(.name("calimy-containe"))).kind == "veth")
    }

    /// Many at once, whose IDs start alike: each has a link of its own in the end.
    @Test func similarContainersAtOnceKeepTheirLinks() async throws {
        let pods = try (1...12).map { index in
            let id = "my-container-\(index)"
            return try node.pod(id, "10.80.0.\(index)") {
                $0.hostInterfaceName = HostInterfaceName.derive(containerID: id)
                $0.alternateHostInterfaceName = HostInterfaceName.alternate(containerID: id)
                $0.owner = "\(id)/eth0"
            }
        }
        let host = node.host
        let names = try await withThrowingTaskGroup(of: String.self) { group in
            for request in pods.map(\.request) {
                group.addTask { try await host.run { try PodNetwork.attach(request).host.name } }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(names.count == pods.count)
        let links = try NetlinkSocket(in: host).list(.links()).map(\.name)
        #expect(names.isSubset(of: links))
    }

    @Test func severalInterfacesOfOnePod() throws {
        let pod = try node.pod("web-0", "10.80.0.1")
        try node.attach(pod)
        var second = pod.request
        second.interfaceName = "net.1"
        second.hostInterfaceName = HostInterfaceName.derive(namespace: "default", pod: "web-0", interface: "net.1")
        second.addresses = [try "10.80.0.2".address, try "fd00:80::2".address]
        let other = PodFixture.Pod(namespace: pod.namespace, addresses: second.addresses, request: second)
        let result = try node.attach(other)
        #expect(result.routes.map(\.destination.description) == ["0.0.0.0/0", "::/0"])
        #expect(result.routes.allSatisfy { ($0.priority ?? 0) > 1024 })
        #expect(try node.differences(pod) == [])
        #expect(try node.differences(other) == [])
        try node.detach(pod)
        #expect(try node.differences(other) == [])
    }

    @Test func unusableNamespaces() throws {
        for path in ["/nonexistent", "/proc/self/ns/uts", "/proc/sys", "/dev/null", "/etc/hostname", "", "a\0b"] {
            let pod = try node.pod("web-0", "10.80.0.1") { $0.namespacePath = path }
            let error = #expect(throws: PodNetworkError.self) { try node.attach(pod) }
            guard case .notANamespace(path, _) = error else {
                Issue.record("\(path): \(String(describing: error))")
                continue
            }
            try node.detach(pod)
        }
        let own = try node.pod("web-0", "10.80.0.1") { $0.namespacePath = node.host.descriptorPath }
        #expect(throws: PodNetworkError.namespaceIsOwn(path: node.host.descriptorPath)) { try node.attach(own) }
        #expect(try NetlinkSocket(in: node.host).list(.links()).map(\.name) == ["lo"])
    }
}
