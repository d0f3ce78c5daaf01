import Glibc
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import PodNetwork

/// CHECK: rules K2 and K3.
@Suite(.enabled(if: isRoot))
struct DifferenceTests {
    /// One way to disturb a pod's network, and what the difference must mention.
    struct Tampering: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let mention: String
        let act: @Sendable (_ host: NetlinkSocket, _ pod: NetlinkSocket, _ fixture: Context) throws -> Void

        init(
            _ description: String,
            mentions mention: String,
            act: @escaping @Sendable (NetlinkSocket, NetlinkSocket, Context) throws -> Void
        ) {
            testDescription = description
            self.mention = mention
            self.act = act
        }
    }

    struct Context {
        let hostName: String
        let hostIndex: InterfaceIndex
        let podIndex: InterfaceIndex
        let host: NetworkNamespace
        let pod: NetworkNamespace
    }

    static let tamperings: [Tampering] = [
        Tampering("pod interface deleted", mentions: "pod interface eth0 does not exist") { _, pod, _ in
            try pod.send(.deleteLink(.name("eth0")))
        },
        Tampering("pod interface down", mentions: "pod interface eth0 is down") { _, pod, _ in
            try pod.send(.setLink(.name("eth0"), up: false))
        },
        Tampering("host interface down", mentions: "host interface cali0d7763386da is down") { host, _, context in
            try host.send(.setLink(.index(context.hostIndex), up: false))
        },
        Tampering("pod MAC", mentions: "pod interface eth0 has hardware address 02:00:00:00:00:09") { _, pod, _ in
            try pod.send(.setLink(.name("eth0"), mac: MACAddress("02:00:00:00:00:09")))
        },
        Tampering("host MAC", mentions: "host interface cali0d7763386da has hardware address") { host, _, context in
            try host.send(.setLink(.index(context.hostIndex), mac: MACAddress("02:00:00:00:00:09")))
        },
        Tampering("pod MTU", mentions: "pod interface eth0 has MTU 1400 instead of 1450") { _, pod, _ in
            try pod.send(.setLink(.name("eth0"), mtu: 1400))
        },
        Tampering("host MTU", mentions: "has MTU 1400 instead of 1450") { host, _, context in
            try host.send(.setLink(.index(context.hostIndex), mtu: 1400))
        },
        Tampering("IPv4 address", mentions: "lacks address 10.80.0.1/32") { _, pod, context in
            try pod.send(.deleteAddress(InterfaceAddress("10.80.0.1/32".cidr, on: context.podIndex)))
        },
        Tampering("IPv6 address", mentions: "lacks address fd00:80::1/128") { _, pod, context in
            try pod.send(.deleteAddress(InterfaceAddress("fd00:80::1/128".cidr, on: context.podIndex)))
        },
        Tampering("default route", mentions: "lacks the route 0.0.0.0/0 via 169.254.1.1") { _, pod, _ in
            try pod.send(.deleteRoute(Route(to: "0.0.0.0/0".cidr, via: .gateway("169.254.1.1".address, on: nil))))
        },
        Tampering("IPv6 default route", mentions: "lacks the route ::/0") { _, pod, context in
            try pod.send(.deleteRoute(Route(to: "::/0".cidr, via: .interface(context.podIndex))))
        },
        Tampering("gateway route", mentions: "lacks the route 169.254.1.1/32") { _, pod, context in
            try pod.send(
                .deleteRoute(Route(to: "169.254.1.1/32".cidr, via: .interface(context.podIndex), scope: .link))
            )
        },
        Tampering("neighbour", mentions: "lacks the permanent neighbour 169.254.1.1") { _, pod, context in
            try pod.send(
                .setNeighbour(
                    .permanent("169.254.1.1".address, at: MACAddress(2, 0, 0, 0, 0, 1), on: context.podIndex)
                )
            )
        },
        Tampering("host route", mentions: "lacks the route 10.80.0.1/32") { host, _, context in
            try host.send(
                .deleteRoute(Route(to: "10.80.0.1/32".cidr, via: .interface(context.hostIndex), scope: .link))
            )
        },
        Tampering("IPv6 host route", mentions: "lacks the route fd00:80::1/128") { host, _, context in
            try host.send(.deleteRoute(Route(to: "fd00:80::1/128".cidr, via: .interface(context.hostIndex))))
        },
        Tampering("host link-local", mentions: "lacks address fe80::ecee:eeff:feee:eeee/64") { host, _, context in
            try host.send(
                .deleteAddress(InterfaceAddress("fe80::ecee:eeff:feee:eeee/64".cidr, on: context.hostIndex))
            )
        },
        Tampering("proxy_arp", mentions: "proxy_arp = 0 instead of 1") { _, _, context in
            try context.host.run { try Sysctl("ipv4", "conf", context.hostName, "proxy_arp")?.write("0") }
        },
        Tampering("forwarding", mentions: "forwarding = 0 instead of 1") { _, _, context in
            try context.host.run { try Sysctl("ipv4", "conf", context.hostName, "forwarding")?.write("0") }
        },
        Tampering("pod forwarding", mentions: "ip_forward = 1 instead of 0") { _, _, context in
            try context.pod.run { try Sysctl("ipv4", "ip_forward")?.write("1") }
        },
        Tampering("another pair", mentions: "is connected to") { host, pod, _ in
            try pod.send([
                .deleteLink(.name("eth0")), .addVeth(VethEnd(name: "eth0"), peer: VethEnd(name: "x")),
            ])
            try host.send(.addVeth(VethEnd(name: "cali0d7763386da"), peer: VethEnd(name: "y")))
        },
    ]

    @Test(arguments: tamperings)
    func tamperingIsFound(_ tampering: Tampering) throws {
        let node = try PodFixture()
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1") {
            $0.mtu = 1450
            $0.mac = MACAddress("02:00:00:00:00:07")
        }
        let result = try node.attach(pod)
        #expect(try node.differences(pod) == [])
        let podSocket = try NetlinkSocket(in: pod.namespace)
        try tampering.act(
            NetlinkSocket(in: node.host),
            podSocket,
            Context(
                hostName: result.host.name,
                hostIndex: result.host.index,
                podIndex: result.container.index,
                host: node.host,
                pod: pod.namespace
            )
        )
        let differences = try node.differences(pod)
        #expect(differences.contains { $0.contains(tampering.mention) }, "\(differences)")
    }

    @Test func additionsOfOthersAreNoDifference() throws {
        let node = try PodFixture()
        let pod = try node.pod("web-0", "10.80.0.1")
        let result = try node.attach(pod)
        try NetlinkSocket(in: pod.namespace).send([
            .addAddress(InterfaceAddress("192.0.2.1/24".cidr, on: result.container.index)),
            .addRoute(to: "198.51.100.0/24".cidr, via: .interface(result.container.index), scope: .link),
            .addLink(name: "br0", kind: "bridge"),
        ])
        try NetlinkSocket(in: node.host).send(
            .addRoute(to: "192.0.2.1/32".cidr, via: .interface(result.host.index), scope: .link)
        )
        #expect(try node.differences(pod) == [])
    }

    @Test func missingNamespaceIsADifference() throws {
        let node = try PodFixture()
        let pod = try node.pod("web-0", "10.80.0.1") { $0.namespacePath = "/nonexistent" }
        #expect(try node.differences(pod) == ["/nonexistent is not a network namespace: it does not exist"])
    }
}
