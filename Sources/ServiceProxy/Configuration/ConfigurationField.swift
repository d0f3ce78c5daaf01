import JSON

/// One field of ``KubeProxyConfiguration``: where it is in a file, what its flag is called, and whether anything
/// depends on it. Decoding, encoding, flags and warnings all go by ``all``.
struct ConfigurationField: Sendable {
    typealias Path<Value> = WritableKeyPath<KubeProxyConfiguration, Value> & Sendable

    enum Access: Sendable {
        case string(Path<String>)
        /// A string that may also be unset.
        case address(Path<String?>)
        case bool(Path<Bool>)
        case integer(Path<Int>)
        case real(Path<Double>)
        case duration(Path<Duration>)
        case strings(Path<[String]>)
        case gates(Path<[String: Bool]>)
        /// Only looked at for being there.
        case nothing
    }

    /// As in a file: `clientConnection.qps`.
    let path: String
    let access: Access
    /// Without the dashes; `nil` when there is none.
    let flag: String?
    let help: String
    /// Why a value other than the default changes nothing, whatever the other fields say; `nil` when it can.
    let unused: String?
    /// The modes that it counts in; `nil` for all.
    let modes: Set<ProxyMode>?
    /// Whether 0, "" and null in a file mean that the default counts. Go cannot tell them from nothing.
    let zeroIsUnset: Bool

    init(
        _ path: String,
        _ access: Access,
        flag: String? = nil,
        _ help: String = "",
        unused: String? = nil,
        modes: Set<ProxyMode>? = nil,
        zeroIsUnset: Bool = true
    ) {
        self.path = path
        self.access = access
        self.flag = flag
        self.help = help
        self.unused = unused
        self.modes = modes
        self.zeroIsUnset = zeroIsUnset
    }

    private static let otherMode = "there is no ipvs mode here"

    /// Why a value changes nothing in the mode of the proxy; `nil` when it does.
    func unused(in mode: ProxyMode) -> String? {
        if let unused { return unused }
        guard let modes, !modes.contains(mode) else { return nil }
        return "it is of another mode than \(mode.rawValue)"
    }

    /// Whether the field of the mode that counts says the same, as those flags see to that are for all modes.
    func isSaidForTheMode(_ mode: ProxyMode, in configuration: KubeProxyConfiguration) -> Bool {
        let name = path.split(separator: ".").last
        return modes != nil
            && Self.all.contains { field in
                field.modes?.contains(mode) == true && field.path.split(separator: ".").last == name
                    && field.text(in: configuration) == text(in: configuration)
            }
    }

    private static let windows = "it is for Windows"
    /// Those in which the kernel tracks connections for the proxy.
    private static let trackingModes: Set<ProxyMode> = [.nftables, .iptables]

    static let all: [ConfigurationField] = [
        .init(
            "featureGates",
            .gates(\.featureGates),
            flag: "feature-gates",
            "Feature gates, as Name=true,Other=false."
        ),
        .init(
            "clientConnection.kubeconfig",
            .string(\.clientConnection.kubeconfig),
            flag: "kubeconfig",
            "The kubeconfig file that says where the API server is. (default: in-cluster)"
        ),
        .init(
            "clientConnection.acceptContentTypes",
            .string(\.clientConnection.acceptContentTypes),
            unused: "what is accepted follows from contentType"
        ),
        .init(
            "clientConnection.contentType",
            .string(\.clientConnection.contentType),
            flag: "kube-api-content-type",
            "How the API server is to encode objects: Kubernetes' protobuf, or application/json."
        ),
        .init(
            "clientConnection.qps",
            .real(\.clientConnection.qps),
            flag: "kube-api-qps",
            "Requests per second to the API server, on average; negative: no limit."
        ),
        .init(
            "clientConnection.burst",
            .integer(\.clientConnection.burst),
            flag: "kube-api-burst",
            "Requests to the API server that may go out at once."
        ),
        .init(
            "logging.format",
            .string(\.logging.format),
            flag: "logging-format",
            "How log lines look: text or json.",
        ),
        .init(
            "logging.flushFrequency",
            .duration(\.logging.flushFrequency),
            flag: "log-flush-frequency",
            "How long log lines may be held back.",
            unused: "log lines are never held back"
        ),
        .init(
            "logging.verbosity",
            .integer(\.logging.verbosity),
            flag: "v",
            "How much to log: 0 what an operator should know, 2 every commit, 4 everything."
        ),
        .init("logging.vmodule", .nothing, unused: "the level of log lines is the same for all files"),
        .init("logging.options", .nothing, unused: "there is one way to write log lines"),
        .init(
            "hostnameOverride",
            .string(\.hostnameOverride),
            flag: "hostname-override",
            "The name of this node, as in nodeName of endpoints. (default: the host name)"
        ),
        .init(
            "bindAddress",
            .string(\.bindAddress),
            flag: "bind-address",
            "The node's address, in place of that of its Node object; nothing is bound to it."
        ),
        .init(
            "healthzBindAddress",
            .address(\.healthzBindAddress),
            flag: "healthz-bind-address",
            "Where /healthz and /livez are served; empty for nowhere. (default: 0.0.0.0:10256)"
        ),
        .init(
            "metricsBindAddress",
            .address(\.metricsBindAddress),
            flag: "metrics-bind-address",
            "Where /metrics and the like are served; empty for nowhere. (default: 127.0.0.1:10249)"
        ),
        .init(
            "bindAddressHardFail",
            .bool(\.bindAddressHardFail),
            flag: "bind-address-hard-fail",
            "End when a server cannot have its address, instead of trying again."
        ),
        .init(
            "enableProfiling",
            .bool(\.enableProfiling),
            flag: "profiling",
            "Serve /debug/flags/v beside /metrics: a PUT changes the verbosity of the log. Profiles there are none."
        ),
        .init(
            "showHiddenMetricsForVersion",
            .string(\.showHiddenMetricsForVersion),
            flag: "show-hidden-metrics-for-version",
            "Metrics that were hidden since that version.",
            unused: "no metric is hidden"
        ),
        .init(
            "mode",
            .string(\.mode),
            flag: "proxy-mode",
            "How to program the node: nftables, iptables or userspace; empty: the best way that is possible."
        ),
        .init(
            "iptables.masqueradeBit",
            .integer(\.iptables.masqueradeBit),
            flag: "iptables-masquerade-bit",
            "The mark bit of iptables mode.",
            modes: [.iptables],
            zeroIsUnset: false
        ),
        // Its flag, --masquerade-all, is for every mode.
        .init("iptables.masqueradeAll", .bool(\.iptables.masqueradeAll), modes: [.iptables]),
        .init(
            "iptables.localhostNodePorts",
            .bool(\.iptables.localhostNodePorts),
            flag: "iptables-localhost-nodeports",
            "Serve node ports on loopback addresses in iptables mode.",
            modes: [.iptables],
            zeroIsUnset: false
        ),
        // Their flags count for every mode but ipvs.
        .init("iptables.syncPeriod", .duration(\.iptables.syncPeriod), modes: [.iptables]),
        .init("iptables.minSyncPeriod", .duration(\.iptables.minSyncPeriod), modes: [.iptables]),
        .init(
            "ipvs.syncPeriod",
            .duration(\.ipvs.syncPeriod),
            flag: "ipvs-sync-period",
            "Of ipvs mode.",
            unused: otherMode
        ),
        .init(
            "ipvs.minSyncPeriod",
            .duration(\.ipvs.minSyncPeriod),
            flag: "ipvs-min-sync-period",
            "Of ipvs mode.",
            unused: otherMode
        ),
        .init("ipvs.scheduler", .string(\.ipvs.scheduler), flag: "ipvs-scheduler", "Of ipvs mode.", unused: otherMode),
        .init(
            "ipvs.excludeCIDRs",
            .strings(\.ipvs.excludeCIDRs),
            flag: "ipvs-exclude-cidrs",
            "Of ipvs mode.",
            unused: otherMode
        ),
        .init("ipvs.strictARP", .bool(\.ipvs.strictARP), flag: "ipvs-strict-arp", "Of ipvs mode.", unused: otherMode),
        .init(
            "ipvs.tcpTimeout",
            .duration(\.ipvs.tcpTimeout),
            flag: "ipvs-tcp-timeout",
            "Of ipvs mode.",
            unused: otherMode
        ),
        .init(
            "ipvs.tcpFinTimeout",
            .duration(\.ipvs.tcpFinTimeout),
            flag: "ipvs-tcpfin-timeout",
            "Of ipvs mode.",
            unused: otherMode
        ),
        .init(
            "ipvs.udpTimeout",
            .duration(\.ipvs.udpTimeout),
            flag: "ipvs-udp-timeout",
            "Of ipvs mode.",
            unused: otherMode
        ),
        .init("nftables.masqueradeBit", .integer(\.nftables.masqueradeBit), modes: [.nftables], zeroIsUnset: false),
        .init("nftables.masqueradeAll", .bool(\.nftables.masqueradeAll), modes: [.nftables]),
        .init("nftables.syncPeriod", .duration(\.nftables.syncPeriod), modes: [.nftables, .userspace]),
        .init("nftables.minSyncPeriod", .duration(\.nftables.minSyncPeriod), modes: [.nftables, .userspace]),
        .init("winkernel.networkName", .string(\.winkernel.networkName), unused: windows),
        .init("winkernel.sourceVip", .string(\.winkernel.sourceVip), unused: windows),
        .init("winkernel.enableDSR", .bool(\.winkernel.enableDSR), unused: windows),
        .init("winkernel.rootHnsEndpointName", .string(\.winkernel.rootHnsEndpointName), unused: windows),
        .init("winkernel.forwardHealthCheckVip", .bool(\.winkernel.forwardHealthCheckVip), unused: windows),
        .init("windowsRunAsService", .bool(\.windowsRunAsService), unused: windows),
        .init(
            "detectLocalMode",
            .string(\.detectLocalMode),
            flag: "detect-local-mode",
            """
            How traffic of pods is told from other traffic: ClusterCIDR (by --cluster-cidr), NodeCIDR (by the Node's \
            spec.podCIDRs), BridgeInterface or InterfaceNamePrefix (by where it comes in). (default: ClusterCIDR)
            """
        ),
        .init(
            "detectLocal.bridgeInterface",
            .string(\.detectLocal.bridgeInterface),
            flag: "pod-bridge-interface",
            "The bridge of pods, in mode BridgeInterface."
        ),
        .init(
            "detectLocal.interfaceNamePrefix",
            .string(\.detectLocal.interfaceNamePrefix),
            flag: "pod-interface-name-prefix",
            "How names of pods' interfaces start, in mode InterfaceNamePrefix."
        ),
        .init(
            "clusterCIDR",
            .string(\.clusterCIDR),
            flag: "cluster-cidr",
            """
            The addresses of pods: one CIDR, or one of each family separated by a comma. Traffic to cluster IPs that \
            comes from elsewhere is masqueraded. Without it, none is.
            """
        ),
        .init(
            "nodePortAddresses",
            .strings(\.nodePortAddresses),
            flag: "nodeport-addresses",
            """
            Where node ports are served: CIDRs, separated by commas, of which the node's own addresses count; or \
            "primary", the addresses of the Node object. A family without a CIDR, or without a primary address, is \
            served on all addresses; loopback addresses never are. (default: primary)
            """
        ),
        .init(
            "oomScoreAdj",
            .integer(\.oomScoreAdj),
            flag: "oom-score-adj",
            "The process' oom_score_adj, -1000 to 1000.",
            zeroIsUnset: false
        ),
        .init(
            "conntrack.maxPerCore",
            .integer(\.conntrack.maxPerCore),
            flag: "conntrack-max-per-core",
            "How many connections may be tracked per CPU core (nf_conntrack_max); 0 leaves that alone.",
            modes: trackingModes,
            zeroIsUnset: false
        ),
        .init(
            "conntrack.min",
            .integer(\.conntrack.min),
            flag: "conntrack-min",
            "How many connections may be tracked at least, unless --conntrack-max-per-core is 0.",
            modes: trackingModes,
            zeroIsUnset: false
        ),
        .init(
            "conntrack.tcpEstablishedTimeout",
            .duration(\.conntrack.tcpEstablishedTimeout),
            flag: "conntrack-tcp-timeout-established",
            "How long an idle TCP connection is tracked; 0 leaves that alone.",
            modes: trackingModes,
            zeroIsUnset: false
        ),
        .init(
            "conntrack.tcpCloseWaitTimeout",
            .duration(\.conntrack.tcpCloseWaitTimeout),
            flag: "conntrack-tcp-timeout-close-wait",
            "How long a TCP connection in CLOSE_WAIT is tracked; 0 leaves that alone.",
            modes: trackingModes,
            zeroIsUnset: false
        ),
        .init(
            "conntrack.tcpBeLiberal",
            .bool(\.conntrack.tcpBeLiberal),
            flag: "conntrack-tcp-be-liberal",
            "Whether TCP packets outside of the window count as part of their connection.",
            modes: trackingModes
        ),
        .init(
            "conntrack.udpTimeout",
            .duration(\.conntrack.udpTimeout),
            flag: "conntrack-udp-timeout",
            "How long a UDP flow without an answer is tracked; 0 leaves that alone.",
            modes: trackingModes
        ),
        .init(
            "conntrack.udpStreamTimeout",
            .duration(\.conntrack.udpStreamTimeout),
            flag: "conntrack-udp-timeout-stream",
            "How long a UDP flow with answers is tracked; 0 leaves that alone.",
            modes: trackingModes
        ),
        .init(
            "configSyncPeriod",
            .duration(\.configSyncPeriod),
            flag: "config-sync-period",
            "How often everything is handled again.",
            unused: "changes are followed as they come; nothing is handled again"
        ),
        .init("portRange", .string(\.portRange), unused: "it has no effect in kube-proxy either"),
    ]

    /// The text of the value, as a flag has it.
    func text(in configuration: KubeProxyConfiguration) -> String {
        switch access {
        case .string(let path): configuration[keyPath: path]
        case .address(let path): configuration[keyPath: path] ?? ""
        case .bool(let path): "\(configuration[keyPath: path])"
        case .integer(let path): "\(configuration[keyPath: path])"
        case .real(let path): Self.text(configuration[keyPath: path])
        case .duration(let path): GoDuration.text(configuration[keyPath: path])
        case .strings(let path): configuration[keyPath: path].joined(separator: ",")
        case .gates(let path):
            configuration[keyPath: path].map { "\($0.key)=\($0.value)" }.sorted().joined(separator: ",")
        case .nothing: ""
        }
    }

    private static func text(_ number: Double) -> String {
        number == number.rounded() && abs(number) < 1e15 ? "\(Int(number))" : "\(number)"
    }

    /// The value as a file has it.
    func json(in configuration: KubeProxyConfiguration) -> JSONValue? {
        switch access {
        case .string, .address, .duration: .string(text(in: configuration))
        case .bool(let path): .bool(configuration[keyPath: path])
        case .integer, .real: .number(text(in: configuration))
        case .strings(let path): .array(configuration[keyPath: path].map { .string($0) })
        case .gates(let path):
            .object(
                JSONObject(configuration[keyPath: path].sorted { $0.key < $1.key }.map { ($0.key, .bool($0.value)) })
            )
        case .nothing: nil
        }
    }

    /// - Returns: what the text should have been, or `nil` when it is taken.
    func set(_ text: String, in configuration: inout KubeProxyConfiguration) -> String? {
        switch access {
        case .string(let path): configuration[keyPath: path] = text
        case .address(let path): configuration[keyPath: path] = text
        case .bool(let path):
            guard let value = Bool(goText: text) else { return "true or false" }
            configuration[keyPath: path] = value
        case .integer(let path):
            guard let value = Int(text) else { return "a whole number" }
            configuration[keyPath: path] = value
        case .real(let path):
            guard let value = Double(text), value.isFinite else { return "a number" }
            configuration[keyPath: path] = value
        case .duration(let path):
            guard let value = GoDuration.parse(text) else { return "a duration like 1h0m5s" }
            configuration[keyPath: path] = value
        case .strings(let path):
            configuration[keyPath: path] = text.split(separator: ",").map { String($0).trimmed }
        case .gates(let path):
            for pair in text.split(separator: ",") {
                let parts = pair.split(separator: "=", maxSplits: 1).map { String($0).trimmed }
                guard parts.count == 2, let value = Bool(goText: parts[1]) else { return "Name=true or Name=false" }
                configuration[keyPath: path][parts[0]] = value
            }
        case .nothing: break
        }
        return nil
    }
}

extension Bool {
    /// What Go's `strconv.ParseBool` takes.
    init?(goText: String) {
        switch goText {
        case "1", "t", "T", "true", "TRUE", "True": self = true
        case "0", "f", "F", "false", "FALSE", "False": self = false
        default: return nil
        }
    }
}
