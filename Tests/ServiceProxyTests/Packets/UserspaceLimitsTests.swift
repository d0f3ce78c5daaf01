import Foundation
import Glibc
import NetworkTypes
import TestSupport
import Testing

import class Netlink.NetworkNamespace

@testable import ServiceProxy

/// What userspace mode cannot do, one by one as docs/userspace.md says what happens instead. What is not here is in the
/// tests that all modes share, where they ask for a ``ModeLimit``.
@Suite(.enabled(if: isRoot), .serialized)
struct UserspaceLimitsTests {
    static let serviceIP = PacketTests.serviceIPs[.ipv4]!

    let node: TestNode
    let backend: any ServiceBackend

    init() throws {
        node = try TestNode()
        backend = try TestBackend.userspace.make(on: node)
    }

    private func clusterIP(
        _ transport: TransportProtocol,
        _ pods: [Int],
        near: [Int]? = nil,
        allowedSources: [CIDR]? = nil
    ) -> Frontend {
        func route(_ pods: [Int]) -> Route {
            Route(backends: node.backends(pods, .ipv4), masquerade: .unlessLocal, whenEmpty: .drop)
        }
        return Frontend(
            key: .address(Self.serviceIP, transport, 80),
            kind: .loadBalancerIP,
            servicePort: ServicePortName(namespace: "default", name: "web", port: "http", transport: transport),
            route: route(pods),
            nearRoute: near.map(route),
            allowedSources: allowedSources
        )
    }

    /// The first column of the table of the docs has what the tests know, and no more.
    @Test func theDocsNameAllLimits() throws {
        let root = URL(filePath: #filePath).pathComponents.dropLast(4).joined(separator: "/")
        let text = try String(contentsOfFile: "\(root)/docs/userspace.md", encoding: .utf8)
        let sections = text.components(separatedBy: "\n## ")
        let section = try #require(sections.first { $0.hasPrefix("What this mode cannot do") })
        let rows = section.split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst(2)
        let cells = rows.map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
        #expect(Set(cells.map { $0[0] }) == Set(TestBackend.userspace.limits.map(\.rawValue)))
        #expect(cells.allSatisfy { $0.count == 3 && !$0[1].isEmpty && !$0[2].isEmpty })
    }

    @Test func sctpIsRefusedClearlyAndTheRestIsServed() async throws {
        let start = try await backend.start(with: [clusterIP(.sctp, [1]), clusterIP(.tcp, [1])])
        #expect(start.refused.map(\.frontend.key) == [.address(Self.serviceIP, .sctp, 80)])
        #expect(start.refused.allSatisfy { $0.reason.contains("SCTP") && $0.reason.contains("nftables mode") })
        #expect(try dial(.tcp, from: node.node, to: Self.serviceIP, port: 80).pod == "pod1")
    }

    @Test func connectionsEndWithTheProxy() async throws {
        let frontends = [clusterIP(.tcp, [1])]
        _ = try await backend.start(with: frontends)
        let client = try TestSocket(.tcp, in: node.outside.namespace, bound: .v4(.unspecified))
        try client.connect(to: Self.serviceIP, port: 80)
        let server = await backend.metrics().first { $0.name == "swiftlet_proxy_userspace_open_connections" }
        #expect(server?.samples.count == 1)
        let next = try await TestBackend.userspace.takeOver(from: backend, on: node)
        #expect { try client.receive() } throws: { isReset(($0 as? TestSocket.Failure)?.code ?? 0) }
        // The address stays, and refuses until it is served again.
        #expect(
            errorNumber { try dial(.tcp, from: node.outside.namespace, to: Self.serviceIP, port: 80) } == ECONNREFUSED
        )
        _ = try await next.start(with: frontends)
        #expect(try dial(.tcp, from: node.outside.namespace, to: Self.serviceIP, port: 80).pod == "pod1")
    }

    /// Over TCP they are reset: ``PacketTests``.
    @Test func datagramsOfUnwantedClientsAreDropped() async throws {
        let restricted = clusterIP(.udp, [1], allowedSources: [CIDR("192.0.2.0/24")!])
        _ = try await backend.start(with: [restricted])
        func error(from client: NetworkNamespace) -> Int32 {
            errorNumber { try dial(.udp, from: client, to: Self.serviceIP, port: 80, timeout: 300) }
        }
        #expect(error(from: node.outside.namespace) == 0)
        #expect(error(from: node.pods[1].namespace) == EAGAIN)
        let nearOnly = clusterIP(.udp, [], near: [2])
        #expect(try await backend.apply([.replace(old: restricted, new: nearOnly)]).isEmpty)
        #expect(error(from: node.outside.namespace) == EAGAIN)
        #expect(error(from: node.pods[1].namespace) == 0)
    }

    @Test func whatListensOnAllAddressesAnswersAtThoseOfServices() async throws {
        let nodePort = Frontend(
            key: .nodePort(.ipv4, .tcp, 30080),
            kind: .nodePort,
            servicePort: ServicePortName(namespace: "default", name: "other", port: "http", transport: .tcp),
            route: Route(backends: node.backends([2], .ipv4), masquerade: .always, whenEmpty: .reject)
        )
        _ = try await backend.start(with: [clusterIP(.tcp, [1]), nodePort])
        let server = try TestSocket(.udp, in: node.node, bound: .v4(.unspecified), port: 9999)
        let client = try TestSocket(.udp, in: node.outside.namespace, bound: .v4(.unspecified))
        try client.connect(to: Self.serviceIP, port: 9999)
        try client.send("?")
        #expect(try server.receive() == "?")
        #expect(try dial(.tcp, from: node.outside.namespace, to: Self.serviceIP, port: 30080).pod == "pod2")
        // A port that nobody listens on is refused as anywhere on the node.
        #expect(
            errorNumber { try dial(.tcp, from: node.outside.namespace, to: Self.serviceIP, port: 81) } == ECONNREFUSED
        )
    }

    @Test func theNodeAnswersEchoRequests() async throws {
        _ = try await backend.start(with: [clusterIP(.tcp, [1])])
        let descriptor = try await node.outside.namespace.run {
            socket(AF_INET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), Int32(IPPROTO_ICMP))
        }
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_addr.s_addr = Self.serviceIP.bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
        // RFC 792: an echo request with the checksum of its one word, no identifier and no data.
        let request: [UInt8] = [8, 0, 0xf7, 0xff, 0, 0, 0, 0]
        let sent = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, request, request.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        #expect(sent == request.count)
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&wait, 1, 5000) == 1)
        var reply = [UInt8](repeating: 0xff, count: 128)
        // An IP header, from the Service's address, and an echo reply.
        #expect(recv(descriptor, &reply, reply.count, 0) == 28)
        #expect(Array(reply[12..<16]) == Array(Self.serviceIP.bytes))
        #expect(reply[20] == 0)
    }
}
