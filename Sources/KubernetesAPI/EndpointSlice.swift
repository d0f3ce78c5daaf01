import NetworkTypes

/// An EndpointSlice (discovery.k8s.io/v1), with the fields of 1.3.
public struct EndpointSlice: Hashable, Sendable {
    public enum AddressType: String, Sendable, CaseIterable {
        case ipv4 = "IPv4"
        case ipv6 = "IPv6"
        /// Host names, which no proxy can send packets to; the endpoints are not kept.
        case fqdn = "FQDN"
    }

    public var metadata: ObjectMeta
    public var addressType: AddressType
    public var ports: [EndpointPort]
    public var endpoints: [Endpoint]
    /// When the change of a pod or Service happened that made this version of the slice; `nil` when nobody said.
    public var lastChangeTriggerTime: Timestamp?

    /// The annotation that has it.
    public static let triggerTimeAnnotation = "endpoints.kubernetes.io/last-change-trigger-time"

    public init(metadata: ObjectMeta, addressType: AddressType, ports: [EndpointPort], endpoints: [Endpoint]) {
        self.metadata = metadata
        self.addressType = addressType
        self.ports = ports
        self.endpoints = endpoints
    }

    /// The Service that the slice belongs to, or `nil` when it says none.
    public var serviceName: ObjectName? {
        guard let name = metadata.labels[LabelKey.serviceName], !name.isEmpty else { return nil }
        return ObjectName(namespace: metadata.namespace, name: name)
    }

    /// `nil` for host names.
    public var family: IPFamily? {
        switch addressType {
        case .ipv4: .ipv4
        case .ipv6: .ipv6
        case .fqdn: nil
        }
    }
}

extension EndpointSlice: Codable {
    private enum CodingKeys: String, CodingKey { case metadata, addressType, ports, endpoints }
    private enum MetadataKeys: String, CodingKey { case annotations }
    private enum AnnotationKeys: String, CodingKey {
        case triggerTime = "endpoints.kubernetes.io/last-change-trigger-time"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        lastChangeTriggerTime = Self.triggerTime(container)
        metadata = try container.decode(ObjectMeta.WithKnownLabels.self, forKey: .metadata).metadata
        guard let addressType = try container.word(AddressType.self, forKey: .addressType) else {
            throw DecodingError.keyNotFound(
                CodingKeys.addressType,
                .init(codingPath: container.codingPath, debugDescription: "")
            )
        }
        self.addressType = addressType
        ports = try container.list(forKey: .ports)
        endpoints = []
        guard let family, container.contains(.endpoints), try !container.decodeNil(forKey: .endpoints) else { return }
        var list = try container.nestedUnkeyedContainer(forKey: .endpoints)
        endpoints.reserveCapacity(list.count ?? 0)
        while !list.isAtEnd {
            guard let endpoint = try list.decode(CodedEndpoint.self).endpoint else { continue }
            do {
                try FieldRule.address(endpoint.address, ofType: family)
            } catch {
                throw DecodingError.dataCorrupted(
                    .init(
                        codingPath: list.codingPath + [Index(list.currentIndex - 1), Index("addresses"), Index(0)],
                        debugDescription: error.reason
                    )
                )
            }
            endpoints.append(endpoint)
        }
    }

    /// Nobody depends on it, so that one that is no time is as good as none.
    private static func triggerTime(_ container: KeyedDecodingContainer<CodingKeys>) -> Timestamp? {
        guard let metadata = try? container.nestedContainer(keyedBy: MetadataKeys.self, forKey: .metadata),
            let annotations = try? metadata.nestedContainer(keyedBy: AnnotationKeys.self, forKey: .annotations),
            let text = try? annotations.decode(String.self, forKey: .triggerTime)
        else { return nil }
        return Timestamp(text)
    }

    /// Leaves the trigger time out: it matters only to who hears of a change.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(metadata, forKey: .metadata)
        try container.encode(addressType.rawValue, forKey: .addressType)
        try container.encode(ports, forKey: .ports)
        try container.encode(endpoints.map(CodedEndpoint.init), forKey: .endpoints)
    }

    /// A step of a path that is built here and not by the decoder.
    private struct Index: CodingKey {
        let stringValue: String
        let intValue: Int?

        init(_ index: Int) {
            stringValue = "\(index)"
            intValue = index
        }

        init(_ name: String) {
            stringValue = name
            intValue = nil
        }

        init?(stringValue: String) {
            self.init(stringValue)
        }

        init?(intValue: Int) {
            self.init(intValue)
        }
    }
}

/// The shape that an endpoint of a slice has on the wire.
private struct CodedEndpoint: Codable {
    /// `nil` for an endpoint without addresses, which the API forbids and proxies ignore (1.3).
    let endpoint: Endpoint?

    private enum CodingKeys: String, CodingKey { case addresses, conditions, nodeName, hints }
    private enum ConditionKeys: String, CodingKey { case ready, serving, terminating }
    private enum HintKeys: String, CodingKey { case forZones, forNodes, name }

    init(_ endpoint: Endpoint) {
        self.endpoint = endpoint
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard let address = try Self.firstAddress(container) else {
            endpoint = nil
            return
        }
        let pool = decoder.stringPool
        var endpoint = Endpoint(address: address)
        endpoint.nodeName = try container.pooledString(forKey: .nodeName, pool)
        if container.contains(.conditions), try !container.decodeNil(forKey: .conditions) {
            let conditions = try container.nestedContainer(keyedBy: ConditionKeys.self, forKey: .conditions)
            endpoint.isReady = try conditions.decodeIfPresent(Bool.self, forKey: .ready) ?? true
            endpoint.isServing = try conditions.decodeIfPresent(Bool.self, forKey: .serving) ?? true
            endpoint.isTerminating = try conditions.decodeIfPresent(Bool.self, forKey: .terminating) ?? false
        }
        if container.contains(.hints), try !container.decodeNil(forKey: .hints) {
            let hints = try container.nestedContainer(keyedBy: HintKeys.self, forKey: .hints)
            endpoint.zoneHints = try hints.list(Hint.self, forKey: .forZones).map { pool?.shared($0.name) ?? $0.name }
            endpoint.nodeHints = try hints.list(Hint.self, forKey: .forNodes).map { pool?.shared($0.name) ?? $0.name }
        }
        self.endpoint = endpoint
    }

    private static func firstAddress(_ container: KeyedDecodingContainer<CodingKeys>) throws -> IPAddress? {
        guard container.contains(.addresses), try !container.decodeNil(forKey: .addresses) else { return nil }
        var addresses = try container.nestedUnkeyedContainer(forKey: .addresses)
        return addresses.isAtEnd ? nil : try addresses.decode(APIAddress.self).address
    }

    func encode(to encoder: any Encoder) throws {
        guard let endpoint else { return }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode([endpoint.address], forKey: .addresses)
        var conditions = container.nestedContainer(keyedBy: ConditionKeys.self, forKey: .conditions)
        try conditions.encode(endpoint.isReady, forKey: .ready)
        try conditions.encode(endpoint.isServing, forKey: .serving)
        try conditions.encode(endpoint.isTerminating, forKey: .terminating)
        try container.encodeIfPresent(endpoint.nodeName, forKey: .nodeName)
        guard !endpoint.zoneHints.isEmpty || !endpoint.nodeHints.isEmpty else { return }
        var hints = container.nestedContainer(keyedBy: HintKeys.self, forKey: .hints)
        if !endpoint.zoneHints.isEmpty { try hints.encode(endpoint.zoneHints.map(Hint.init), forKey: .forZones) }
        if !endpoint.nodeHints.isEmpty { try hints.encode(endpoint.nodeHints.map(Hint.init), forKey: .forNodes) }
    }

    private struct Hint: Codable {
        let name: String
    }
}
