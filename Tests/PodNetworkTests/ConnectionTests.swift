import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import PodNetwork

/// What the kernel remembers of a pod that is gone (the next pod with its address must not inherit it).
@Suite(.enabled(if: isRoot))
struct ConnectionTests {
    @Test func connectionsOfAPodAreForgottenAndOthersAreKept() throws {
        let node = try PodFixture()
        try node.host.nft("add table ip t")
        try node.host.nft("add chain ip t in { type filter hook prerouting priority 0; }")
        try node.host.nft("add rule ip t in ct state new counter")
        let pods = try ["10.80.0.1", "10.80.0.2", "10.80.0.3"].map { try node.pod("web-\($0)", $0) }
        for pod in pods { try node.attach(pod) }
        let senders = try pods.map { try TestSocket(.udp, in: $0.namespace, bound: $0.addresses[0], port: 40_000) }
        try senders[0].send("?", to: pods[1].addresses[0], port: 53)
        try senders[2].send("?", to: pods[1].addresses[0], port: 53)
        func sources() throws -> [String] {
            try NetlinkSocket(.netfilter, in: node.host).conntrackEntries(.ipv4, .udp) { _ in true }
                .map(\.original.source.description).sorted()
        }
        #expect(try sources() == ["10.80.0.1", "10.80.0.3"])
        #expect(try node.host.run { try PodNetwork.forgetConnections(of: pods[0].addresses) } == 1)
        #expect(try sources() == ["10.80.0.3"])
        #expect(try node.host.run { try PodNetwork.forgetConnections(of: pods[0].addresses) } == 0)
        #expect(try node.host.run { try PodNetwork.forgetConnections(of: []) } == 0)
        withExtendedLifetime(senders) {}
    }

    @Test func aNodeThatTracksNothingHasNothingToForget() throws {
        let node = try PodFixture()
        #expect(try node.host.run { try PodNetwork.forgetConnections(of: [try "10.80.0.1".address]) } == 0)
    }
}
