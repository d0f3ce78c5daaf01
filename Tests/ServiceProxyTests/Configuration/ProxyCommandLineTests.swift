import Testing

@testable import ServiceProxy

@Suite struct ProxyCommandLineTests {
    @Test func flagsAreTakenInAllOfGosForms() throws {
        let values = try ProxyCommandLine([
            "--cluster-cidr", "10.0.0.0/8", "--masquerade-all", "--cleanup=false", "--bind-address-hard-fail=T",
            "-v=2", "--iptables-sync-period=1m", "--nodeport-addresses=10.0.0.0/8,fd00::/8",
            "--nodeport-addresses", "11.0.0.0/8", "--feature-gates=A=true,B=false", "--hostname_override=n",
            "--manifests=/m", "--healthz-port=0", "--metrics-port", "9",
        ]).values
        let configuration = values.configuration
        #expect(configuration.clusterCIDR == "10.0.0.0/8")
        #expect(configuration.nftables.masqueradeAll)
        #expect(!values.cleanup)
        #expect(configuration.bindAddressHardFail)
        #expect(configuration.logging.verbosity == 2)
        #expect(configuration.nftables.syncPeriod == .seconds(60))
        #expect(configuration.nodePortAddresses == ["10.0.0.0/8", "fd00::/8", "11.0.0.0/8"])
        #expect(configuration.featureGates == ["A": true, "B": false])
        #expect(configuration.hostnameOverride == "n")
        #expect(values.manifests == "/m")
        #expect(configuration.healthzBindAddress == "")
        #expect(configuration.metricsBindAddress == "127.0.0.1:9")
        for arguments in [["-v", "4"], ["-v4"], ["--v=4"], ["--v", "4"]] {
            #expect(try ProxyCommandLine(arguments).values.configuration.logging.verbosity == 4)
        }
    }

    @Test(arguments: [
        (["--nonsense"], "unknown flag --nonsense; see --help"), (["x"], "unknown argument \"x\"; see --help"),
        (["-cleanup"], "unknown flag -cleanup; see --help"),
        (["--cluster-cidr"], "flag needs a value: --cluster-cidr"),
        (["--cleanup=maybe"], "--cleanup: expected true or false, not \"maybe\""),
        (["--oom-score-adj", "much"], "--oom-score-adj: expected a whole number, not \"much\""),
        (["--config-sync-period=5"], "--config-sync-period: expected a duration like 1h0m5s, not \"5\""),
        (
            ["--userspace-algorithm=fair"],
            """
            --userspace-algorithm: expected one of random, round-robin, least-connections, maglev, not "fair"
            """
        ),
        (
            ["--userspace-drain-timeout=-1s"],
            "--userspace-drain-timeout: expected a duration like 1h0m5s, not \"-1s\""
        ),
        (["--feature-gates=A"], "--feature-gates: expected Name=true or Name=false, not \"A\""),
    ])
    func whatIsNoCommandLine(_ arguments: [String], _ message: String) {
        let error = #expect(throws: ProxyCommandLine.Misused.self) { try ProxyCommandLine(arguments) }
        #expect(error?.description == message)
    }

    @Test func besideAFileFewFlagsCount() throws {
        let line = try ProxyCommandLine([
            "--config=/c", "--cluster-cidr=10.0.0.0/8", "--hostname-override=flag", "-v=4", "--master=https://m",
            "--kubeconfig=/flag", "--snapshot=",
        ])
        var file = KubeProxyConfiguration()
        file.hostnameOverride = "file"
        file.clientConnection.kubeconfig = "/file"
        let values = line.values(with: file)
        #expect(values.configuration.hostnameOverride == "flag")
        #expect(values.configuration.logging.verbosity == 4)
        #expect(values.configuration.clusterCIDR == "")
        #expect(values.configuration.clientConnection.kubeconfig == "/file")
        #expect(values.master == "https://m")
        #expect(values.snapshot == "")
        #expect(line.ignoredWithFile == ["--cluster-cidr", "--kubeconfig"])
    }

    @Test func optionsOfLogLinesAreTakenAndSaidToChangeNothing() throws {
        let line = try ProxyCommandLine(["--log-json-split-stream", "--log-text-info-buffer-size=1Mi", "--vmodule=a=2"])
        #expect(line.ignoredWithFile == [])
        let warnings = line.values.configuration.warnings(in: .nftables)
        #expect(warnings.contains("logging.options has no effect: there is one way to write log lines"))
        #expect(warnings.contains { $0.hasPrefix("logging.vmodule has no effect") })
    }

    @Test func userspaceModeIsToldWhatFlagsSay() throws {
        func options(_ arguments: [String]) throws -> UserspaceOptions {
            let line = try ProxyCommandLine(arguments + ["--manifests", "/m", "--config", "/c"])
            let configuration = try ProxyConfiguration(line.values(with: KubeProxyConfiguration()), hostName: "here")
            return configuration.userspace.options(Surroundings(), logger: silent)
        }
        let plain = try options([])
        #expect(plain.algorithm == .random)
        #expect(plain.loadBalancer.drainTimeout == nil)
        let told = try options(["--userspace-algorithm=maglev", "--userspace-drain-timeout=1m30s"])
        #expect(told.algorithm == .maglev)
        #expect(told.loadBalancer.drainTimeout == .seconds(90))
        let values = try ProxyCommandLine(["--userspace-drain-timeout=90s"]).values
        let effective = Dictionary(uniqueKeysWithValues: ProxyCommandLine.effective(values))
        #expect(effective["userspace-drain-timeout"] == "1m30s")
        #expect(effective["userspace-algorithm"] == "random")
    }

    /// Section 2.12, flag by flag.
    @Test func everyFlagOfKubeProxyIsThere() {
        let flags = """
            bind-address bind-address-hard-fail cleanup cluster-cidr config config-sync-period connection-counters \
            conntrack-max-per-core conntrack-min conntrack-tcp-be-liberal conntrack-tcp-timeout-close-wait conntrack-tcp-timeout-established \
            conntrack-udp-timeout conntrack-udp-timeout-stream detect-local-mode feature-gates healthz-bind-address \
            healthz-port help hostname-override init-only iptables-localhost-nodeports iptables-masquerade-bit \
            iptables-min-sync-period iptables-sync-period ipvs-exclude-cidrs ipvs-min-sync-period ipvs-scheduler \
            ipvs-strict-arp ipvs-sync-period ipvs-tcp-timeout ipvs-tcpfin-timeout ipvs-udp-timeout kube-api-burst \
            kube-api-content-type kube-api-qps kubeconfig log-flush-frequency log-json-info-buffer-size log-json-split-stream \
            log-text-info-buffer-size log-text-split-stream logging-format manifests masquerade-all \
            master metrics-bind-address metrics-port nodeport-addresses oom-score-adj pod-bridge-interface \
            pod-interface-name-prefix profiling proxy-mode replace-kube-proxy show-hidden-metrics-for-version snapshot \
            socket userspace-algorithm userspace-drain-timeout userspace-listen userspace-ports v version vmodule write-config-to
            """
        #expect(ProxyFlag.all.map(\.name) == flags.split(separator: " ").map(String.init))
        for flag in ProxyFlag.all { #expect(ProxyCommandLine.flagsHelp.contains("--\(flag.name)")) }
    }
}
