import Testing

@testable import ServiceProxy

@Suite struct ConfigurationChangeTests {
    private func change(
        in mode: ProxyMode = .nftables,
        _ adjust: (inout KubeProxyConfiguration) -> Void
    ) -> ConfigurationChange {
        var new = KubeProxyConfiguration()
        adjust(&new)
        return ConfigurationChange(from: KubeProxyConfiguration(), to: new, in: mode)
    }

    @Test func aRunningProxyFollowsSomeFields() {
        let live = change {
            $0.logging.verbosity = 4
            $0.nftables.syncPeriod = .seconds(60)
            $0.nftables.minSyncPeriod = .seconds(2)
            $0.nodePortAddresses = ["10.0.0.0/8"]
        }
        #expect(
            live.fields.map(\.path) == [
                "logging.verbosity", "nftables.syncPeriod", "nftables.minSyncPeriod", "nodePortAddresses",
            ]
        )
        #expect(live.needingRestart.isEmpty)
        #expect(live.fields.last?.description == "nodePortAddresses was empty, is 10.0.0.0/8")
    }

    @Test func settingsOfConnectionTrackingAreFollowed() {
        let live = change {
            $0.conntrack.maxPerCore = 0
            $0.conntrack.udpTimeout = .seconds(10)
            $0.conntrack.tcpBeLiberal = true
        }
        #expect(live.fields.count == 3)
        #expect(live.needingRestart.isEmpty)
    }

    @Test func whatHasNoEffectNeedsNoRestart() {
        let idle = change {
            $0.ipvs.scheduler = "rr"
            $0.givenWithoutValue = ["logging.vmodule"]
        }
        #expect(idle.fields.map(\.path) == ["logging.vmodule", "ipvs.scheduler"])
        #expect(idle.fields.allSatisfy { $0.unused != nil })
        #expect(idle.needingRestart.isEmpty)
    }

    /// Which mode counts does not depend on whether the file names it.
    @Test(arguments: ProxyMode.allCases) func whatCountsDependsOnTheModeThatWasChosen(mode: ProxyMode) {
        let change = change(in: mode) {
            $0.iptables.masqueradeBit = 3
            $0.nftables.masqueradeBit = 4
            $0.nftables.syncPeriod = .seconds(60)
            $0.conntrack.min = 1
        }
        let effective = change.fields.filter { $0.unused == nil }.map(\.path)
        switch mode {
        case .nftables: #expect(effective == ["nftables.masqueradeBit", "nftables.syncPeriod", "conntrack.min"])
        case .iptables: #expect(effective == ["iptables.masqueradeBit", "conntrack.min"])
        case .userspace: #expect(effective == ["nftables.syncPeriod"])
        }
        #expect(change.needingRestart.map(\.path) == effective.filter { $0.hasSuffix("Bit") })
    }

    @Test func everythingElseDoes() {
        let restart = change {
            $0.clusterCIDR = "10.0.0.0/8"
            $0.logging.verbosity = 2
            $0.healthzBindAddress = "127.0.0.1:1"
            $0.featureGates = ["A": true]
        }
        #expect(restart.needingRestart.map(\.path) == ["featureGates", "healthzBindAddress", "clusterCIDR"])
        #expect(restart.needingRestart[1].old == "0.0.0.0:10256")
    }

    @Test func defaultsAreNoChange() {
        #expect(change { $0.healthzBindAddress = "0.0.0.0:10256" }.fields.isEmpty)
        #expect(change { $0.detectLocalMode = "ClusterCIDR" }.fields.isEmpty)
    }

    @Test func gatesAreOnUnlessSwitchedOff() throws {
        #expect(FeatureGates().isEnabled(.componentStatusz))
        #expect(!FeatureGates(["AllBeta": false]).isEnabled(.componentStatusz))
        #expect(FeatureGates(["AllBeta": false]).isEnabled(.allowServiceExternalIPs))
        #expect(FeatureGates(["AllBeta": false, "ComponentStatusz": true]).isEnabled(.componentStatusz))
        var configuration = KubeProxyConfiguration()
        configuration.featureGates = ["Nonsense": true, "ComponentFlagz": false, "AllowServiceExternalIPs": false]
        #expect(
            configuration.warnings(in: .nftables).filter { $0.contains("featureGates") } == [
                "featureGates.Nonsense has no effect here"
            ]
        )
        var values = ProxyCommandLine.Values()
        values.configuration = configuration
        let planner = try ProxyConfiguration(values, hostName: "here").planner
        #expect(!planner.servesExternalIPs)
        let shared = service { $0.externalIPs = [address("203.0.113.1")] }
        let kinds = planner.plan(shared, with: [], in: .ipv4, on: thisNode).frontends.map(\.kind)
        #expect(kinds == [.clusterIP])
        #expect(ServicePlanner().plan(shared, with: [], in: .ipv4, on: thisNode).frontends.count == 2)
    }
}
