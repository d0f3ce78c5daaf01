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
    /// What the node's pods get their addresses from, without host bits; empty when nobody has said yet.
    public var podCIDRs: [CIDR]
    /// The keys of the node's taints.
    public var taintKeys: [String]

    public init(
        metadata: ObjectMeta,
        internalIPs: [IPAddress] = [],
        externalIPs: [IPAddress] = [],
        podCIDRs: [CIDR] = [],
        taintKeys: [String] = []
    ) {
        self.metadata = metadata
        self.internalIPs = internalIPs
        self.externalIPs = externalIPs
        self.podCIDRs = podCIDRs
        self.taintKeys = taintKeys
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

    /// The node's addresses in the order of their precedence: internal ones before external ones. The first decides
    /// which family is the primary one.
    public var addresses: [IPAddress] { internalIPs + externalIPs }

    /// The node's address in a family.
    public func address(in family: IPFamily) -> IPAddress? {
        addresses.first { $0.family == family }
    }

    /// The taint that the cluster autoscaler puts on a node before it takes it away.
    public static let deletionTaintKey = "ToBeDeletedByClusterAutoscaler"

    /// Whether the node is about to go, so that load balancers should send it nothing new (HZ-3).
    public var isLeaving: Bool {
        metadata.deletionTimestamp != nil || taintKeys.contains(Self.deletionTaintKey)
    }
}

extension Node: Codable {
    private enum CodingKeys: String, CodingKey { case metadata, spec, status }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.decode(ObjectMeta.self, forKey: .metadata)
        let addresses = try container.decodeIfPresent(Status.self, forKey: .status)?.addresses ?? []
        internalIPs = Self.addresses(.internalIP, of: addresses.lazy.map { ($0.type, $0.address) })
        externalIPs = Self.addresses(.externalIP, of: addresses.lazy.map { ($0.type, $0.address) })
        let spec = try container.decodeIfPresent(Spec.self, forKey: .spec)
        podCIDRs = spec?.podCIDRs ?? []
        taintKeys = spec?.taints.map(\.key) ?? []
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(metadata, forKey: .metadata)
        let addresses =
            internalIPs.map { Status.Address(type: AddressType.internalIP.rawValue, address: $0.description) }
            + externalIPs.map { Status.Address(type: AddressType.externalIP.rawValue, address: $0.description) }
        if !addresses.isEmpty { try container.encode(Status(addresses: addresses), forKey: .status) }
        let spec = Spec(podCIDRs: podCIDRs, taints: taintKeys.map { Spec.Taint(key: $0) })
        try container.encode(spec, forKey: .spec)
    }

    private struct Spec: Codable {
        struct Taint: Codable {
            let key: String
        }

        let podCIDRs: [CIDR]
        let taints: [Taint]

        private enum CodingKeys: String, CodingKey { case podCIDRs, taints }

        init(podCIDRs: [CIDR], taints: [Taint]) {
            self.podCIDRs = podCIDRs
            self.taints = taints
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            podCIDRs = try container.list(APIPrefix.self, forKey: .podCIDRs).map(\.prefix)
            taints = try container.list(forKey: .taints)
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            if !podCIDRs.isEmpty { try container.encode(podCIDRs.map(\.description), forKey: .podCIDRs) }
            if !taints.isEmpty { try container.encode(taints, forKey: .taints) }
        }
    }

    private struct Status: Codable {
        struct Address: Codable {
            let type: String
            let address: String
        }

        let addresses: [Address]?
    }
}
