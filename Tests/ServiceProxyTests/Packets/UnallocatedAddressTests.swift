import Glibc
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// Addresses of a service range that no Service has.
@Suite(.enabled(if: isRoot), .serialized)
struct UnallocatedAddressTests {
    /// 3.1, cluster-ips-check: what nobody has of a service range is dropped, whoever asks and for whatever protocol.
    @Test(arguments: IPFamily.allCases, TestBackend.allCases)
    func unallocatedClusterIPsAreDropped(family: IPFamily, mode: TestBackend) async throws {
        let node = try TestNode()
        let sources = LocalSources.within(TestNode.podNetworks)
        var backend = try mode.make(on: node, Surroundings(localSources: sources))
        let frontend = Frontend(
            key: .address(PacketTests.serviceIPs[family]!, .tcp, 80),
            kind: .clusterIP,
            servicePort: ServicePortName(namespace: "default", name: "web", port: "http", transport: .tcp),
            route: Route(backends: node.backends([1], family), masquerade: .unlessLocal, whenEmpty: .reject)
        )
        _ = try await backend.start(with: [frontend])
        let unallocated = address(family == .ipv4 ? "10.96.0.77" : "fd96::77")
        let range = CIDR(family == .ipv4 ? "10.96.0.0/16" : "fd96::/112")!
        // As without the range it would go out by the default route, somebody there counts what arrives.
        try node.node.nft("add", "table", "inet", "probe")
        try node.node.nft("add chain inet probe post { type filter hook postrouting priority 300; }")
        let text = family == .ipv4 ? "ip daddr \(unallocated)" : "ip6 daddr \(unallocated)"
        try node.node.nft("add rule inet probe post \(text) counter")
        func passed() throws -> Bool {
            !(try node.node.nft("list", "table", "inet", "probe").contains("counter packets 0 "))
        }
        func dialAll() throws {
            for source in [node.pods[1].namespace, node.outside.namespace, node.node] {
                for transport in [TransportProtocol.tcp, .udp] {
                    let error = errorNumber {
                        try dial(transport, from: source, to: unallocated, port: 80, timeout: 100)
                    }
                    // The node itself is told that it may not send.
                    #expect([EINPROGRESS, EAGAIN, EPERM, ETIMEDOUT].contains(error))
                }
            }
        }
        try dialAll()
        #expect(try passed())

        func move(to surroundings: Surroundings) async throws {
            guard try await !backend.adapt(to: surroundings) else { return }
            backend = try mode.make(on: node, surroundings)
            _ = try await backend.start(with: [frontend])
        }
        try await move(to: Surroundings(localSources: sources, serviceCIDRs: [range]))
        try node.node.nft("flush", "chain", "inet", "probe", "post")
        try node.node.nft("add rule inet probe post \(text) counter")
        try dialAll()
        #expect(try passed() == mode.cannot(.unallocatedAddresses))
        // What is allocated is not touched: it answers, and refuses other ports.
        #expect(
            try dial(.tcp, from: node.pods[1].namespace, to: PacketTests.serviceIPs[family]!, port: 80).pod == "pod1"
        )
        // iptables does not know which addresses are allocated; in userspace mode the node has them.
        let refusal = errorNumber {
            try dial(.tcp, from: node.outside.namespace, to: PacketTests.serviceIPs[family]!, port: 81, timeout: 100)
        }
        #expect(refusal == (mode.flavour == nil ? ECONNREFUSED : EINPROGRESS))
        try await move(to: Surroundings(localSources: sources))
        try dialAll()
        #expect(try passed())
    }
}
