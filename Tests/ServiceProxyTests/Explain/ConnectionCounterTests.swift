import Foundation
import Logging
import NFTables
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

@Suite(.enabled(if: isRoot), .serialized)
struct ConnectionCounterTests {
    private let packets: PacketTests
    private let kernel: NetfilterSocket
    private var node: TestNode { packets.node }

    init() throws {
        packets = try PacketTests()
        kernel = try NetfilterSocket(in: packets.node.node)
    }

    private func makeBackend(counting: Bool = true) throws -> NFTablesBackend {
        try PacketTests.makeBackend(
            on: node,
            NFTablesOptions(localSources: TestNode.podNetworks, countsConnections: counting)
        )
    }

    /// Without what was read before.
    private func counts() async -> [Frontend.Key: UInt64] {
        await ConnectionCounters(
            kernel,
            families: IPFamily.allCases,
            options: NFTablesOptions(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ).current()
    }

    private func connect(_ times: Int, to address: IPAddress, _ port: UInt16, _ transport: TransportProtocol = .tcp)
        throws
    {
        for _ in 0..<times { _ = try dial(transport, from: node.outside.namespace, to: address, port: port) }
    }

    @Test(arguments: IPFamily.allCases)
    func eachConnectionCountsOnce(family: IPFamily) async throws {
        let backend = try makeBackend()
        let (cluster, own) = (PacketTests.serviceIPs[family]!, TestNode.nodeAddresses[family]!)
        var web = packets.clusterIP(family, .tcp, [1, 2])
        let dns = packets.clusterIP(family, .udp, [1])
        let empty = packets.clusterIP(family, .tcp, [], port: 81)
        let nodePort = packets.nodePort(family, .tcp, [1])
        _ = try await backend.start(with: [web, dns, empty, nodePort])
        #expect(await counts() == [web.key: 0, dns.key: 0, empty.key: 0, nodePort.key: 0])

        try connect(3, to: cluster, 80)
        try connect(2, to: cluster, 80, .udp)
        try connect(4, to: own, PacketTests.outerPort)
        // An exchange of several packets is one connection, and one that is refused has arrived too.
        _ = errorNumber { try dial(.tcp, from: node.outside.namespace, to: cluster, port: 81) }
        #expect(await counts() == [web.key: 3, dns.key: 2, empty.key: 1, nodePort.key: 4])

        // The list gets shorter, empty, and longer again: the count goes on.
        for pods in [[1], [], [1, 2, 3]] {
            let next = packets.clusterIP(family, .tcp, pods)
            #expect(try await backend.apply([.replace(old: web, new: next)]).isEmpty)
            web = next
        }
        try connect(2, to: cluster, 80)
        #expect(await counts()[web.key] == 5)

        // A restart leaves it alone, and what goes takes its count along.
        let restarted = try makeBackend()
        #expect(try await restarted.start(with: [web, dns, empty, nodePort]).findings[family] == .adopted)
        #expect(await counts()[web.key] == 5)
        #expect(try await restarted.apply([.remove(web)]).isEmpty)
        #expect(try await restarted.apply([.add(web)]).isEmpty)
        #expect(await counts() == [web.key: 0, dns.key: 2, empty.key: 1, nodePort.key: 4])
    }

    /// Switching it on and off takes the table over: nobody is refused meanwhile, and clients are remembered.
    @Test func switchingItLeavesNoGap() async throws {
        let plain = packets.clusterIP(.ipv4, .tcp, [1, 2, 3])
        let frontend = Frontend(
            key: plain.key,
            kind: plain.kind,
            servicePort: plain.servicePort,
            route: plain.route,
            affinityTimeout: 600
        )
        _ = try await makeBackend(counting: false).start(with: [frontend])
        let target = PacketTests.serviceIPs[.ipv4]!
        let home = try dial(.tcp, from: node.outside.namespace, to: target, port: 80).pod
        let load = LoadGenerator(from: node.outside.namespace, to: target, port: 80)
        for turn in 0..<10 {
            let start = try await makeBackend(counting: turn % 2 == 0).start(with: [frontend])
            #expect(start.findings[.ipv4] == .adopted)
            #expect(try await makeBackend(counting: turn % 2 == 0).start(with: [frontend]).changes == 0)
            let listing = try node.node.nft("list", "table", "ip", "swiftlet")
            #expect(listing.contains("connections") == (turn % 2 == 0))
        }
        let outcome = load.stop()
        #expect(outcome.failures.isEmpty)
        #expect(outcome.dialled > 10)
        #expect(try dial(.tcp, from: node.outside.namespace, to: target, port: 80).pod == home)
    }

    @Test func nftListsAndLoadsTheCounters() async throws {
        let web = packets.clusterIP(.ipv4, .tcp, [1])
        _ = try await makeBackend().start(with: [web])
        try connect(2, to: PacketTests.serviceIPs[.ipv4]!, 80)
        let listing = try node.node.nft("list", "table", "ip", "swiftlet")
        #expect(
            listing.contains("10.96.0.10 . tcp . 80 counter packets 2 bytes 120 comment \"default/web:http\""),
            "\(listing)"
        )
        try node.node.nft("delete", "table", "ip", "swiftlet")
        let directory = try TemporaryDirectory()
        try listing.write(toFile: directory.path + "/table", atomically: true, encoding: .utf8)
        try node.node.nft("-f", directory.path + "/table")
        #expect(try await makeBackend().start(with: [web]).findings[.ipv4] == .adopted)
        #expect(await counts()[web.key] == 2)
    }
}

/// The same against the kernel in memory.
@Suite struct CountedSetTests {
    @Test func whoTakesAKeyOverStartsAtZero() async throws {
        let kernel = FakeKernel()
        let options = NFTablesOptions(countsConnections: true)
        let table = ServiceTable(family: .ipv4, options: options)
        let backend = NFTablesBackend(kernel: kernel, families: [.ipv4], options: options, logger: quiet)
        func frontend(_ name: String) -> Frontend {
            Frontend(
                key: .address(address("203.0.113.1"), .tcp, 80),
                kind: .externalIP,
                servicePort: ServicePortName(namespace: "default", name: name, port: "", transport: .tcp),
                route: Route(backends: [], masquerade: .always, whenEmpty: .reject)
            )
        }
        _ = try await backend.start(with: [frontend("a")])
        #expect(try kernel.elements(of: "connections", in: table.table).map(\.comment) == ["default/a"])
        #expect(try await backend.apply([.replace(old: frontend("a"), new: frontend("b"))]).isEmpty)
        #expect(try kernel.elements(of: "connections", in: table.table).map(\.comment) == ["default/b"])
        #expect(
            try kernel.element(Key.frontend(frontend("b").key), of: table.maps.service.connections!, in: table.table)?
                .packets == 0
        )
        #expect(try await backend.apply([.remove(frontend("b"))]).isEmpty)
        #expect(try kernel.elements(of: "connections", in: table.table).isEmpty)
    }

    @Test func nothingIsThereWhenItIsOff() async throws {
        let kernel = FakeKernel()
        let table = ServiceTable(family: .ipv4, options: NFTablesOptions())
        _ = try await NFTablesBackend(kernel: kernel, families: [.ipv4], logger: quiet).start(with: [])
        #expect(try kernel.sets(of: table.table).allSatisfy { !$0.countsPackets && !$0.name.contains("connections") })
        #expect(try kernel.rules(of: table.table).filter { $0.rule.chain == "services" }.count == 2)
    }
}

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
