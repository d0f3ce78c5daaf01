// Configuration: what kube-proxy's operators know, as values: KubeProxyConfiguration, its flags, its checks. No files
// and no YAML: those who run a proxy read them. What the parts of the proxy use is derived: ``ProxyConfiguration``.

/// KubeProxyConfiguration of kubeproxy.config.k8s.io/v1alpha1 (2.12), with the defaults of kube-proxy, all but one:
/// `minSyncPeriod` is 0, since an idle proxy need not wait.
public struct KubeProxyConfiguration: Hashable, Sendable {
    public static let apiVersion = "kubeproxy.config.k8s.io/v1alpha1"
    public static let kind = "KubeProxyConfiguration"

    public struct ClientConnection: Hashable, Sendable {
        public var kubeconfig = ""
        public var acceptContentTypes = ""
        public var contentType = ProxyConfiguration.protobufContentType
        /// Requests per second, on average; negative: no limit.
        public var qps = 5.0
        public var burst = 10
    }

    public struct Logging: Hashable, Sendable {
        /// `text` or `json`.
        public var format = "text"
        public var flushFrequency = Duration.seconds(5)
        public var verbosity = 0
    }

    public struct IPTables: Hashable, Sendable {
        public var masqueradeBit = 14
        public var masqueradeAll = false
        public var localhostNodePorts = true
        public var syncPeriod = Duration.seconds(30)
        public var minSyncPeriod = Duration.seconds(1)
    }

    public struct IPVS: Hashable, Sendable {
        public var syncPeriod = Duration.seconds(30)
        public var minSyncPeriod = Duration.zero
        public var scheduler = ""
        public var excludeCIDRs: [String] = []
        public var strictARP = false
        public var tcpTimeout = Duration.zero
        public var tcpFinTimeout = Duration.zero
        public var udpTimeout = Duration.zero
    }

    public struct NFTables: Hashable, Sendable {
        /// The bit of the packet mark that says "masquerade me".
        public var masqueradeBit = 14
        public var masqueradeAll = false
        /// The longest wait before a failed commit is tried again, and half of what makes the proxy unhealthy (HZ-2).
        public var syncPeriod = Duration.seconds(30)
        /// From the end of one commit to the start of the next, at least.
        public var minSyncPeriod = Duration.zero
    }

    public struct Winkernel: Hashable, Sendable {
        public var networkName = ""
        public var sourceVip = ""
        public var enableDSR = false
        public var rootHnsEndpointName = ""
        public var forwardHealthCheckVip = false
    }

    public struct Conntrack: Hashable, Sendable {
        public var maxPerCore = 32768
        public var min = 131072
        public var tcpEstablishedTimeout = Duration.seconds(24 * 3600)
        public var tcpCloseWaitTimeout = Duration.seconds(3600)
        public var tcpBeLiberal = false
        public var udpTimeout = Duration.zero
        public var udpStreamTimeout = Duration.zero
    }

    public struct DetectLocal: Hashable, Sendable {
        public var bridgeInterface = ""
        public var interfaceNamePrefix = ""
    }

    public var featureGates: [String: Bool] = [:]
    public var clientConnection = ClientConnection()
    public var logging = Logging()
    public var hostnameOverride = ""
    public var bindAddress = "0.0.0.0"
    /// `nil` when nobody said, and empty for no server.
    public var healthzBindAddress: String?
    /// `nil` when nobody said, and empty for no server.
    public var metricsBindAddress: String?
    public var bindAddressHardFail = false
    public var enableProfiling = false
    public var showHiddenMetricsForVersion = ""
    public var mode = ""
    public var iptables = IPTables()
    public var ipvs = IPVS()
    public var nftables = NFTables()
    public var winkernel = Winkernel()
    public var windowsRunAsService = false
    public var detectLocalMode = ""
    public var detectLocal = DetectLocal()
    public var clusterCIDR = ""
    public var nodePortAddresses: [String] = []
    public var oomScoreAdj = -999
    public var conntrack = Conntrack()
    public var configSyncPeriod = Duration.seconds(15 * 60)
    public var portRange = ""
    /// The paths of fields that were given and whose value is not kept, since nothing depends on it.
    var givenWithoutValue: Set<String> = []

    public init() {}

    /// With what depends on other fields filled in.
    public var withDefaults: KubeProxyConfiguration {
        var result = self
        let isIPv6 = bindAddress.contains(":")
        if healthzBindAddress == nil { result.healthzBindAddress = isIPv6 ? "[::]:10256" : "0.0.0.0:10256" }
        if metricsBindAddress == nil { result.metricsBindAddress = isIPv6 ? "[::1]:10249" : "127.0.0.1:10249" }
        if detectLocalMode.isEmpty { result.detectLocalMode = "ClusterCIDR" }
        return result
    }
}
