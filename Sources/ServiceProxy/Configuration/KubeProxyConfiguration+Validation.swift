import NetworkTypes

extension KubeProxyConfiguration {
    /// Everything that is wrong, with field paths as kube-proxy names them (2.12), and what this proxy cannot do.
    public var problems: [String] {
        var found = Problems()
        // kube-proxy validates the settings of a mode only when the mode is on, but those of iptables always.
        found.masqueradeBit(iptables.masqueradeBit, "KubeProxyIPTablesConfiguration")
        found.periods(iptables.syncPeriod, iptables.minSyncPeriod, "KubeProxyIPTablesConfiguration")
        found.masqueradeBit(nftables.masqueradeBit, "KubeProxyNFTablesConfiguration")
        found.periods(nftables.syncPeriod, nftables.minSyncPeriod, "KubeProxyNFTablesConfiguration")
        found.conntrack(conntrack)
        if !mode.isEmpty, ProxyMode(rawValue: mode) == nil {
            let hint = mode == "ipvs" ? "; there is no ipvs mode here, and nftables serves the same clusters" : ""
            found.add(
                "Mode",
                mode,
                "must be nftables, iptables, userspace or blank (blank means the best possible)\(hint)"
            )
        }
        if clientConnection.burst < 0 {
            found.add("ClientConnection.Burst", clientConnection.burst, "must be non-negative")
        }
        if !["", ProxyConfiguration.protobufContentType, "application/json"].contains(clientConnection.contentType) {
            found.add(
                "ClientConnection.ContentType",
                clientConnection.contentType,
                "must be \(ProxyConfiguration.protobufContentType) or application/json"
            )
        }
        if !(-1000...1000).contains(oomScoreAdj) {
            found.add("OOMScoreAdj", oomScoreAdj, "must be within the range [-1000, 1000]")
        }
        if configSyncPeriod <= .zero {
            found.add("ConfigSyncPeriod", GoDuration.text(configSyncPeriod), "must be greater than 0")
        }
        if IPAddress(bindAddress) == nil {
            found.add("BindAddress", bindAddress, "not a valid textual representation of an IP address")
        }
        found.server("HealthzBindAddress", healthzBindAddress)
        found.server("MetricsBindAddress", metricsBindAddress)
        found.clusterCIDR(clusterCIDR)
        found.nodePortAddresses(nodePortAddresses)
        found.detectLocal(self)
        if !["text", "json"].contains(logging.format) {
            found.add("logging.format", logging.format, "must be text or json")
        }
        return found.list
    }

    /// What is set and changes nothing here, each once; and what an operator may not have meant.
    ///
    /// - Parameter chosen: the mode of the proxy, whoever chose it.
    public func warnings(in chosen: ProxyMode) -> [String] {
        let standard = KubeProxyConfiguration()
        var warnings = ConfigurationField.all.compactMap { field -> String? in
            guard let reason = field.unused(in: chosen), !field.isSaidForTheMode(chosen, in: self) else { return nil }
            let isSet = givenWithoutValue.contains(field.path) || field.text(in: self) != field.text(in: standard)
            return isSet ? "\(field.path) has no effect: \(reason)" : nil
        }
        warnings += FeatureGates(featureGates).withoutEffect.map { "featureGates.\($0) has no effect here" }
        let servesLoopback = chosen == .iptables && iptables.localhostNodePorts
        let loopback = nodePortAddresses.filter { entry in
            guard let prefix = CIDR(entry), prefix.address.isLoopback else { return false }
            return prefix.family == .ipv6 || !servesLoopback
        }
        if !loopback.isEmpty {
            warnings.append(
                "nodePortAddresses has loopback addresses, which never serve node ports: "
                    + loopback.joined(separator: ", ")
            )
        }
        if clusterCIDR.isEmpty, ["", "ClusterCIDR"].contains(detectLocalMode) {
            warnings.append(
                "clusterCIDR is empty: traffic to cluster IPs from outside of the cluster is not masqueraded"
            )
        }
        return warnings
    }
}

/// Collects problems in the form of Kubernetes' field errors.
private struct Problems {
    var list: [String] = []

    mutating func add(_ path: String, _ value: some CustomStringConvertible, _ reason: String) {
        let text = value is String ? "\"\(value)\"" : "\(value)"
        list.append("KubeProxyConfiguration.\(path): Invalid value: \(text): \(reason)")
    }

    mutating func masqueradeBit(_ bit: Int, _ path: String) {
        guard !(0...31).contains(bit) else { return }
        add("\(path).MasqueradeBit", bit, "must be within the range [0, 31]")
    }

    mutating func periods(_ sync: Duration, _ minimum: Duration, _ path: String) {
        if sync <= .zero { add("\(path).SyncPeriod", GoDuration.text(sync), "must be greater than 0") }
        if minimum < .zero {
            add("\(path).MinSyncPeriod", GoDuration.text(minimum), "must be greater than or equal to 0")
        }
        if minimum > sync {
            let reason = "must be greater than or equal to KubeProxyConfiguration.\(path).MinSyncPeriod"
            add("\(path).SyncPeriod", GoDuration.text(sync), reason)
        }
    }

    mutating func conntrack(_ conntrack: KubeProxyConfiguration.Conntrack) {
        let path = "KubeProxyConntrackConfiguration"
        let reason = "must be greater than or equal to 0"
        for (name, value) in [("MaxPerCore", conntrack.maxPerCore), ("Min", conntrack.min)] where value < 0 {
            add("\(path).\(name)", value, reason)
        }
        let durations = [
            ("TCPEstablishedTimeout", conntrack.tcpEstablishedTimeout),
            ("TCPCloseWaitTimeout", conntrack.tcpCloseWaitTimeout), ("UDPTimeout", conntrack.udpTimeout),
            ("UDPStreamTimeout", conntrack.udpStreamTimeout),
        ]
        for (name, value) in durations where value < .zero { add("\(path).\(name)", GoDuration.text(value), reason) }
    }

    mutating func server(_ path: String, _ value: String?) {
        guard let value, !value.isEmpty, BindAddress(value) == nil else { return }
        add(path, value, "must be IP:port, with a port from 1 to 65535")
    }

    mutating func clusterCIDR(_ text: String) {
        guard !text.isEmpty else { return }
        var families: Set<IPFamily> = []
        for entry in text.split(separator: ",", omittingEmptySubsequences: false).map({ String($0).trimmed }) {
            guard let prefix = CIDR(entry) else {
                add("ClusterCIDR", entry, "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)")
                continue
            }
            guard families.insert(prefix.family).inserted else {
                return add("ClusterCIDR", text, "only one CIDR allowed, or one of each IP family, separated by a comma")
            }
        }
    }

    mutating func nodePortAddresses(_ entries: [String]) {
        guard entries != ["primary"] else { return }
        for (index, entry) in entries.enumerated() where CIDR(entry) == nil {
            let reason = entry == "primary" ? "can only be used alone" : "must be a valid CIDR block or primary"
            add("NodePortAddresses[\(index)]", entry, reason)
        }
    }

    mutating func detectLocal(_ configuration: KubeProxyConfiguration) {
        let mode = configuration.detectLocalMode
        switch mode {
        case "", "ClusterCIDR", "NodeCIDR": break
        case "BridgeInterface":
            interfaceName("DetectLocal.BridgeInterface", configuration.detectLocal.bridgeInterface, mode)
        case "InterfaceNamePrefix":
            interfaceName("DetectLocal.InterfaceNamePrefix", configuration.detectLocal.interfaceNamePrefix, mode)
        default: add("DetectLocalMode", mode, "must be ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix")
        }
    }

    private mutating func interfaceName(_ path: String, _ name: String, _ mode: String) {
        if name.isEmpty { add(path, "", "must not be empty in mode \(mode)") }
        if name.utf8.count > Match.nameLimit {
            add(path, name, "no interface has a name of more than \(Match.nameLimit) bytes")
        }
    }
}
