import NetworkTypes

/// What ADD made: the result of specification 1.1.0, from which those of all other versions are written.
public struct NetworkResult: Hashable, Sendable {
    public var interfaces: [Interface]
    public var addresses: [Address]
    public var routes: [Route]
    public var dns: DNS

    public init(interfaces: [Interface] = [], addresses: [Address] = [], routes: [Route] = [], dns: DNS = DNS()) {
        self.interfaces = interfaces
        self.addresses = addresses
        self.routes = routes
        self.dns = dns
    }

    public struct Interface: Hashable, Sendable {
        public var name: String
        /// As text, since other plugins' interfaces need not be Ethernet.
        public var mac: String?
        public var mtu: Int?
        /// The path of the container's namespace; `nil` on the host.
        public var sandbox: String?
        public var socketPath: String?
        public var pciID: String?

        public init(
            name: String,
            mac: String? = nil,
            mtu: Int? = nil,
            sandbox: String? = nil,
            socketPath: String? = nil,
            pciID: String? = nil
        ) {
            self.name = name
            self.mac = mac
            self.mtu = mtu
            self.sandbox = sandbox
            self.socketPath = socketPath
            self.pciID = pciID
        }
    }

    public struct Address: Hashable, Sendable {
        public var address: CIDR
        public var gateway: IPAddress?
        /// Index into ``NetworkResult/interfaces``.
        public var interface: Int?

        public init(_ address: CIDR, gateway: IPAddress? = nil, interface: Int? = nil) {
            self.address = address
            self.gateway = gateway
            self.interface = interface
        }
    }

    public struct Route: Hashable, Sendable {
        public var destination: CIDR
        public var gateway: IPAddress?
        public var mtu: Int?
        public var advertisedMSS: Int?
        public var priority: Int?
        public var table: Int?
        public var scope: Int?

        public init(
            _ destination: CIDR,
            gateway: IPAddress? = nil,
            mtu: Int? = nil,
            advertisedMSS: Int? = nil,
            priority: Int? = nil,
            table: Int? = nil,
            scope: Int? = nil
        ) {
            self.destination = destination
            self.gateway = gateway
            self.mtu = mtu
            self.advertisedMSS = advertisedMSS
            self.priority = priority
            self.table = table
            self.scope = scope
        }
    }
}

/// Resolver settings; Swiftlet only carries them.
public struct DNS: Hashable, Sendable {
    public var nameservers: [String]
    public var domain: String
    public var search: [String]
    public var options: [String]

    public init(nameservers: [String] = [], domain: String = "", search: [String] = [], options: [String] = []) {
        self.nameservers = nameservers
        self.domain = domain
        self.search = search
        self.options = options
    }

    public var isEmpty: Bool { self == DNS() }
}

extension NetworkResult {
    /// This result with another's interfaces, addresses and routes behind its own: how a plugin adds to what the chain
    /// before it has made. Indices are shifted; settings of the resolver that the other has win.
    public func merging(_ other: NetworkResult) -> NetworkResult {
        var merged = self
        merged.interfaces += other.interfaces
        merged.addresses += other.addresses.map { address in
            var shifted = address
            shifted.interface = address.interface.map { $0 + interfaces.count }
            return shifted
        }
        merged.routes += other.routes
        if !other.dns.isEmpty { merged.dns = other.dns }
        return merged
    }
}
