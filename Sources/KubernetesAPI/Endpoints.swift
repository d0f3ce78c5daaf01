import NetworkTypes

/// An Endpoints object (core/v1), the predecessor of EndpointSlice; it has the name of its Service.
public struct Endpoints: Hashable, Sendable {
    /// Every endpoint of a subset has every port of it.
    public struct Subset: Hashable, Sendable {
        /// Those that are ready first, then the others, which are neither ready nor serving.
        public var endpoints: [Endpoint]
        public var ports: [EndpointPort]

        public init(endpoints: [Endpoint], ports: [EndpointPort]) {
            self.endpoints = endpoints
            self.ports = ports
        }
    }

    public var metadata: ObjectMeta
    public var subsets: [Subset]

    public init(metadata: ObjectMeta, subsets: [Subset]) {
        self.metadata = metadata
        self.subsets = subsets
    }
}

extension Endpoints: Codable {
    private enum CodingKeys: String, CodingKey { case metadata, subsets }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.decode(ObjectMeta.WithKnownLabels.self, forKey: .metadata).metadata
        subsets = try container.list(forKey: .subsets)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(metadata, forKey: .metadata)
        try container.encode(subsets, forKey: .subsets)
    }
}

extension Endpoints.Subset: Codable {
    private enum CodingKeys: String, CodingKey { case addresses, notReadyAddresses, ports }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let ready = try container.list(CodedAddress.self, forKey: .addresses)
        let notReady = try container.list(CodedAddress.self, forKey: .notReadyAddresses)
        endpoints =
            ready.map { Endpoint(address: $0.address, nodeName: $0.nodeName) }
            + notReady.map { Endpoint(address: $0.address, isReady: false, isServing: false, nodeName: $0.nodeName) }
        ports = try container.list(forKey: .ports)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let ready = endpoints.filter(\.isReady).map(CodedAddress.init)
        let notReady = endpoints.filter { !$0.isReady }.map(CodedAddress.init)
        if !ready.isEmpty { try container.encode(ready, forKey: .addresses) }
        if !notReady.isEmpty { try container.encode(notReady, forKey: .notReadyAddresses) }
        try container.encode(ports, forKey: .ports)
    }
}

private struct CodedAddress: Codable {
    let address: IPAddress
    let nodeName: String?

    private enum CodingKeys: String, CodingKey { case ip, nodeName }

    init(_ endpoint: Endpoint) {
        address = endpoint.address
        nodeName = endpoint.nodeName
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        address = try container.decode(APIAddress.self, forKey: .ip).address
        nodeName = try container.pooledString(forKey: .nodeName, decoder.stringPool)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(address, forKey: .ip)
        try container.encodeIfPresent(nodeName, forKey: .nodeName)
    }
}
