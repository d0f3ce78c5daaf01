import Glibc
import NetworkTypes
import TestSupport
import Testing

@testable import Netlink

/// The kernel's own table, with flows that a NAT rule translates.
@Suite(.enabled(if: isRoot))
struct ConntrackTests {
    let namespace: NetworkNamespace
    let socket: NetlinkSocket

    private static let targets: [IPFamily: IPAddress] = [
        .ipv4: IPAddress("10.96.0.10")!, .ipv6: IPAddress("fd96::10")!,
    ]
    private static let hosts: [IPFamily: IPAddress] = [.ipv4: IPAddress("127.0.0.1")!, .ipv6: IPAddress("::1")!]

    init() throws {
        namespace = try .makeContainer()
        socket = try NetlinkSocket(.netfilter, in: namespace)
        let routes = try NetlinkSocket(in: namespace)
        let loopback = try routes.get(.link(.name("lo"))).index
        for (family, target) in Self.targets {
            try routes.send(.addRoute(Route(to: target.hostPrefix, via: .interface(loopback))))
            let (table, ip) = family == .ipv4 ? ("ip t", "ip") : ("ip6 t", "ip6")
            try namespace.nft("add table \(table)")
            try namespace.nft("add chain \(table) out { type nat hook output priority -100; }")
            let pod = family == .ipv4 ? "127.0.0.1:5353" : "[::1]:5353"
            try namespace.nft("add rule \(table) out \(ip) daddr \(target) meta l4proto { tcp, udp } dnat to \(pod)")
        }
    }

    /// Sends a datagram to the translated address, from a port that it returns with the socket.
    private func flow(_ family: IPFamily, port: UInt16) throws -> TestSocket {
        let client = try TestSocket(.udp, in: namespace, bound: Self.hosts[family]!, port: port)
        try client.send("?", to: Self.targets[family]!, port: 53)
        return client
    }

    private func sourcePorts(_ family: IPFamily) throws -> [UInt16] {
        try socket.conntrackEntries(family, .udp) { _ in true }.map(\.original.sourcePort).sorted()
    }

    /// Whatever place the address has in a connection: whom it is from, whom it was sent to, whom it reached.
    @Test(arguments: IPFamily.allCases)
    func connectionsOfOneAddress(family: IPFamily) throws {
        let (host, target) = (try #require(Self.hosts[family]), try #require(Self.targets[family]))
        let other = try #require(IPAddress(family == .ipv4 ? "127.0.0.9" : "fd96::99"))
        let routes = try NetlinkSocket(in: namespace)
        let loopback = try routes.get(.link(.name("lo"))).index
        if family == .ipv6 {
            try routes.send(.addAddress(.init(other.hostPrefix, on: loopback, flags: .noDuplicateDetection)))
        }
        let server = try TestSocket(.udp, in: namespace, bound: host, port: 5353)
        let translated = try flow(family, port: 40_000)
        let plain = try TestSocket(.udp, in: namespace, bound: other, port: 40_001)
        try plain.send("?", to: host, port: 5353)
        #expect(try socket.conntrackEntries(family, .udp) { _ in true }.count == 2)

        func ports(of address: IPAddress) throws -> [UInt16] {
            try socket.conntrackEntries(of: address, limit: 100).map(\.original.sourcePort).sorted()
        }
        #expect(try ports(of: host) == [40_000, 40_001])
        #expect(try ports(of: target) == [40_000])
        #expect(try ports(of: other) == [40_001])
        #expect(try ports(of: try #require(IPAddress(family == .ipv4 ? "192.0.2.1" : "2001:db8::1"))) == [])
        #expect(try socket.conntrackEntries(of: host, limit: 1).count == 1)
        #expect(try socket.deleteConntrackEntries(socket.conntrackEntries(of: other, limit: 100)) == 1)
        #expect(try sourcePorts(family) == [40_000])
        withExtendedLifetime([server, translated, plain]) {}
    }

    @Test(arguments: IPFamily.allCases)
    func flowsAreListedAndDeletedOneByOne(family: IPFamily) throws {
        let server = try TestSocket(.udp, in: namespace, bound: Self.hosts[family]!, port: 5353)
        let flows = try (0..<3).map { try flow(family, port: 40_000 + $0) }
        // A connection of another protocol with the same addresses is left alone, by the kernel's filter or by ours.
        let listener = try TestSocket(.tcp, in: namespace, bound: Self.hosts[family]!, port: 5353)
        let connection = try TestSocket(.tcp, in: namespace, bound: Self.hosts[family]!)
        try connection.connect(to: Self.targets[family]!, port: 53)

        let entries = try socket.conntrackEntries(family, .udp) { _ in true }
        #expect(entries.count == 3)
        // This kernel leaves out the others by itself.
        let request = NetlinkQuery.conntrackEntries(family, .udp, isFilteredByKernel: true).request
        let filtered = try socket.list(
            NetlinkQuery<ConntrackEntry>(request) { message throws(MalformedMessage) in try ConntrackEntry(message) }
        )
        #expect(filtered.map(\.original.transport) == [17, 17, 17])
        let first = try #require(entries.first { $0.original.sourcePort == 40_000 })
        #expect(first.original.destination == Self.targets[family])
        #expect(first.original.destinationPort == 53)
        #expect(first.reply.source == Self.hosts[family])
        #expect(first.reply.sourcePort == 5353)
        #expect(first.isTranslated)
        #expect(first.id != nil)
        let other: IPFamily = family == .ipv4 ? .ipv6 : .ipv4
        #expect(try sourcePorts(other) == [])
        #expect(try socket.conntrackEntries(family, .tcp) { _ in true }.count == 1)
        #expect(try socket.conntrackEntries(family, .udp) { $0.original.sourcePort == 40_001 }.count == 1)

        #expect(try socket.deleteConntrackEntries([first]) == 1)
        #expect(try sourcePorts(family) == [40_001, 40_002])
        // What is gone is no error, and what follows it is still done.
        let second = try #require(entries.first { $0.original.sourcePort == 40_001 })
        #expect(try socket.deleteConntrackEntries([first, second]) == 1)
        #expect(try sourcePorts(family) == [40_002])
        #expect(try socket.conntrackEntries(family, .tcp) { _ in true }.count == 1)
        withExtendedLifetime((server, flows, listener, connection)) {}
    }

    /// A flow with the tuple of one that is gone is another one.
    @Test func aLaterFlowOfTheSameTupleStays() throws {
        let client = try flow(.ipv4, port: 40_000)
        let old = try #require(try socket.conntrackEntries(.ipv4, .udp) { _ in true }.first)
        let stranger = ConntrackEntry(original: old.original, reply: old.reply, zone: old.zone, id: old.id.map { ~$0 })
        #expect(try socket.deleteConntrackEntries([stranger]) == 0)
        #expect(try sourcePorts(.ipv4) == [40_000])
        withExtendedLifetime(client) {}
    }

    @Test func entriesOfAZoneAreDeletedThere() throws {
        try namespace.nft("add chain ip t raw { type filter hook output priority -300; }")
        try namespace.nft("add rule ip t raw udp sport 40000 ct zone set 7")
        let flows = try (0..<2).map { try flow(.ipv4, port: 40_000 + $0) }
        let entries = try socket.conntrackEntries(.ipv4, .udp) { $0.zone == 7 }
        #expect(entries.map(\.original.sourcePort) == [40_000])
        #expect(try socket.deleteConntrackEntries(entries) == 1)
        #expect(try sourcePorts(.ipv4) == [40_001])
        withExtendedLifetime(flows) {}
    }

    /// More than one buffer of the kernel's, and more than one batch of ours.
    @Test func aThousandFlows() throws {
        let target = Self.targets[.ipv4]!
        let client = try TestSocket(.udp, in: namespace, bound: Self.hosts[.ipv4]!, port: 40_000)
        for port in 1...1000 { try client.send("?", to: target, port: UInt16(port)) }
        let entries = try socket.conntrackEntries(.ipv4, .udp) { $0.original.destination == target }
        #expect(Set(entries.map(\.original.destinationPort)).count == 1000)
        #expect(try socket.get(.conntrackCount) >= 1000)
        #expect(try socket.deleteConntrackEntries(entries) == 1000)
        #expect(try sourcePorts(.ipv4) == [])
    }
}
