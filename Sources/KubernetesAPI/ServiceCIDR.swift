import NetworkTypes

/// A ServiceCIDR (networking.k8s.io/v1): ranges that cluster IPs are taken from.
public struct ServiceCIDR: Hashable, Sendable {
    public var metadata: ObjectMeta
    /// At most one of each family, without host bits.
    public var cidrs: [CIDR]

    public init(metadata: ObjectMeta, cidrs: [CIDR]) {
        self.metadata = metadata
        self.cidrs = cidrs
    }
}

extension ServiceCIDR: Codable {
    private enum CodingKeys: String, CodingKey { case metadata, spec }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.decode(ObjectMeta.WithKnownLabels.self, forKey: .metadata).metadata
        cidrs = try container.decodeIfPresent(Spec.self, forKey: .spec)?.cidrs ?? []
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(metadata, forKey: .metadata)
        try container.encode(Spec(cidrs: cidrs), forKey: .spec)
    }

    private struct Spec: Codable {
        let cidrs: [CIDR]

        private enum CodingKeys: String, CodingKey { case cidrs }

        init(cidrs: [CIDR]) {
            self.cidrs = cidrs
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            cidrs = try container.list(APIPrefix.self, forKey: .cidrs).map(\.prefix)
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(cidrs.map(\.description), forKey: .cidrs)
        }
    }
}
