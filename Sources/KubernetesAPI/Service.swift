import NetworkTypes

/// A Service (core/v1), with the fields of 1.2.
public struct Service: Hashable, Sendable {
    public enum ServiceType: String, Sendable, CaseIterable {
        case clusterIP = "ClusterIP"
        case nodePort = "NodePort"
        case loadBalancer = "LoadBalancer"
        case externalName = "ExternalName"
    }

    public enum TrafficPolicy: String, Sendable, CaseIterable {
        case cluster = "Cluster"
        case local = "Local"
    }

    /// The words for what ``affinityTimeout`` tells.
    public enum SessionAffinity: String, Sendable, CaseIterable {
        case none = "None"
        case clientIP = "ClientIP"
    }

    /// The words for what ``Ingress/isVIP`` tells.
    public enum IngressMode: String, Sendable, CaseIterable {
        case vip = "VIP"
        case proxy = "Proxy"
    }

    public struct Port: Hashable, Sendable {
        /// Empty when the Service has one unnamed port.
        public var name: String
        public var transport: TransportProtocol
        public var port: UInt16
        /// 0 without a node port.
        public var nodePort: UInt16

        public init(name: String = "", transport: TransportProtocol = .tcp, port: UInt16, nodePort: UInt16 = 0) {
            self.name = name
            self.transport = transport
            self.port = port
            self.nodePort = nodePort
        }
    }

    /// An address that a load balancer gave to the Service; those that have only a host name are not kept.
    public struct Ingress: Hashable, Sendable {
        public var address: IPAddress
        /// Whether the load balancer delivers packets that still carry the address (`ipMode: VIP`, the default), or
        /// is a proxy that nodes must not short-cut (`Proxy`).
        public var isVIP: Bool

        public init(address: IPAddress, isVIP: Bool = true) {
            self.address = address
            self.isVIP = isVIP
        }
    }

    public var metadata: ObjectMeta
    public var type: ServiceType
    /// At most one per family, the family of the address telling which; empty for a headless Service.
    public var clusterIPs: [IPAddress]
    public var ports: [Port]
    public var externalIPs: [IPAddress]
    public var ingress: [Ingress]
    /// As written; what does not parse is for the reader to report and ignore.
    public var loadBalancerSourceRanges: [String]
    public var externalTrafficPolicy: TrafficPolicy
    public var internalTrafficPolicy: TrafficPolicy
    /// Seconds that a client stays with its endpoint; `nil` without session affinity.
    public var affinityTimeout: UInt32?
    /// 0 without one.
    public var healthCheckNodePort: UInt16

    /// What the API server fills in for `sessionAffinityConfig.clientIP.timeoutSeconds`: three hours.
    public static let defaultAffinityTimeout: UInt32 = 10800

    public init(
        metadata: ObjectMeta,
        type: ServiceType = .clusterIP,
        clusterIPs: [IPAddress],
        ports: [Port],
        externalIPs: [IPAddress] = [],
        ingress: [Ingress] = [],
        loadBalancerSourceRanges: [String] = [],
        externalTrafficPolicy: TrafficPolicy = .cluster,
        internalTrafficPolicy: TrafficPolicy = .cluster,
        affinityTimeout: UInt32? = nil,
        healthCheckNodePort: UInt16 = 0
    ) {
        self.metadata = metadata
        self.type = type
        self.clusterIPs = clusterIPs
        self.ports = ports
        self.externalIPs = externalIPs
        self.ingress = ingress
        self.loadBalancerSourceRanges = loadBalancerSourceRanges
        self.externalTrafficPolicy = externalTrafficPolicy
        self.internalTrafficPolicy = internalTrafficPolicy
        self.affinityTimeout = affinityTimeout
        self.healthCheckNodePort = healthCheckNodePort
    }
}
