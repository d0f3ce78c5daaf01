import JSON
import Testing

@testable import ServiceProxy

@Suite struct KubeProxyConfigurationTests {
    private static func read(_ fields: String) throws -> KubeProxyConfiguration.Reading {
        let text = #"{"apiVersion":"kubeproxy.config.k8s.io/v1alpha1","kind":"KubeProxyConfiguration""# + fields + "}"
        return try KubeProxyConfiguration.read(JSONValue(parsing: Array(text.utf8).span))
    }

    @Test func defaultsAreThoseOfKubeProxy() {
        let configuration = KubeProxyConfiguration().withDefaults
        #expect(configuration.problems.isEmpty)
        #expect(configuration.healthzBindAddress == "0.0.0.0:10256")
        #expect(configuration.metricsBindAddress == "127.0.0.1:10249")
        #expect(configuration.clientConnection.qps == 5)
        #expect(configuration.oomScoreAdj == -999)
        #expect(configuration.conntrack.tcpEstablishedTimeout == .seconds(86400))
        var ipv6 = KubeProxyConfiguration()
        ipv6.bindAddress = "fd00::1"
        #expect(ipv6.withDefaults.healthzBindAddress == "[::]:10256")
        #expect(ipv6.withDefaults.metricsBindAddress == "[::1]:10249")
    }

    @Test func aFileIsRead() throws {
        let reading = try Self.read(
            #"""
            ,"mode":"nftables","clusterCIDR":"10.0.0.0/8,fd00::/8","nodePortAddresses":["10.0.0.0/8"],
            "clientConnection":{"kubeconfig":"/k","qps":2.5,"burst":0},"featureGates":{"A":true},
            "nftables":{"masqueradeBit":0,"masqueradeAll":true,"syncPeriod":"1m0s","minSyncPeriod":"250ms"},
            "healthzBindAddress":"","metricsBindAddress":"1.2.3.4:5","oomScoreAdj":0,"logging":{"verbosity":4}
            """#
        )
        let configuration = reading.configuration
        #expect(reading.lenientBecause.isEmpty)
        #expect(configuration.mode == "nftables")
        #expect(configuration.nodePortAddresses == ["10.0.0.0/8"])
        #expect(configuration.clientConnection.kubeconfig == "/k")
        #expect(configuration.clientConnection.qps == 2.5)
        #expect(configuration.clientConnection.burst == 10)
        #expect(configuration.featureGates == ["A": true])
        #expect(configuration.nftables.masqueradeBit == 0)
        #expect(configuration.nftables.syncPeriod == .seconds(60))
        #expect(configuration.nftables.minSyncPeriod == .milliseconds(250))
        #expect(configuration.withDefaults.healthzBindAddress == "0.0.0.0:10256")
        #expect(configuration.metricsBindAddress == "1.2.3.4:5")
        #expect(configuration.oomScoreAdj == 0)
        #expect(configuration.logging.verbosity == 4)
    }

    @Test func unknownAndRepeatedFieldsArePassedOver() throws {
        let reading = try Self.read(#","mode":"x","mode":"nftables","colour":1,"ipvs":{"tcp":1}"#)
        #expect(reading.configuration.mode == "nftables")
        #expect(
            reading.lenientBecause == [
                "field \"mode\" is given twice", "unknown field \"colour\"", "unknown field \"ipvs.tcp\"",
            ]
        )
    }

    @Test(arguments: [
        (#","mode":1"#, "mode: expected a string, not a number"),
        (#","iptables":[]"#, "iptables: expected an object, not an array"),
        (#","nftables":{"syncPeriod":30}"#, "nftables.syncPeriod: expected a string like \"1h0m5s\", not a number"),
        (#","configSyncPeriod":"soon""#, "configSyncPeriod: expected a duration like 1h0m5s, not \"soon\""),
        (#","conntrack":{"min":1.5}"#, "conntrack.min: expected a whole number, not \"1.5\""),
        (#","nodePortAddresses":"primary""#, "nodePortAddresses: expected an array of strings, not a string"),
        (#","featureGates":{"A":"yes"}"#, "featureGates.A: expected a boolean, not a string"),
    ])
    func wrongTypesAreRefused(_ fields: String, _ problem: String) {
        let error = #expect(throws: KubeProxyConfiguration.Unreadable.self) { try Self.read(fields) }
        #expect(error?.problems == [problem])
    }

    @Test func anotherKindIsRefused() {
        let error = #expect(throws: KubeProxyConfiguration.Unreadable.self) {
            try KubeProxyConfiguration.read(["apiVersion": "v1", "kind": "Pod"])
        }
        #expect(
            error?.problems == [
                #"apiVersion: expected "kubeproxy.config.k8s.io/v1alpha1", but it is "v1""#,
                #"kind: expected "KubeProxyConfiguration", but it is "Pod""#,
            ]
        )
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        var configuration = KubeProxyConfiguration().withDefaults
        configuration.mode = "nftables"
        configuration.featureGates = ["B": false]
        configuration.nodePortAddresses = ["primary"]
        configuration.nftables.minSyncPeriod = .milliseconds(1500)
        #expect(try KubeProxyConfiguration.read(configuration.json).configuration == configuration)
        #expect(configuration.yaml.contains("\nnftables:\n  masqueradeAll: false\n  masqueradeBit: 14\n"))
        #expect(configuration.yaml.contains("  minSyncPeriod: \"1.5s\"\n"))
        #expect(configuration.yaml.hasPrefix("apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"))
    }

    @Test func everyProblemIsNamedAtOnce() {
        var configuration = KubeProxyConfiguration()
        configuration.mode = "ipvs"
        configuration.nftables.masqueradeBit = 32
        configuration.nftables.syncPeriod = .zero
        configuration.nftables.minSyncPeriod = .seconds(1)
        configuration.configSyncPeriod = .zero
        configuration.conntrack.min = -1
        configuration.oomScoreAdj = 1001
        configuration.bindAddress = "here"
        configuration.healthzBindAddress = "0.0.0.0:0"
        configuration.metricsBindAddress = "localhost:1"
        configuration.clusterCIDR = "10.0.0.0/8,11.0.0.0/8"
        configuration.nodePortAddresses = ["primary", "10.0.0.0/8"]
        configuration.detectLocalMode = "BridgeInterface"
        configuration.clientConnection.burst = -1
        #expect(
            configuration.problems.map { $0.split(separator: ":")[0].replacing("KubeProxyConfiguration.", with: "") }
                == [
                    "KubeProxyNFTablesConfiguration.MasqueradeBit", "KubeProxyNFTablesConfiguration.SyncPeriod",
                    "KubeProxyNFTablesConfiguration.SyncPeriod", "KubeProxyConntrackConfiguration.Min", "Mode",
                    "ClientConnection.Burst", "OOMScoreAdj", "ConfigSyncPeriod", "BindAddress", "HealthzBindAddress",
                    "MetricsBindAddress", "ClusterCIDR", "NodePortAddresses[0]", "DetectLocal.BridgeInterface",
                ]
        )
    }

    @Test(arguments: [
        ("ClusterCIDR", "", ""), ("NodeCIDR", "", ""), ("BridgeInterface", "cni0", ""),
        ("InterfaceNamePrefix", "", "cali"), ("InterfaceNamePrefix", "", "fifteen-letters"),
    ])
    func everyWayToTellPods(_ mode: String, _ bridge: String, _ prefix: String) {
        var configuration = KubeProxyConfiguration()
        configuration.detectLocalMode = mode
        configuration.detectLocal.bridgeInterface = bridge
        configuration.detectLocal.interfaceNamePrefix = prefix
        #expect(configuration.problems == [])
        configuration.detectLocal.bridgeInterface = "sixteen-letters-"
        configuration.detectLocal.interfaceNamePrefix = "sixteen-letters-"
        let needsName = !["ClusterCIDR", "NodeCIDR"].contains(mode)
        #expect(
            configuration.problems.count { $0.contains("no interface has a name of more than 15 bytes") }
                == (needsName ? 1 : 0)
        )
        configuration.detectLocalMode = "Other"
        #expect(configuration.problems.count { $0.contains("DetectLocalMode: Invalid value: \"Other\"") } == 1)
    }

    @Test func loopbackAddressesServeNothing() {
        var configuration = KubeProxyConfiguration()
        configuration.clusterCIDR = "10.9.0.0/16"
        configuration.nodePortAddresses = ["127.0.0.0/8", "10.0.0.0/8", "::1/128"]
        #expect(configuration.warnings(in: .nftables).count == 1)
        #expect(
            configuration.warnings(in: .nftables).first?.hasSuffix("never serve node ports: 127.0.0.0/8, ::1/128")
                == true
        )
    }

    @Test(arguments: ["nftables", "iptables", "userspace", ""])
    func modes(_ mode: String) {
        var configuration = KubeProxyConfiguration()
        configuration.mode = mode
        #expect(configuration.problems == [])
    }

    @Test func otherModesAreRefused() {
        var configuration = KubeProxyConfiguration()
        configuration.mode = "ipvs"
        #expect(
            configuration.problems == [
                """
                KubeProxyConfiguration.Mode: Invalid value: "ipvs": must be nftables, iptables, userspace or blank \
                (blank means the best possible); there is no ipvs mode here, and nftables serves the same clusters
                """
            ]
        )
    }

    @Test func settingsOfTheOtherModeHaveNoEffect() {
        var configuration = KubeProxyConfiguration()
        configuration.clusterCIDR = "10.0.0.0/8"
        configuration.mode = "iptables"
        configuration.iptables.masqueradeBit = 3
        configuration.iptables.localhostNodePorts = false
        configuration.nftables.syncPeriod = .seconds(60)
        // As a flag does that is for all modes.
        configuration.nftables.masqueradeAll = true
        configuration.iptables.masqueradeAll = true
        #expect(
            configuration.warnings(in: .iptables) == [
                "nftables.syncPeriod has no effect: it is of another mode than iptables"
            ]
        )
        let change = ConfigurationChange(from: KubeProxyConfiguration(), to: configuration, in: .iptables)
        #expect(
            change.needingRestart.map(\.path) == [
                "mode", "iptables.masqueradeBit", "iptables.masqueradeAll", "iptables.localhostNodePorts",
                "clusterCIDR",
            ]
        )
    }

    @Test func whatChangesNothingIsNamedOnce() throws {
        let reading = try Self.read(
            #"""
            ,"clusterCIDR":"10.0.0.0/8","iptables":{"masqueradeBit":15},"conntrack":{"min":1,"maxPerCore":2},
            "featureGates":{"A":true},"logging":{"vmodule":[]},"portRange":""
            """#
        )
        #expect(
            reading.configuration.warnings(in: .nftables).map { String($0.split(separator: " ")[0]) }
                == ["logging.vmodule", "iptables.masqueradeBit", "featureGates.A"]
        )
    }

    @Test(
        arguments: [
            ("0", .zero, "0s"), ("1h0m5s", .seconds(3605), "1h0m5s"), ("15m", .seconds(900), "15m0s"),
            ("1.5s", .milliseconds(1500), "1.5s"), (".5m", .seconds(30), "30s"), ("100ms", .milliseconds(100), "100ms"),
            ("250us", .microseconds(250), "250µs"), ("7ns", .nanoseconds(7), "7ns"), ("-1m", .seconds(-60), "-1m0s"),
            ("1h1h", .seconds(7200), "2h0m0s"),
        ] as [(String, Duration, String)]
    )
    func durations(_ text: String, _ duration: Duration, _ written: String) {
        #expect(GoDuration.parse(text) == duration)
        #expect(GoDuration.text(duration) == written)
    }

    @Test(arguments: ["", "5", "s", "1x", "1.s.", "1.2.3s", "-", "1 s", "99999999999h", "9223372036854775808ns"])
    func noDurations(_ text: String) {
        #expect(GoDuration.parse(text) == nil)
    }
}
