import Glibc
import NetworkTypes
import TestSupport
import Testing

@testable import Netlink

@Suite(.enabled(if: isRoot))
struct RouteTests {
    let namespace: NetworkNamespace
    let socket: NetlinkSocket
    let bridge: Link

    init() throws {
        namespace = try .makeContainer()
        socket = try NetlinkSocket(in: namespace)
        try socket.send([
            .addLink(name: "br0", kind: "bridge", mac: MACAddress(2, 0, 0, 0, 0, 1)), .setLink(.name("br0"), up: true),
        ])
        bridge = try socket.get(.link(.name("br0")))
    }

    private func cidr(_ text: String) throws -> CIDR { try #require(CIDR(text)) }
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func routesAreAddedListedReplacedAndDeleted() throws {
        try socket.send([
            .addAddress(InterfaceAddress(cidr("192.0.2.1/24"), on: bridge.index)),
            .addAddress(InterfaceAddress(cidr("fd00::1/64"), on: bridge.index, flags: .noDuplicateDetection)),
        ])
        let table = Route.Table(rawValue: 1000)
        let routes = [
            Route(to: try cidr("10.1.0.0/16"), via: .interface(bridge.index), scope: .link),
            Route(to: try cidr("10.2.0.0/16"), via: .gateway(try address("192.0.2.9"), on: bridge.index), metric: 5),
            Route(
                to: try cidr("10.3.0.0/16"),
                via: .gateway(try address("198.51.100.1"), on: bridge.index, isOnLink: true),
                mtu: 1400
            ),
            Route(to: try cidr("10.4.0.0/26"), via: .blackhole, origin: Route.Origin(rawValue: 80)),
            Route(to: try cidr("10.5.0.0/16"), via: .interface(bridge.index), scope: .link, table: table),
            Route(to: try cidr("10.6.0.0/16"), via: .gateway(try address("fe80::1"), on: bridge.index)),
        ]
        try socket.send(routes.map { .addRoute($0) })
        let listed = try socket.list(.routes(RouteFilter(family: .ipv4, table: nil)))
        for route in routes { #expect(listed.contains(route), "\(route)") }
        #expect(try socket.list(.routes(RouteFilter(family: .ipv4, table: table))) == [routes[4]])
        #expect(
            try socket.list(.routes(RouteFilter(origin: Route.Origin(rawValue: 80)))).map(\.nextHop) == [.blackhole]
        )
        #expect(try socket.list(.routes(RouteFilter(destination: cidr("10.2.0.0/16")))) == [routes[1]])

        let taken = #expect(throws: NetlinkError.self) { try socket.send(.addRoute(routes[0])) }
        #expect(taken?.isRefusal(EEXIST) == true)
        try socket.send(.replaceRoute(Route(to: cidr("10.1.0.0/16"), via: .blackhole)))
        #expect(try socket.list(.routes(RouteFilter(destination: cidr("10.1.0.0/16")))).map(\.nextHop) == [.blackhole])

        #expect(try socket.get(.route(toward: address("10.2.3.4"))) == routes[1])
        let none = #expect(throws: NetlinkError.self) { try socket.get(.route(toward: address("203.0.113.1"))) }
        #expect(none?.isRefusal(ENETUNREACH) == true)

        try socket.send(.deleteRoute(routes[3]))
        let gone = #expect(throws: NetlinkError.self) { try socket.send(.deleteRoute(routes[3])) }
        #expect(gone?.isRefusal(ESRCH) == true)
    }

    @Test func ipv6Routes() throws {
        let route = Route(to: try cidr("fd00:1::/64"), via: .interface(bridge.index), metric: 7)
        let blackhole = Route(to: try cidr("fd00:2::/122"), via: .blackhole)
        try socket.send([.addRoute(route), .addRoute(blackhole)])
        let listed = try socket.list(.routes(RouteFilter(family: .ipv6)))
        #expect(
            listed.contains { $0.destination == route.destination && $0.metric == 7 && $0.nextHop == route.nextHop }
        )
        #expect(listed.contains { $0.destination == blackhole.destination && $0.nextHop == .blackhole })
        #expect(try socket.get(.route(toward: address("fd00:1::5"))).destination == route.destination)
        try socket.send([.deleteRoute(route), .deleteRoute(blackhole)])
        #expect(try !socket.list(.routes(RouteFilter(family: .ipv6))).contains { $0.destination == route.destination })
    }

    @Test func addresses() throws {
        let first = InterfaceAddress(try cidr("192.0.2.1/32"), on: bridge.index, scope: .link)
        let second = InterfaceAddress(try cidr("fd00::1/128"), on: bridge.index, flags: .noDuplicateDetection)
        try socket.send([.addAddress(first), .addAddress(second)])
        let listed = try socket.list(.addresses(on: bridge.index))
        #expect(listed.contains { $0.prefix == first.prefix && $0.scope == .link })
        let ipv6 = try #require(listed.first { $0.prefix == second.prefix })
        #expect(ipv6.flags.contains(.noDuplicateDetection) && !ipv6.flags.contains(.tentative))
        #expect(try socket.list(.addresses(family: .ipv4, on: bridge.index)).map(\.prefix) == [first.prefix])
        let taken = #expect(throws: NetlinkError.self) { try socket.send(.addAddress(first)) }
        #expect(taken?.isRefusal(EEXIST) == true)
        try socket.send([.replaceAddress(second), .deleteAddress(first)])
        let gone = #expect(throws: NetlinkError.self) { try socket.send(.deleteAddress(first)) }
        #expect(gone?.isRefusal(EADDRNOTAVAIL) == true)
    }

    @Test func addressesOfAnotherNamespace() throws {
        let other = try NetworkNamespace.makeContainer()
        try socket.send(.addVeth(VethEnd(name: "a"), peer: VethEnd(name: "b"), in: other))
        let end = try socket.get(.link(.name("a")))
        let peer = try #require(end.peerIndex)
        try NetlinkSocket(in: other).send(.addAddress(InterfaceAddress(cidr("10.9.9.9/32"), on: peer)))
        let found = try socket.list(.addresses(family: .ipv4, on: peer, inNamespace: end.peerNamespace))
        #expect(found.map(\.prefix) == [try cidr("10.9.9.9/32")])
        #expect(try socket.get(.number(of: other)).rawValue == end.peerNamespace)
        #expect(try !socket.get(.number(of: .create())).isAssigned)
    }

    @Test func neighbours() throws {
        let mac = MACAddress(2, 0, 0, 0, 0, 9)
        let entries = [
            Neighbour.permanent(try address("192.0.2.7"), at: mac, on: bridge.index),
            Neighbour.permanent(try address("fe80::7"), at: mac, on: bridge.index),
        ]
        let proxy = Neighbour.proxy(try address("192.0.2.8"), on: bridge.index)
        try socket.send((entries + [proxy]).map { .setNeighbour($0) })
        let listed = try socket.list(.neighbours(on: bridge.index))
        for entry in entries { #expect(listed.contains(entry)) }
        #expect(!listed.contains { $0.isProxy })
        #expect(
            try socket.list(.neighbours(family: .ipv4, on: bridge.index, proxies: true)).map(\.address)
                == [proxy.address]
        )
        try socket.send([.deleteNeighbour(entries[0]), .deleteNeighbour(proxy)])
        #expect(try !socket.list(.neighbours(on: bridge.index)).contains(entries[0]))
    }

    @Test func rules() throws {
        let rules = [
            Rule(family: .ipv4, priority: 100, source: try cidr("10.0.0.0/8"), action: .lookup(.main)),
            Rule(
                family: .ipv4,
                priority: 101,
                mark: 0x10,
                markMask: 0xff,
                incomingInterface: "br0",
                action: .lookup(Route.Table(rawValue: 5000))
            ),
            Rule(family: .ipv6, priority: 102, destination: try cidr("fd00::/8"), action: .prohibit),
        ]
        try socket.send(rules.map { .addRule($0) })
        let listed = try socket.list(.rules(.ipv4)) + socket.list(.rules(.ipv6))
        for rule in rules { #expect(listed.contains(rule), "\(rule)") }
        try socket.send(rules.map { .deleteRule($0) })
        #expect(try !socket.list(.rules(.ipv4)).contains { $0.priority == 100 })
        let gone = #expect(throws: NetlinkError.self) { try socket.send(.deleteRule(rules[0])) }
        #expect(gone?.isRefusal(ENOENT) == true)
    }

    /// Lists are complete although links come and go meanwhile (NLM_F_DUMP_INTR).
    @Test func listsAreCompleteWhileTheTablesChange() async throws {
        let namespace = namespace
        try socket.send((0..<60).map { .addLink(name: "stays\($0)", kind: "bridge") })
        let churn = Task {
            try await namespace.run {
                let socket = try NetlinkSocket()
                for _ in 0..<15 {
                    try socket.send([.addVeth(VethEnd(name: "x"), peer: VethEnd(name: "y")), .deleteLink(.name("x"))])
                }
            }
        }
        for _ in 0..<60 {
            let names = try await namespace.run { try NetlinkSocket().list(.links()).map(\.name) }
            #expect(names.filter { $0.hasPrefix("stays") }.count == 60)
            #expect(Set(names).count == names.count)
        }
        try await churn.value
    }

    @Test func forgedAnswersAreIgnored() throws {
        let victim = try NetlinkSocket(in: namespace)
        var forged = MessageBuilder()
        forged.append(UInt32(36))
        forged.append(ControlMessage.error)
        forged.append(UInt16(0))
        forged.append(UInt32(1))  // the number of the victim's first request
        forged.append(victim.channel.portID)
        forged.append(Int32(-EPERM))
        forged.append(bytes: [UInt8](repeating: 0, count: 16))
        let forger = try namespace.run { Glibc.socket(AF_NETLINK, Int32(SOCK_RAW.rawValue), 0) }
        defer { close(forger) }
        // struct sockaddr_nl: family, padding, port, groups
        var address = MessageBuilder()
        address.append(UInt16(AF_NETLINK))
        address.append(UInt16(0))
        address.append(victim.channel.portID)
        address.append(UInt32(0))
        let sent = address.bytes.withUnsafeBytes { raw in
            sendto(
                forger,
                forged.bytes,
                forged.bytes.count,
                0,
                raw.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                socklen_t(raw.count)
            )
        }
        try #require(sent == 36)
        #expect(try victim.get(.link(.name("br0"))).index == bridge.index)
    }
}
