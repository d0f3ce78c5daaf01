import NetworkTypes

/// A Node (core/v1), with what a proxy reads of it (1.6).
public struct Node: Hashable, Sendable {
    /// The types of addresses that are kept.
    public enum AddressType: String, Sendable {
        case internalIP = "InternalIP"
        case externalIP = "ExternalIP"
    }

    public var metadata: ObjectMeta
    /// The addresses of type InternalIP, in the order of the object.
    public var internalIPs: [IPAddress]
    /// The addresses of type ExternalIP, in the order of the object.
    public var externalIPs: [IPAddress]

    public init(metadata: ObjectMeta, internalIPs: [IPAddress] = [], externalIPs: [IPAddress] = []) {
        self.metadata = metadata
        self.internalIPs = internalIPs
        self.externalIPs = externalIPs
    }

    /// What is kept of `status.addresses`. Kubelets also report host names, under types of their own.
    public static func addresses(
        _ type: AddressType,
        of all: some Sequence<(type: String, address: String)>
    ) -> [IPAddress] {
        all.compactMap { $0.type == type.rawValue ? FieldRule.addressIfValid($0.address) : nil }
    }

    /// Empty for a node without the label, which is in no zone (TOP-4).
    public var zone: String { metadata.labels[LabelKey.zone] ?? "" }

    /// The node's address in a family: an internal one before an external one.
    public func address(in family: IPFamily) -> IPAddress? {
        (internalIPs + externalIPs).first { $0.family == family }
    }
}

extension Node: Codable {
    private enum CodingKeys: String, CodingKey { case metadata, status }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.decode(ObjectMeta.self, forKey: .metadata)
        let addresses = try container.decodeIfPresent(Status.self, forKey: .status)?.addresses ?? []
        internalIPs = Self.addresses(.internalIP, of: addresses.lazy.map { ($0.type, $0.address) })
        externalIPs = Self.addresses(.externalIP, of: addresses.lazy.map { ($0.type, $0.address) })
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(metadata, forKey: .metadata)
        let addresses =
            internalIPs.map { Status.Address(type: AddressType.internalIP.rawValue, address: $0.description) }
            + externalIPs.map { Status.Address(type: AddressType.externalIP.rawValue, address: $0.description) }
        if !addresses.isEmpty { try container.encode(Status(addresses: addresses), forKey: .status) }
    }

    private struct Status: Codable {
        struct Address: Codable {
            let type: String
            let address: String
        }

        let addresses: [Address]?
    }
}
