// ServiceProxy: from Service and EndpointSlice objects to what the node must do with a packet. Objects go into the
// catalog, the planner turns one dirty service into frontends, the frontend table compares them with what is
// programmed, and a backend (nftables here; iptables and userspace later) carries out the changes. Every policy is
// resolved before a backend sees a frontend. No HTTP, JSON or kubeconfig.

import NetworkTypes

/// One port of one Service, in one protocol: what kube-proxy calls a service port (SP).
///
/// Session affinity and log lines are per service port, not per frontend (SA-1).
public struct ServicePortName: Hashable, Sendable {
    public let namespace: String
    public let name: String
    /// The name of the port; empty when the Service has one unnamed port.
    public let port: String
    public let transport: TransportProtocol

    public init(namespace: String, name: String, port: String, transport: TransportProtocol) {
        self.namespace = namespace
        self.name = name
        self.port = port
        self.transport = transport
    }
}

extension ServicePortName: CustomStringConvertible {
    /// `namespace/name:port`, as kube-proxy writes it in comments and logs.
    public var description: String { port.isEmpty ? "\(namespace)/\(name)" : "\(namespace)/\(name):\(port)" }
}

/// Something that can be dialled, and what happens to who dials it.
public struct Frontend: Hashable, Sendable {
    /// What a packet must carry to reach this frontend.
    public enum Key: Hashable, Sendable {
        /// An address of the Service: cluster IP, external IP or load-balancer IP.
        case address(IPAddress, TransportProtocol, UInt16)
        /// A port on every node-port address of this family.
        case nodePort(IPFamily, TransportProtocol, UInt16)
    }

    /// Where the key came from; cluster IPs are also remembered as such (FE-4).
    public enum Kind: Hashable, Sendable {
        case clusterIP, externalIP, loadBalancerIP, nodePort
    }

    public let key: Key
    public let kind: Kind
    public let servicePort: ServicePortName
    /// Where traffic goes, unless ``nearRoute`` says otherwise for its source.
    public let route: Route
    /// Where traffic from this node and its pods goes when that differs (external traffic policy Local, FE-6).
    public let nearRoute: Route?
    /// Who may connect, or `nil` for everyone (FW-1).
    public let allowedSources: [CIDR]?
    /// How long a client stays with its endpoint, in seconds, or `nil` without session affinity (SA-1).
    public let affinityTimeout: UInt32?
    /// What the Service asks for beyond what every backend does.
    public let balancing: BalancingWish

    public init(
        key: Key,
        kind: Kind,
        servicePort: ServicePortName,
        route: Route,
        nearRoute: Route? = nil,
        allowedSources: [CIDR]? = nil,
        affinityTimeout: UInt32? = nil,
        balancing: BalancingWish = BalancingWish()
    ) {
        self.key = key
        self.kind = kind
        self.servicePort = servicePort
        self.route = route
        self.nearRoute = nearRoute
        self.allowedSources = allowedSources
        self.affinityTimeout = affinityTimeout
        self.balancing = balancing
    }
}

/// A list of backends with its treatment.
public struct Route: Hashable, Sendable {
    /// Whether the source address is replaced on the way to the backend.
    public enum Masquerade: Hashable, Sendable {
        case never
        case always
        /// Only for sources that are no pods of this node or cluster (MQ-2).
        case unlessLocal
    }

    /// What a client gets when there is no backend (FE-1, FE-2).
    public enum Refusal: Hashable, Sendable {
        /// No endpoint exists anywhere: an ICMP error, so that the client fails at once.
        case reject
        /// Endpoints exist on other nodes, but policy keeps the traffic here.
        case drop
    }

    /// Sorted by address and port, without duplicates, so that equal inputs give equal values.
    public let backends: [Backend]
    public let masquerade: Masquerade
    public let whenEmpty: Refusal
    /// Whether a policy has left only the endpoints of this node. The frontends of a service port that use the same
    /// kind of list share the memory of its clients (SA-1, SA-5).
    public let isLocalOnly: Bool

    public init(backends: [Backend], masquerade: Masquerade, whenEmpty: Refusal, isLocalOnly: Bool = false) {
        self.backends = backends
        self.masquerade = masquerade
        self.whenEmpty = whenEmpty
        self.isLocalOnly = isLocalOnly
    }
}

/// One endpoint that traffic can be sent to.
public struct Backend: Hashable, Sendable {
    public let address: IPAddress
    public let port: UInt16
    /// Whether it runs on this node; such a pod may reach itself through a frontend (hairpin, MQ-5).
    public let isLocal: Bool

    public init(address: IPAddress, port: UInt16, isLocal: Bool) {
        self.address = address
        self.port = port
        self.isLocal = isLocal
    }
}

extension Backend: Comparable {
    public static func < (left: Backend, right: Backend) -> Bool {
        (left.address, left.port) < (right.address, right.port)
    }
}

/// One difference between the wanted frontends and the programmed ones.
public enum FrontendChange: Hashable, Sendable {
    case add(Frontend)
    /// Both have the same key.
    case replace(old: Frontend, new: Frontend)
    case remove(Frontend)
}

extension Frontend.Key: CustomStringConvertible {
    /// `10.96.0.1:80/TCP`, or `node port 30080/TCP (IPv4)`.
    public var description: String {
        switch self {
        case .address(.v6(let address), let transport, let port): "[\(address)]:\(port)/\(transport)"
        case .address(.v4(let address), let transport, let port): "\(address):\(port)/\(transport)"
        case .nodePort(let family, let transport, let port): "node port \(port)/\(transport) (\(family))"
        }
    }
}
