import ClusterClient
import NetworkTypes

/// Addresses that auto-assignment leaves out (`reference/calico.md` 1.5).
public struct IPReservation: Resource {
    public static let kind = "IPReservation"
    public static let recordKind = ResourceKind.ipReservations

    public var metadata: ResourceMetadata
    public var reservedCIDRs: [CIDR]

    public init(name: String, reservedCIDRs: [CIDR]) {
        metadata = ResourceMetadata(name: name)
        self.reservedCIDRs = reservedCIDRs
    }

    private struct Spec: Codable {
        var reservedCIDRs: [String]?
    }

    /// A reserved address may be written without a prefix length.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: ResourceKeys.self)
        metadata = try container.decode(ResourceMetadata.self, forKey: .metadata)
        let texts = try container.decodeIfPresent(Spec.self, forKey: .spec)?.reservedCIDRs ?? []
        reservedCIDRs = try texts.map { text in
            guard let cidr = CIDR(text) ?? IPAddress(text)?.hostPrefix else {
                throw DecodingError.dataCorruptedError(
                    forKey: .spec,
                    in: container,
                    debugDescription: "\"\(text)\" in reservedCIDRs is not a CIDR"
                )
            }
            return cidr
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ResourceKeys.self)
        try container.encode(Self.kind, forKey: .kind)
        try container.encode(Self.apiVersion, forKey: .apiVersion)
        try container.encode(metadata, forKey: .metadata)
        try container.encode(Spec(reservedCIDRs: reservedCIDRs.map(\.description)), forKey: .spec)
    }
}

/// A node as far as pools care: its labels (1.4, `nodeSelector`).
public struct NodeResource: Resource {
    public static let kind = "Node"
    public static let recordKind = ResourceKind.nodes

    public var metadata: ResourceMetadata

    public init(name: String, labels: [String: String]) {
        metadata = ResourceMetadata(name: name, labels: labels)
    }

    public var labels: [String: String] { metadata.labels ?? [:] }

    public init(from decoder: any Decoder) throws {
        metadata = try decoder.container(keyedBy: ResourceKeys.self).decode(ResourceMetadata.self, forKey: .metadata)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ResourceKeys.self)
        try container.encode(Self.kind, forKey: .kind)
        try container.encode(Self.apiVersion, forKey: .apiVersion)
        try container.encode(metadata, forKey: .metadata)
        try container.encode([String: String](), forKey: .spec)
    }
}
