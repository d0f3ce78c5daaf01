import NetworkTypes

/// One endpoint of a slice, with the meaning of absent fields filled in (1.3).
public struct Endpoint: Hashable, Sendable {
    /// The first address of the endpoint; consumers are to use no other.
    public var address: IPAddress
    /// Absent means true.
    public var isReady: Bool
    /// Absent means true.
    public var isServing: Bool
    /// Absent means false.
    public var isTerminating: Bool
    public var nodeName: String?
    /// The zones whose clients should use this endpoint; empty without a hint.
    public var zoneHints: [String]
    /// The nodes whose clients should use this endpoint; empty without a hint.
    public var nodeHints: [String]

    public init(
        address: IPAddress,
        isReady: Bool = true,
        isServing: Bool = true,
        isTerminating: Bool = false,
        nodeName: String? = nil,
        zoneHints: [String] = [],
        nodeHints: [String] = []
    ) {
        self.address = address
        self.isReady = isReady
        self.isServing = isServing
        self.isTerminating = isTerminating
        self.nodeName = nodeName
        self.zoneHints = zoneHints
        self.nodeHints = nodeHints
    }
}

/// A port that the endpoints of a slice have in common.
public struct EndpointPort: Hashable, Sendable {
    /// Matches the name of a Service's port; an absent name is the empty one, as the API server fills it in.
    public var name: String
    public var transport: TransportProtocol
    /// 0 when absent; such an entry is for no proxy (1.3).
    public var port: UInt16

    public init(name: String = "", transport: TransportProtocol = .tcp, port: UInt16) {
        self.name = name
        self.transport = transport
        self.port = port
    }
}

extension EndpointPort: Codable {
    private enum CodingKeys: String, CodingKey {
        case name, port
        case transport = "protocol"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.pooledString(forKey: .name, decoder.stringPool) ?? ""
        transport = try container.transport(forKey: .transport)
        port = try container.port(forKey: .port)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(transport.description, forKey: .transport)
        if port != 0 { try container.encode(port, forKey: .port) }
    }
}
