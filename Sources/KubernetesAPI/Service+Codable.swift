import NetworkTypes

extension Service: Codable {
    private enum CodingKeys: String, CodingKey { case metadata, spec, status }

    private enum SpecKeys: String, CodingKey {
        case type, clusterIP, clusterIPs, ports, externalIPs, loadBalancerSourceRanges, externalTrafficPolicy
        case internalTrafficPolicy, sessionAffinity, sessionAffinityConfig, healthCheckNodePort
    }

    private enum AffinityKeys: String, CodingKey { case clientIP, timeoutSeconds }
    private enum StatusKeys: String, CodingKey { case loadBalancer, ingress }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.decode(ObjectMeta.WithKnownLabels.self, forKey: .metadata).metadata

        let spec = try container.nestedContainer(keyedBy: SpecKeys.self, forKey: .spec)
        type = try spec.word(forKey: .type) ?? .clusterIP
        ports = try spec.list(forKey: .ports)
        externalIPs = try spec.list(APIAddress.self, forKey: .externalIPs).map(\.address)
        loadBalancerSourceRanges = try spec.list(forKey: .loadBalancerSourceRanges)
        externalTrafficPolicy = try spec.word(forKey: .externalTrafficPolicy) ?? .cluster
        internalTrafficPolicy = try spec.word(forKey: .internalTrafficPolicy) ?? .cluster
        healthCheckNodePort = try spec.port(forKey: .healthCheckNodePort)
        clusterIPs = try Self.clusterIPs(spec, of: type)
        affinityTimeout = try Self.affinityTimeout(spec)
        ingress = try container.decodeIfPresent(Status.self, forKey: .status)?.ingress ?? []
    }

    /// The list where there is one, else the single field that is its first element; without "None" and "".
    private static func clusterIPs(
        _ spec: KeyedDecodingContainer<SpecKeys>,
        of type: ServiceType
    ) throws -> [IPAddress] {
        let list = try spec.list(ClusterIP.self, forKey: .clusterIPs)
        let all =
            try list.isEmpty ? [spec.decodeIfPresent(ClusterIP.self, forKey: .clusterIP)].compactMap(\.self) : list
        return try spec.obeying(.clusterIPs) { () throws(FieldRule.Violation) in
            try FieldRule.onePerFamily(all.compactMap(\.address))
        }
    }

    private static func affinityTimeout(_ spec: KeyedDecodingContainer<SpecKeys>) throws -> UInt32? {
        guard try spec.word(SessionAffinity.self, forKey: .sessionAffinity) == .clientIP else { return nil }
        guard spec.contains(.sessionAffinityConfig), try !spec.decodeNil(forKey: .sessionAffinityConfig) else {
            return defaultAffinityTimeout
        }
        let config = try spec.nestedContainer(keyedBy: AffinityKeys.self, forKey: .sessionAffinityConfig)
        guard config.contains(.clientIP), try !config.decodeNil(forKey: .clientIP) else {
            return defaultAffinityTimeout
        }
        let clientIP = try config.nestedContainer(keyedBy: AffinityKeys.self, forKey: .clientIP)
        let seconds = try clientIP.wholeNumber(forKey: .timeoutSeconds)
        return try clientIP.obeying(.timeoutSeconds) { () throws(FieldRule.Violation) in
            try FieldRule.affinityTimeout(seconds)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(metadata, forKey: .metadata)

        var spec = container.nestedContainer(keyedBy: SpecKeys.self, forKey: .spec)
        try spec.encode(type.rawValue, forKey: .type)
        try spec.encode(clusterIPs.first?.description ?? "None", forKey: .clusterIP)
        try spec.encode(clusterIPs.isEmpty ? ["None"] : clusterIPs.map(\.description), forKey: .clusterIPs)
        try spec.encode(ports, forKey: .ports)
        if !externalIPs.isEmpty { try spec.encode(externalIPs, forKey: .externalIPs) }
        if !loadBalancerSourceRanges.isEmpty {
            try spec.encode(loadBalancerSourceRanges, forKey: .loadBalancerSourceRanges)
        }
        try spec.encode(externalTrafficPolicy.rawValue, forKey: .externalTrafficPolicy)
        try spec.encode(internalTrafficPolicy.rawValue, forKey: .internalTrafficPolicy)
        try spec.encode((affinityTimeout == nil ? SessionAffinity.none : .clientIP).rawValue, forKey: .sessionAffinity)
        if let affinityTimeout {
            var config = spec.nestedContainer(keyedBy: AffinityKeys.self, forKey: .sessionAffinityConfig)
            var clientIP = config.nestedContainer(keyedBy: AffinityKeys.self, forKey: .clientIP)
            try clientIP.encode(affinityTimeout, forKey: .timeoutSeconds)
        }
        if healthCheckNodePort != 0 { try spec.encode(healthCheckNodePort, forKey: .healthCheckNodePort) }

        guard !ingress.isEmpty else { return }
        var status = container.nestedContainer(keyedBy: StatusKeys.self, forKey: .status)
        var loadBalancer = status.nestedContainer(keyedBy: StatusKeys.self, forKey: .loadBalancer)
        try loadBalancer.encode(ingress, forKey: .ingress)
    }

    /// An entry of `clusterIPs`: an address, or "None", or nothing yet.
    private struct ClusterIP: Decodable {
        let address: IPAddress?

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            let text = try container.decode(String.self)
            do {
                address = try FieldRule.clusterIP(text)
            } catch {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: error.reason)
            }
        }
    }

    private struct Status: Decodable {
        let ingress: [Ingress]

        init(from decoder: any Decoder) throws {
            let status = try decoder.container(keyedBy: StatusKeys.self)
            let loadBalancer = try status.decodeIfPresent(LoadBalancer.self, forKey: .loadBalancer)
            ingress = loadBalancer?.ingress.compactMap(\.value) ?? []
        }

        struct LoadBalancer: Decodable {
            let ingress: [MaybeIngress]

            init(from decoder: any Decoder) throws {
                ingress = try decoder.container(keyedBy: StatusKeys.self).list(forKey: .ingress)
            }
        }

        struct MaybeIngress: Decodable {
            let value: Ingress?

            init(from decoder: any Decoder) throws {
                value = try Ingress.decode(from: decoder)
            }
        }
    }
}

extension Service.Port: Codable {
    private enum CodingKeys: String, CodingKey {
        case name, port, nodePort
        case transport = "protocol"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.pooledString(forKey: .name, decoder.stringPool) ?? ""
        transport = try container.transport(forKey: .transport)
        port = try container.port(forKey: .port, allowingZero: false)
        nodePort = try container.port(forKey: .nodePort)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        if !name.isEmpty { try container.encode(name, forKey: .name) }
        try container.encode(transport.description, forKey: .transport)
        try container.encode(port, forKey: .port)
        if nodePort != 0 { try container.encode(nodePort, forKey: .nodePort) }
    }
}

extension Service.Ingress: Encodable {
    private enum CodingKeys: String, CodingKey { case ip, ipMode }

    /// `nil` for an entry with only a host name.
    static func decode(from decoder: any Decoder) throws -> Service.Ingress? {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard let text = try container.decodeIfPresent(String.self, forKey: .ip), !text.isEmpty else { return nil }
        let address = try container.obeying(.ip) { () throws(FieldRule.Violation) in try FieldRule.address(text) }
        return Service.Ingress(
            address: address,
            isVIP: try container.word(Service.IngressMode.self, forKey: .ipMode) != .proxy
        )
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(address, forKey: .ip)
        try container.encode((isVIP ? Service.IngressMode.vip : .proxy).rawValue, forKey: .ipMode)
    }
}
