import NetworkTypes

/// An address, a port and a protocol: what somebody dials, or where a target is.
public struct TransportAddress: Hashable, Sendable {
    public let address: IPAddress
    public let port: UInt16

    public init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }
}

extension TransportAddress: Comparable, CustomStringConvertible {
    public static func < (left: TransportAddress, right: TransportAddress) -> Bool {
        (left.address, left.port) < (right.address, right.port)
    }

    public var description: String {
        address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

/// Where a listener is. An unspecified address stands for all addresses of its family.
public struct ListenEndpoint: Hashable, Sendable, CustomStringConvertible {
    public enum Transport: String, Hashable, Sendable {
        case tcp, udp
    }

    public let at: TransportAddress
    public let transport: Transport

    public init(_ transport: Transport, _ address: IPAddress, _ port: UInt16) {
        self.transport = transport
        at = TransportAddress(address, port)
    }

    public var description: String { "\(transport) \(at)" }
}

/// Something to listen on, and where what arrives there goes.
public struct ListenerSpecification: Hashable, Sendable {
    /// What becomes of a client for whom there is no target.
    public enum Refusal: Hashable, Sendable {
        /// It is told so: nobody listens.
        case reject
        /// It hears nothing.
        case drop
    }

    public let endpoint: ListenEndpoint
    /// Listeners of one group share counters, the memory of their clients and what is known of their targets.
    public let group: String
    public let route: TargetList
    /// For clients that are near (``LoadBalancer/setNearSources(_:)``) when that differs.
    public let nearRoute: TargetList?
    /// Who may connect, or `nil` for everyone.
    public let allowedSources: [CIDR]?
    public let balancing: Balancing
    public let whenEmpty: Refusal

    public init(
        _ endpoint: ListenEndpoint,
        group: String,
        route: TargetList,
        nearRoute: TargetList? = nil,
        allowedSources: [CIDR]? = nil,
        balancing: Balancing = Balancing(),
        whenEmpty: Refusal = .reject
    ) {
        self.endpoint = endpoint
        self.group = group
        self.route = route
        self.nearRoute = nearRoute
        self.allowedSources = allowedSources
        self.balancing = balancing
        self.whenEmpty = whenEmpty
    }

    /// Whether no client can be served.
    var isEmpty: Bool { route.targets.isEmpty && (nearRoute?.targets.isEmpty ?? true) }

    func admits(_ source: IPAddress) -> Bool {
        allowedSources.map { $0.contains { $0.contains(source) } } ?? true
    }
}

/// The targets that one kind of client may get.
public struct TargetList: Hashable, Sendable {
    /// Without duplicates.
    public let targets: [TransportAddress]
    /// Lists of one group with the same number share the memory of where clients went.
    public let memory: UInt8

    public init(_ targets: [TransportAddress], memory: UInt8 = 0) {
        self.targets = targets
        self.memory = memory
    }
}

/// How clients are spread over targets, and how these are spoken to.
public struct Balancing: Hashable, Sendable {
    public enum Algorithm: String, Hashable, Sendable, CaseIterable {
        case random
        case roundRobin = "round-robin"
        /// The target with the fewest open connections or flows of this group.
        case leastConnections = "least-connections"
        /// By the client's address, consistently: see ``MaglevTable``.
        case maglev
    }

    public var algorithm: Algorithm
    /// How long a client stays with its target after its last new connection; `nil` without affinity.
    public var affinityTimeout: Duration?
    /// Whether each TCP connection to a target begins with a PROXY protocol v2 header.
    public var sendsProxyHeader: Bool

    public init(
        algorithm: Algorithm = .random,
        affinityTimeout: Duration? = nil,
        sendsProxyHeader: Bool = false
    ) {
        self.algorithm = algorithm
        self.affinityTimeout = affinityTimeout
        self.sendsProxyHeader = sendsProxyHeader
    }
}
