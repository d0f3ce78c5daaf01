import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import PodNetwork

@Suite(.enabled(if: isRoot))
struct TrafficTests {
    @Test(arguments: [["10.80.0."], ["fd00:80::"], ["10.80.0.", "fd00:80::"]])
    func podsReachEachOtherThroughTheHost(_ prefixes: [String]) throws {
        let node = try PodFixture()
        let pods = try (1...2).map { number in
            try node.pod("web-\(number)") { $0.addresses = prefixes.compactMap { IPAddress($0 + "\(number)") } }
        }
        for pod in pods { try node.attach(pod) }
        for (client, server) in zip(pods[0].request.addresses, pods[1].request.addresses) {
            let listener = try TestSocket(.tcp, in: pods[1].namespace, bound: server, port: 8080)
            let caller = try TestSocket(.tcp, in: pods[0].namespace, bound: client)
            try caller.connect(to: server, port: 8080)
            let accepted = try listener.accept()
            try caller.send("over \(server)")
            #expect(try accepted.receive() == "over \(server)")

            let receiver = try TestSocket(.udp, in: pods[1].namespace, bound: server, port: 5353)
            let sender = try TestSocket(.udp, in: pods[0].namespace, bound: client)
            try sender.send("datagram", to: server, port: 5353)
            let datagram = try receiver.receiveWithSender()
            #expect(datagram.text == "datagram")
            #expect(datagram.sender == client)
        }
    }

    @Test(arguments: ["10.80.0.1", "fd00:80::1"])
    func hostReachesPodAndPodReachesHost(_ text: String) throws {
        let node = try PodFixture()
        let pod = try node.pod("web-0", text)
        try node.attach(pod)
        let address = try text.address
        let isIPv4 = address.family == .ipv4
        let hostAddress = try (isIPv4 ? "192.0.2.1" : "2001:db8::1").address
        let loopback = try NetlinkSocket(in: node.host).get(.link(.name("lo")))
        try NetlinkSocket(in: node.host).send(
            .addAddress(
                InterfaceAddress(hostAddress.hostPrefix, on: loopback.index, flags: isIPv4 ? [] : .noDuplicateDetection)
            )
        )
        for (place, other, from, to) in [
            (node.host, pod.namespace, hostAddress, address), (pod.namespace, node.host, address, hostAddress),
        ] {
            let listener = try TestSocket(.tcp, in: other, bound: to, port: 8080)
            let caller = try TestSocket(.tcp, in: place, bound: from)
            try caller.connect(to: to, port: 8080)
            try listener.accept().send("hello")
            #expect(try caller.receive() == "hello")
        }
    }

    @Test func gatewayNeedsNoProxyARP() throws {
        let node = try PodFixture()
        let pods = try (1...2).map { try node.pod("web-\($0)", "10.80.0.\($0)") }
        for pod in pods {
            try node.attach(pod)
            try node.host.run { try Sysctl("ipv4", "conf", pod.request.hostInterfaceName, "proxy_arp")?.write("0") }
        }
        let listener = try TestSocket(.tcp, in: pods[1].namespace, bound: pods[1].addresses[0], port: 80)
        let caller = try TestSocket(.tcp, in: pods[0].namespace, bound: pods[0].addresses[0])
        try caller.connect(to: pods[1].addresses[0], port: 80)
        _ = try listener.accept()
    }
}
