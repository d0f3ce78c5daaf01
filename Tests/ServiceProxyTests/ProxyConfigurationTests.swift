import NetworkTypes
import Testing

@testable import ServiceProxy

@Suite struct ProxyConfigurationTests {
    typealias Arguments = ProxyConfiguration.Arguments

    @Test func defaults() throws {
        let configuration = try ProxyConfiguration(Arguments(manifests: "/m"), hostName: " Node-1\n")
        #expect(configuration.nodeName == "node-1")
        #expect(configuration.clusterCIDRs.isEmpty)
        #expect(configuration.nodePortAddresses == .primary)
        #expect(configuration.planner == ServicePlanner(masqueradeAll: false, familiesWithLocalDetection: []))
    }

    @Test func everythingGiven() throws {
        let configuration = try ProxyConfiguration(
            Arguments(
                manifests: "/m",
                proxyMode: "nftables",
                hostnameOverride: "OTHER",
                clusterCIDR: "10.244.3.4/16, fd00::/48",
                masqueradeAll: true,
                nodePortAddresses: ["192.168.0.0/16,fd01::/64", "10.0.0.0/8"]
            ),
            hostName: "n"
        )
        #expect(configuration.nodeName == "other")
        #expect(configuration.clusterCIDRs == [.ipv4: CIDR("10.244.0.0/16")!, .ipv6: CIDR("fd00::/48")!])
        #expect(
            configuration.nodePortAddresses
                == .within([CIDR("192.168.0.0/16")!, CIDR("fd01::/64")!, CIDR("10.0.0.0/8")!])
        )
        #expect(configuration.planner.familiesWithLocalDetection == [.ipv4, .ipv6])
    }

    @Test func allProblemsAreReportedAtOnce() {
        let error = #expect(throws: ProxyConfiguration.Invalid.self) {
            try ProxyConfiguration(
                Arguments(
                    manifests: "/m",
                    proxyMode: "ipvs",
                    hostnameOverride: "  ",
                    clusterCIDR: "10.0.0.0/8,11.0.0.0/8",
                    nodePortAddresses: ["primary", "10.0.0.0/8", "all"]
                ),
                hostName: "n"
            ) { _ in "not a directory" }
        }
        #expect(
            error?.problems == [
                "--proxy-mode: \"ipvs\" is not supported; the only mode is nftables",
                "--hostname-override: the name of the node is empty",
                "--manifests: /m: not a directory",
                "--cluster-cidr: more than one IPv4 prefix; give one, or one of each family",
                "--nodeport-addresses: \"primary\" cannot be combined with CIDRs",
                "--nodeport-addresses: \"all\" is neither a CIDR nor \"primary\"",
            ]
        )
    }

    @Test func withoutManifestsObjectsComeFromTheAPI() throws {
        let inCluster = try ProxyConfiguration(Arguments(), hostName: "n")
        #expect(
            inCluster.source
                == .api(
                    .init(
                        prefersProtobuf: true,
                        qps: 5,
                        burst: 10,
                        snapshot: ProxyConfiguration.defaultSnapshot
                    )
                )
        )
        let given = try ProxyConfiguration(
            Arguments(
                kubeconfig: "/k",
                master: "https://m:6443",
                contentType: "application/json",
                qps: 0,
                burst: 0,
                snapshot: ""
            ),
            hostName: "n"
        )
        #expect(
            given.source
                == .api(
                    .init(kubeconfig: "/k", master: "https://m:6443", prefersProtobuf: false, qps: 5, burst: 10)
                )
        )
        #expect(
            try ProxyConfiguration(Arguments(manifests: "/m"), hostName: "n").source == .manifests(directory: "/m")
        )
    }

    @Test(arguments: [
        (Arguments(manifests: "/m", kubeconfig: "/k"), "--manifests: cannot be combined with"),
        (Arguments(manifests: "/m", master: "http://m"), "--manifests: cannot be combined with"),
        (Arguments(manifests: ""), "--manifests: the name of the directory is empty"),
        (Arguments(contentType: "application/cbor"), "--kube-api-content-type: \"application/cbor\" is neither"),
        (Arguments(burst: -1), "--kube-api-burst: -1 is less than 0"),
        (Arguments(snapshot: "here"), "--snapshot: \"here\" is not an absolute path"),
    ])
    func sourcesThatAreNone(_ arguments: Arguments, _ problem: String) {
        let error = #expect(throws: ProxyConfiguration.Invalid.self) {
            try ProxyConfiguration(arguments, hostName: "n")
        }
        #expect(error?.problems.count == 1)
        #expect(error?.problems.first?.hasPrefix(problem) == true)
    }

    @Test(arguments: ["10.0.0.0", "10.0.0.0/8,", "fd00::/48,x"])
    func clusterCIDRsThatAreNone(_ text: String) {
        #expect(throws: ProxyConfiguration.Invalid.self) {
            try ProxyConfiguration(Arguments(manifests: "/m", clusterCIDR: text), hostName: "n")
        }
    }

    struct NodePortCase: Sendable {
        let given: [String]
        let ipv4: NodePortAddresses.Selection
        let ipv6: NodePortAddresses.Selection
        var node = thisNode
    }

    @Test(arguments: [
        NodePortCase(given: [], ipv4: .only([address("172.16.0.1")]), ipv6: .only([address("fd16::1")])),
        NodePortCase(given: ["primary"], ipv4: .all, ipv6: .all, node: NodeFacts(name: "n")),
        NodePortCase(
            given: ["primary"],
            ipv4: .all,
            ipv6: .only([address("fd16::1")]),
            node: NodeFacts(name: "n", addresses: [.ipv4: address("127.0.0.1"), .ipv6: address("fd16::1")])
        ),
        NodePortCase(
            given: ["172.16.0.0/16"],
            ipv4: .only([address("172.16.0.1"), address("172.16.9.9")]),
            ipv6: .all
        ),
        NodePortCase(given: ["172.16.0.0/16,0.0.0.0/0"], ipv4: .all, ipv6: .all),
        NodePortCase(given: ["192.0.2.0/24", "fd16::/64"], ipv4: .only([]), ipv6: .only([address("fd16::1")])),
        NodePortCase(given: ["127.0.0.0/8,::1/128"], ipv4: .only([]), ipv6: .only([])),
    ])
    func nodePortAddresses(_ c: NodePortCase) throws {
        let addresses = try ProxyConfiguration(
            Arguments(manifests: "/m", nodePortAddresses: c.given),
            hostName: "n"
        ).nodePortAddresses
        let local = Set(["127.0.0.1", "::1", "172.16.0.1", "172.16.9.9", "fd16::1", "10.0.0.1"].map { address($0) })
        #expect(addresses.selection(in: .ipv4, node: c.node, local: local) == c.ipv4)
        #expect(addresses.selection(in: .ipv6, node: c.node, local: local) == c.ipv6)
    }

    @Test func flagsWithValues() {
        let given = [
            "p", "--masquerade-all=true", "--cleanup=false", "--v=2", "--masquerade-all=x", "--", "--cleanup=true",
        ]
        #expect(
            ProxyConfiguration.withoutBooleanValues(given, flags: ["--masquerade-all", "--cleanup"])
                == ["p", "--masquerade-all", "--v=2", "--masquerade-all=x", "--", "--cleanup=true"]
        )
    }

    @Test func thisMachine() {
        #expect(!LocalNode.hostName.isEmpty)
        #expect(LocalNode.addresses()?.contains(address("127.0.0.1")) == true)
        #expect(LocalNode.families.contains(.ipv4))
    }
}
