import NetworkTypes

/// A Node (core/v1), with what a proxy reads of it (1.6).
public struct Node: Hashable, Sendable {
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

    /// Empty for a node without the label, which is in no zone (TOP-4).
    public var zone: String { metadata.labels[LabelKey.zone] ?? "" }

    /// The node's address in a family: an internal one before an external one.
    public func address(in family: IPFamily) -> IPAddress? {
        (internalIPs + externalIPs).first { $0.family == family }
    }
}

extension Node: Codable {
    private enum CodingKeys: String, CodingKey { case metadata, status }
    private enum AddressType {
        static let internalIP = "InternalIP"
        static let externalIP = "ExternalIP"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.decode(ObjectMeta.self, forKey: .metadata)
        let addresses = try container.decodeIfPresent(Status.self, forKey: .status)?.addresses ?? []
        // Kubelets also report host names, under types of their own.
        internalIPs = addresses.filter { $0.type == AddressType.internalIP }.compactMap {
            APIAddress($0.address)?.address
        }
        externalIPs = addresses.filter { $0.type == AddressType.externalIP }.compactMap {
            APIAddress($0.address)?.address
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(metadata, forKey: .metadata)
        let addresses =
            internalIPs.map { Status.Address(type: AddressType.internalIP, address: $0.description) }
            + externalIPs.map { Status.Address(type: AddressType.externalIP, address: $0.description) }
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
