import NetworkTypes

/// Some of the Services that the proxy knows, in the order of namespace and name.
public struct ServicePage: Codable, Hashable, Sendable {
    /// The node that the proxy runs on.
    public var node: String
    /// The kinds of objects that the proxy does not know completely yet; it writes nothing before.
    public var awaiting: [String]
    /// Whether new connections are counted.
    public var countsConnections: Bool
    public var services: [ServiceReport]
    /// What to ask for as `after` to have the next ones; `nil` when these were the last.
    public var next: String?

    public init(
        node: String,
        awaiting: [String] = [],
        countsConnections: Bool = false,
        services: [ServiceReport] = [],
        next: String? = nil
    ) {
        self.node = node
        self.awaiting = awaiting
        self.countsConnections = countsConnections
        self.services = services
        self.next = next
    }
}

/// One Service with everything that is programmed for it, in both families.
public struct ServiceReport: Codable, Hashable, Sendable {
    public var namespace: String
    public var name: String
    /// As in `spec.type`.
    public var type: String
    public var externalTrafficPolicy: String
    public var internalTrafficPolicy: String
    /// How long a client stays with its endpoint, in seconds; `nil` without session affinity.
    public var sessionAffinitySeconds: UInt32?
    /// Why the Service has no frontends though the proxy knows it: `headless` or `ExternalName`.
    public var notServed: String?
    /// In the order of the Service.
    public var ports: [ServicePortReport]

    public init(
        namespace: String,
        name: String,
        type: String,
        externalTrafficPolicy: String = "Cluster",
        internalTrafficPolicy: String = "Cluster",
        sessionAffinitySeconds: UInt32? = nil,
        notServed: String? = nil,
        ports: [ServicePortReport] = []
    ) {
        self.namespace = namespace
        self.name = name
        self.type = type
        self.externalTrafficPolicy = externalTrafficPolicy
        self.internalTrafficPolicy = internalTrafficPolicy
        self.sessionAffinitySeconds = sessionAffinitySeconds
        self.notServed = notServed
        self.ports = ports
    }
}

public struct ServicePortReport: Codable, Hashable, Sendable {
    /// Empty when the Service has one unnamed port.
    public var name: String
    /// `TCP`, `UDP` or `SCTP`.
    public var `protocol`: String
    public var port: UInt16
    /// IPv4 before IPv6; of each cluster IP, external IPs, load-balancer IPs, node port.
    public var frontends: [FrontendReport]

    public init(name: String, protocol: String, port: UInt16, frontends: [FrontendReport]) {
        self.name = name
        self.protocol = `protocol`
        self.port = port
        self.frontends = frontends
    }
}

/// Something that can be dialled, and what happens to who dials it.
public struct FrontendReport: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Hashable, Sendable {
        case clusterIP = "ClusterIP"
        case externalIP = "ExternalIP"
        case loadBalancerIP = "LoadBalancerIP"
        case nodePort = "NodePort"
    }

    public enum State: String, Codable, Hashable, Sendable {
        case programmed = "Programmed"
        /// The change is known, and is not in the kernel yet.
        case waiting = "Waiting"
        /// The kernel did not take it; it is tried again.
        case refused = "Refused"
        /// Another Service, which is older, has the same address and port.
        case conflicting = "Conflicting"
    }

    public var kind: Kind
    /// `IPv4` or `IPv6`.
    public var ipFamily: String
    /// `nil` for a node port.
    public var address: IPAddress?
    public var port: UInt16
    public var state: State
    /// Of a refused frontend: why, in the words of the kernel.
    public var reason: String?
    /// Of a conflicting frontend: the Service that has it, as `namespace/name`.
    public var owner: String?
    public var route: RouteReport
    /// Where traffic from this node and its pods goes, when that differs.
    public var nearRoute: RouteReport?
    /// Who may connect; `nil` for everyone.
    public var allowedSources: [CIDR]?
    /// How many new connections have arrived; `nil` when they are not counted.
    public var connections: UInt64?

    public init(
        kind: Kind,
        ipFamily: String,
        address: IPAddress?,
        port: UInt16,
        state: State = .programmed,
        reason: String? = nil,
        owner: String? = nil,
        route: RouteReport,
        nearRoute: RouteReport? = nil,
        allowedSources: [CIDR]? = nil,
        connections: UInt64? = nil
    ) {
        self.kind = kind
        self.ipFamily = ipFamily
        self.address = address
        self.port = port
        self.state = state
        self.reason = reason
        self.owner = owner
        self.route = route
        self.nearRoute = nearRoute
        self.allowedSources = allowedSources
        self.connections = connections
    }
}

public struct RouteReport: Codable, Hashable, Sendable {
    public enum Masquerade: String, Codable, Hashable, Sendable {
        case never = "Never"
        case always = "Always"
        /// Only for sources that are no pods.
        case unlessLocal = "UnlessLocal"
    }

    /// In the order of address and port. A new connection goes to each with the same probability.
    public var backends: [BackendReport]
    public var masquerade: Masquerade
    /// What happens without backends: `Reject` or `Drop`.
    public var whenEmpty: String
    /// Whether a policy has left only the endpoints of this node.
    public var isLocalOnly: Bool

    public init(backends: [BackendReport], masquerade: Masquerade, whenEmpty: String, isLocalOnly: Bool = false) {
        self.backends = backends
        self.masquerade = masquerade
        self.whenEmpty = whenEmpty
        self.isLocalOnly = isLocalOnly
    }
}

public struct BackendReport: Codable, Hashable, Sendable {
    public var address: IPAddress
    public var port: UInt16
    /// Whether it runs on this node.
    public var isLocal: Bool

    public init(address: IPAddress, port: UInt16, isLocal: Bool) {
        self.address = address
        self.port = port
        self.isLocal = isLocal
    }
}

/// An address with a port as one writes them: `10.96.0.10:80`, `[fd96::10]:80`.
public func hostPort(_ address: IPAddress, _ port: UInt16) -> String {
    address.family == .ipv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
}
