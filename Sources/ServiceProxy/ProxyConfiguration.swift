import NetworkTypes
import ProxyAPI

/// What the proxy was asked to do, checked (2.12).
public struct ProxyConfiguration: Hashable, Sendable {
    /// Trimmed and in lower case (1.6); never empty.
    public let nodeName: String
    public let source: Source
    /// Where the pods of this cluster are, at most one prefix per family.
    public let clusterCIDRs: [IPFamily: CIDR]
    /// How pods are told from other sources (1.8).
    public let localDetection: LocalDetection
    /// How the operator wants the node programmed; `nil` for the best way that is possible.
    public let wantedMode: ProxyMode?
    /// How it is programmed: as the operator wants, until it is known what is possible. The settings below are of it.
    public var mode: ProxyMode
    private let nftables: ModeSettings
    private let iptables: ModeSettings
    private let localhostNodePorts: Bool
    /// The address that goes before the node's own one of its family, from `bindAddress`.
    public let nodeAddress: IPAddress?
    /// Where `/healthz` and `/livez` are served; `nil` for nowhere.
    public let healthServer: BindAddress?
    /// Where `/metrics` and the like are served; `nil` for nowhere.
    public let statusServer: BindAddress?
    /// Whether a server that cannot have its address ends the process.
    public let bindAddressHardFail: Bool
    /// The Unix socket on which `swiftletctl` is answered; `nil` for none.
    public let socket: String?
    let userspace: UserspaceSettings
    /// Whether the new connections to each frontend are counted.
    public let countsConnections: Bool
    public let oomScoreAdj: Int
    /// Whether what kube-proxy has left is removed, once our rules are in place.
    public let replacesKubeProxy: Bool
    public let featureGates: FeatureGates
    /// The kernel's settings of connection tracking.
    public let conntrack: ConntrackSettings

    /// Where objects come from.
    public enum Source: Hashable, Sendable {
        /// The files of this directory.
        case manifests(directory: String)
        case api(APIConnection)
    }

    /// How to reach the API server (2.12, `clientConnection`).
    public struct APIConnection: Hashable, Sendable {
        /// Without one, and without a master, the service account of the pod that this runs in counts.
        public var kubeconfig: String?
        /// The address of the API server; goes before that of the kubeconfig.
        public var master: String?
        /// Whether to ask for Kubernetes' protobuf; otherwise for JSON.
        public var prefersProtobuf: Bool
        /// Requests per second, on average; a negative number switches the limit off.
        public var qps: Double
        /// Requests that may go out at once.
        public var burst: Int
        /// Where what was last known is kept for a start without the API server; `nil` for nowhere.
        public var snapshot: String?
    }

    /// kube-proxy's content type by default.
    public static let protobufContentType = "application/vnd.kubernetes.protobuf"
    public static let defaultSnapshot = "/var/lib/swiftlet/proxy.snapshot"

    /// Everything that is wrong, one line each.
    public struct Invalid: Error, Hashable, CustomStringConvertible {
        public let problems: [String]

        public var description: String { problems.joined(separator: "\n") }
    }

    /// - Parameters:
    ///   - hostName: what the operating system calls this node.
    ///   - manifestProblem: says why a path is no manifest directory, or `nil` when it is one.
    public init(
        _ values: ProxyCommandLine.Values,
        hostName: String,
        manifestProblem: (String) -> String? = { _ in nil }
    ) throws(Invalid) {
        let configuration = values.configuration.withDefaults
        var problems = configuration.problems
        let name = (configuration.hostnameOverride.isEmpty ? hostName : configuration.hostnameOverride).trimmed
            .lowercased()
        if name.isEmpty { problems.append("--hostname-override: the name of the node is empty") }
        nodeName = name

        source = Self.source(values, manifestProblem, &problems)
        replacesKubeProxy = values.replaceKubeProxy

        clusterCIDRs = Self.clusterCIDRs(configuration.clusterCIDR)
        localDetection =
            switch configuration.detectLocalMode {
            case "NodeCIDR": .nodeCIDR
            case "BridgeInterface": .bridgeInterface(configuration.detectLocal.bridgeInterface)
            case "InterfaceNamePrefix": .interfaceNamePrefix(configuration.detectLocal.interfaceNamePrefix)
            default: .clusterCIDR(clusterCIDRs)
            }
        wantedMode = ProxyMode(rawValue: configuration.mode)
        mode = wantedMode ?? .nftables
        nftables = ModeSettings(
            masqueradeAll: configuration.nftables.masqueradeAll,
            masqueradeBit: configuration.nftables.masqueradeBit,
            syncPeriod: configuration.nftables.syncPeriod,
            minSyncPeriod: configuration.nftables.minSyncPeriod,
            nodePortAddresses: NodePortAddresses(configuration.nodePortAddresses)
        )
        iptables = ModeSettings(
            masqueradeAll: configuration.iptables.masqueradeAll,
            masqueradeBit: configuration.iptables.masqueradeBit,
            syncPeriod: configuration.iptables.syncPeriod,
            minSyncPeriod: configuration.iptables.minSyncPeriod,
            // Unless told otherwise, all addresses (1.7).
            nodePortAddresses: configuration.nodePortAddresses.isEmpty
                ? .within([]) : NodePortAddresses(configuration.nodePortAddresses)
        )
        localhostNodePorts = configuration.iptables.localhostNodePorts
        nodeAddress = IPAddress(configuration.bindAddress).flatMap { $0.isUnspecified ? nil : $0 }
        healthServer = configuration.healthzBindAddress.flatMap(BindAddress.init)
        statusServer = configuration.metricsBindAddress.flatMap(BindAddress.init)
        bindAddressHardFail = configuration.bindAddressHardFail
        oomScoreAdj = configuration.oomScoreAdj
        socket = (values.socket ?? ProxyAPI.defaultSocket).nonEmpty
        if let socket, !socket.hasPrefix("/") { problems.append("--socket: \"\(socket)\" is not an absolute path") }
        userspace = UserspaceSettings(values, &problems)
        countsConnections = values.countsConnections
        featureGates = FeatureGates(configuration.featureGates)
        conntrack = ConntrackSettings(configuration.conntrack)
        guard problems.isEmpty else { throw Invalid(problems: problems) }
    }

    private static func source(
        _ values: ProxyCommandLine.Values,
        _ manifestProblem: (String) -> String?,
        _ problems: inout [String]
    ) -> Source {
        let client = values.configuration.clientConnection
        let master = values.master.nonEmpty
        if let manifests = values.manifests {
            if !client.kubeconfig.isEmpty || master != nil {
                problems.append(
                    "--manifests: cannot be combined with --kubeconfig or --master; give one source of objects"
                )
            } else if manifests.isEmpty {
                problems.append("--manifests: the name of the directory is empty")
            } else if let problem = manifestProblem(manifests) {
                problems.append("--manifests: \(manifests): \(problem)")
            }
            return .manifests(directory: manifests)
        }
        let snapshot = values.snapshot ?? defaultSnapshot
        if !snapshot.isEmpty, !snapshot.hasPrefix("/") {
            problems.append("--snapshot: \"\(snapshot)\" is not an absolute path")
        }
        return .api(
            APIConnection(
                kubeconfig: client.kubeconfig.isEmpty ? nil : client.kubeconfig,
                master: master,
                prefersProtobuf: client.contentType != "application/json",
                qps: client.qps == 0 ? 5 : client.qps,
                burst: client.burst == 0 ? 10 : client.burst,
                snapshot: snapshot.isEmpty ? nil : snapshot
            )
        )
    }

    private static func clusterCIDRs(_ text: String) -> [IPFamily: CIDR] {
        let prefixes = text.split(separator: ",").compactMap { CIDR(String($0).trimmed)?.masked }
        return Dictionary(prefixes.map { ($0.family, $0) }) { first, _ in first }
    }

    /// What an operator says for each mode apart.
    private struct ModeSettings: Hashable {
        let masqueradeAll: Bool
        let masqueradeBit: Int
        let syncPeriod: Duration
        let minSyncPeriod: Duration
        let nodePortAddresses: NodePortAddresses
    }

    private var settings: ModeSettings { mode == .iptables ? iptables : nftables }

    public var masqueradeAll: Bool { settings.masqueradeAll }
    /// The bit of the packet mark that says "masquerade me"; kube-proxy's by default: 0x4000.
    public var masqueradeBit: Int { settings.masqueradeBit }
    /// The longest wait before something that failed is tried again.
    public var syncPeriod: Duration { settings.syncPeriod }
    /// From the end of one commit to the start of the next, at least.
    public var minSyncPeriod: Duration { settings.minSyncPeriod }
    public var nodePortAddresses: NodePortAddresses { settings.nodePortAddresses }

    /// Whether node ports are served on 127.0.0.0/8, as iptables mode can (1.7).
    var servesLoopback: Bool {
        guard mode == .iptables, localhostNodePorts, case .within(let prefixes) = nodePortAddresses else {
            return false
        }
        let ours = prefixes.filter { $0.family == .ipv4 }
        return ours.isEmpty || ours.contains { $0.contains(.v4(IPv4Address(bits: 0x7f00_0001))) }
    }

    public var planner: ServicePlanner {
        var planner = ServicePlanner(
            masqueradeAll: masqueradeAll,
            familiesWithLocalDetection: localDetection.families
        )
        planner.servesExternalIPs = featureGates.isEnabled(.allowServiceExternalIPs)
        return planner
    }
}

extension String? {
    fileprivate var nonEmpty: String? { flatMap(\.nonEmpty) }
}

extension String {
    fileprivate var nonEmpty: String? { isEmpty ? nil : self }
}

extension StringProtocol where SubSequence == Substring {
    var trimmed: String {
        let start = drop(while: \.isWhitespace)
        return String(start[..<(start.lastIndex { !$0.isWhitespace }.map { start.index(after: $0) } ?? start.endIndex)])
    }
}

extension ProxyConfiguration.Source: CustomStringConvertible {
    public var description: String {
        switch self {
        case .manifests(let directory): "manifests in \(directory)"
        case .api(let connection):
            "API of \(connection.master ?? connection.kubeconfig ?? "the cluster that this pod runs in")"
        }
    }
}
