import NetworkTypes
import Testing

@testable import ServiceProxy

@Suite struct ProxyConfigurationTests {
    private func make(
        _ arguments: [String] = ["--manifests=/m"],
        hostName: String = "n",
        manifestProblem: (String) -> String? = { _ in nil }
    ) throws -> ProxyConfiguration {
        try ProxyConfiguration(
            ProxyCommandLine(arguments).values,
            hostName: hostName,
            manifestProblem: manifestProblem
        )
    }

    @Test func defaults() throws {
        let configuration = try make(hostName: " Node-1\n")
        #expect(configuration.nodeName == "node-1")
        #expect(configuration.clusterCIDRs.isEmpty)
        #expect(configuration.nodePortAddresses == .primary)
        #expect(configuration.nodeAddress == nil)
        #expect(configuration.masqueradeBit == 14)
        #expect(configuration.minSyncPeriod == .zero)
        #expect(configuration.healthServer == BindAddress("0.0.0.0:10256"))
        #expect(configuration.statusServer == BindAddress("127.0.0.1:10249"))
        #expect(configuration.planner == ServicePlanner(masqueradeAll: false, familiesWithLocalDetection: []))
    }

    @Test func everythingGiven() throws {
        let configuration = try make([
            "--manifests=/m", "--proxy-mode=nftables", "--hostname-override=OTHER",
            "--cluster-cidr=10.244.3.4/16, fd00::/48", "--masquerade-all", "--bind-address=10.1.1.1",
            "--nodeport-addresses=192.168.0.0/16,fd01::/64", "--nodeport-addresses=10.0.0.0/8", "--healthz-port=0",
        ])
        #expect(configuration.nodeName == "other")
        #expect(configuration.clusterCIDRs == [.ipv4: CIDR("10.244.0.0/16")!, .ipv6: CIDR("fd00::/48")!])
        #expect(
            configuration.nodePortAddresses
                == .within([CIDR("192.168.0.0/16")!, CIDR("fd01::/64")!, CIDR("10.0.0.0/8")!])
        )
        #expect(configuration.nodeAddress == address("10.1.1.1"))
        #expect(configuration.healthServer == nil)
        #expect(configuration.planner.familiesWithLocalDetection == [.ipv4, .ipv6])
    }

    @Test func allProblemsAreReportedAtOnce() {
        let error = #expect(throws: ProxyConfiguration.Invalid.self) {
            try make(
                ["--manifests=/m", "--proxy-mode=ipvs", "--hostname-override=  ", "--nodeport-addresses=primary,all"]
            ) { _ in "not a directory" }
        }
        #expect(
            error?.problems == [
                """
                KubeProxyConfiguration.Mode: Invalid value: "ipvs": must be nftables, iptables, userspace or blank \
                (blank means the best possible); there is no ipvs mode here, and nftables serves the same clusters
                """,
                "KubeProxyConfiguration.NodePortAddresses[0]: Invalid value: \"primary\": can only be used alone",
                """
                KubeProxyConfiguration.NodePortAddresses[1]: Invalid value: "all": must be a valid CIDR block or primary
                """,
                "--hostname-override: the name of the node is empty",
                "--manifests: /m: not a directory",
            ]
        )
    }

    @Test func withoutManifestsObjectsComeFromTheAPI() throws {
        #expect(
            try make([]).source
                == .api(
                    .init(prefersProtobuf: true, qps: 5, burst: 10, snapshot: ProxyConfiguration.defaultSnapshot)
                )
        )
        let given = try make([
            "--kubeconfig=/k", "--master=https://m:6443", "--kube-api-content-type=application/json",
            "--kube-api-qps=0", "--kube-api-burst=0", "--snapshot=",
        ])
        #expect(
            given.source
                == .api(
                    .init(kubeconfig: "/k", master: "https://m:6443", prefersProtobuf: false, qps: 5, burst: 10)
                )
        )
        #expect(try make().source == .manifests(directory: "/m"))
    }

    @Test(arguments: [
        (["--manifests=/m", "--kubeconfig=/k"], "--manifests: cannot be combined with"),
        (["--manifests=/m", "--master=http://m"], "--manifests: cannot be combined with"),
        (["--manifests="], "--manifests: the name of the directory is empty"),
        (["--kube-api-content-type=application/cbor"], "KubeProxyConfiguration.ClientConnection.ContentType: "),
        (["--kube-api-burst=-1"], "KubeProxyConfiguration.ClientConnection.Burst: Invalid value: -1: must be non-neg"),
        (["--snapshot=here"], "--snapshot: \"here\" is not an absolute path"),
    ])
    func sourcesThatAreNone(_ arguments: [String], _ problem: String) {
        let error = #expect(throws: ProxyConfiguration.Invalid.self) { try make(arguments) }
        #expect(error?.problems.count == 1)
        #expect(error?.problems.first?.hasPrefix(problem) == true)
    }

    @Test(arguments: ["10.0.0.0", "10.0.0.0/8,", "fd00::/48,x", "10.0.0.0/8,11.0.0.0/8"])
    func clusterCIDRsThatAreNone(_ text: String) {
        let error = #expect(throws: ProxyConfiguration.Invalid.self) {
            try make(["--manifests=/m", "--cluster-cidr", text])
        }
        #expect(error?.problems.first?.hasPrefix("KubeProxyConfiguration.ClusterCIDR: Invalid value: ") == true)
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
        let given = c.given.map { "--nodeport-addresses=\($0)" }
        let addresses = try make(["--manifests=/m"] + given).nodePortAddresses
        let local = Set(["127.0.0.1", "::1", "172.16.0.1", "172.16.9.9", "fd16::1", "10.0.0.1"].map { address($0) })
        #expect(addresses.selection(in: .ipv4, node: c.node, local: local) == c.ipv4)
        #expect(addresses.selection(in: .ipv6, node: c.node, local: local) == c.ipv6)
    }

    @Test func settingsAreThoseOfTheMode() throws {
        var configuration = try make([
            "--manifests=/m", "--iptables-masquerade-bit=5", "--iptables-sync-period=10s", "--masquerade-all",
        ])
        #expect(configuration.wantedMode == nil)
        #expect(configuration.masqueradeBit == 14)
        configuration.mode = .iptables
        #expect(configuration.masqueradeBit == 5)
        #expect(configuration.syncPeriod == .seconds(10))
        #expect(configuration.minSyncPeriod == .seconds(1))
        #expect(configuration.masqueradeAll)
        // 1.7: all addresses, and those of loopback.
        #expect(configuration.nodePortAddresses == .within([]))
        #expect(configuration.servesLoopback)
        for (given, serves) in [
            (["--iptables-localhost-nodeports=false"], false), (["--nodeport-addresses=primary"], false),
            (["--nodeport-addresses=192.0.2.0/24"], false), (["--nodeport-addresses=fd00::/8"], true),
            (["--nodeport-addresses=127.0.0.0/8,192.0.2.0/24"], true), (["--nodeport-addresses=0.0.0.0/0"], true),
        ] {
            let configuration = try make(["--manifests=/m", "--proxy-mode=iptables"] + given)
            #expect(configuration.mode == .iptables)
            #expect(configuration.servesLoopback == serves, "\(given)")
            let before = try make(["--manifests=/m", "--proxy-mode=iptables"])
            #expect(configuration.needsNewBackend(after: before) != serves)
            #expect(!configuration.needsNewBackend(after: configuration))
        }
    }

    @Test func thisMachine() {
        #expect(!LocalNode.hostName.isEmpty)
        #expect(LocalNode.addresses()?.contains(address("127.0.0.1")) == true)
        #expect(LocalNode.families.contains(.ipv4))
    }
}
