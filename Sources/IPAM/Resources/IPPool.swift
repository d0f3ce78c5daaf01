import ClusterClient
import NetworkTypes

/// A range of addresses that is cut into equal blocks (`reference/calico.md` 1.4).
public struct IPPool: Resource {
    public static let kind = "IPPool"
    public static let recordKind = ResourceKind.ipPools

    public enum Encapsulation: String, Hashable, Sendable, Codable {
        case never = "Never"
        case always = "Always"
        case crossSubnet = "CrossSubnet"
    }

    public enum Use: String, Hashable, Sendable, Codable {
        case workload = "Workload"
        case tunnel = "Tunnel"
        case loadBalancer = "LoadBalancer"
    }

    public enum AssignmentMode: String, Hashable, Sendable, Codable {
        /// For whoever needs an address.
        case automatic = "Automatic"
        /// Only for those who ask for the pool.
        case manual = "Manual"
    }

    public struct Spec: Hashable, Sendable {
        public var cidr: CIDR
        /// The prefix length of the blocks.
        public var blockSize: Int
        public var ipipMode = Encapsulation.never
        public var vxlanMode = Encapsulation.never
        /// Whether traffic to addresses outside of all pools is masqueraded.
        public var natOutgoing = false
        /// No new addresses; those in use stay.
        public var isDisabled = false
        public var disablesBGPExport = false
        /// Which nodes may use the pool (``Selector``).
        public var nodeSelector = "all()"
        /// Which namespaces may use the pool; empty for all.
        public var namespaceSelector = ""
        public var allowedUses: [Use] = [.workload, .tunnel]
        public var assignmentMode = AssignmentMode.automatic

        /// - Parameter blockSize: /26 or /122 when not given.
        public init(cidr: CIDR, blockSize: Int? = nil) {
            self.cidr = cidr
            self.blockSize = blockSize ?? Self.defaultBlockSize(cidr.family)
        }

        static func defaultBlockSize(_ family: IPFamily) -> Int { family == .ipv4 ? 26 : 122 }
    }

    public struct Condition: Hashable, Sendable, Codable {
        public var type: String
        public var status: String
        public var reason: String?
        public var message: String?
    }

    public var metadata: ResourceMetadata
    public var spec: Spec
    public var conditions: [Condition] = []

    public init(name: String, spec: Spec) {
        metadata = ResourceMetadata(name: name)
        self.spec = spec
    }

    public var cidr: CIDR { spec.cidr }
    public var family: IPFamily { spec.cidr.family }

    /// Whether new addresses may be assigned from it at all (P2).
    public var isEnabled: Bool {
        !spec.isDisabled && metadata.deletionTimestamp == nil
            && !conditions.contains { $0.type == "Allocatable" && $0.status == "False" }
    }

    /// How many blocks the pool is cut into; 0 when the blocks would be larger than the pool, 2^64 or more as 2^64 - 1.
    public var blockCount: UInt64 {
        let bits = spec.blockSize - spec.cidr.prefixLength
        return bits < 0 ? 0 : bits >= 64 ? .max : 1 << UInt64(bits)
    }

    /// The block that an address of the pool belongs to.
    public func block(of address: IPAddress) -> CIDR {
        CIDR(address, prefixLength: spec.blockSize)?.masked ?? address.hostPrefix
    }

    /// The block with this number, from 0 up to ``blockCount``.
    func block(number: UInt64) -> CIDR {
        let shift = spec.cidr.family.addressBits - spec.blockSize
        let address = IPAddress(number: spec.cidr.address.number + UInt128(number) << UInt128(shift), spec.cidr.family)
        return block(of: address)
    }
}

extension IPPool: Codable {
    public init(from decoder: any Decoder) throws {
        struct Status: Decodable {
            let conditions: [Condition]?
        }
        let container = try decoder.container(keyedBy: ResourceKeys.self)
        metadata = try container.decode(ResourceMetadata.self, forKey: .metadata)
        spec = try container.decode(Spec.self, forKey: .spec)
        conditions = try container.decodeIfPresent(Status.self, forKey: .status)?.conditions ?? []
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ResourceKeys.self)
        try container.encode(Self.kind, forKey: .kind)
        try container.encode(Self.apiVersion, forKey: .apiVersion)
        try container.encode(metadata, forKey: .metadata)
        try container.encode(spec, forKey: .spec)
        if !conditions.isEmpty { try container.encode(["conditions": conditions], forKey: .status) }
    }
}

extension IPPool.Spec: Codable {
    private enum Keys: String, CodingKey {
        case cidr, blockSize, ipipMode, vxlanMode, natOutgoing
        case isDisabled = "disabled"
        case disablesBGPExport = "disableBGPExport"
        case nodeSelector, namespaceSelector, allowedUses, assignmentMode
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Keys.self)
        let cidr = try container.decode(CIDR.self, forKey: .cidr)
        self.init(cidr: cidr, blockSize: try container.decodeIfPresent(Int.self, forKey: .blockSize))
        func mode(_ key: Keys) throws -> IPPool.Encapsulation {
            let text = try container.decodeIfPresent(String.self, forKey: key) ?? ""
            guard let mode = text.isEmpty ? .never : IPPool.Encapsulation(rawValue: text) else {
                throw DecodingError.dataCorruptedError(
                    forKey: key,
                    in: container,
                    debugDescription: "\"\(text)\" is none of Never, Always, CrossSubnet"
                )
            }
            return mode
        }
        ipipMode = try mode(.ipipMode)
        vxlanMode = try mode(.vxlanMode)
        natOutgoing = try container.decodeIfPresent(Bool.self, forKey: .natOutgoing) ?? false
        isDisabled = try container.decodeIfPresent(Bool.self, forKey: .isDisabled) ?? false
        disablesBGPExport = try container.decodeIfPresent(Bool.self, forKey: .disablesBGPExport) ?? false
        if let selector = try container.decodeIfPresent(String.self, forKey: .nodeSelector), !selector.isEmpty {
            nodeSelector = selector
        }
        namespaceSelector = try container.decodeIfPresent(String.self, forKey: .namespaceSelector) ?? ""
        if let uses = try container.decodeIfPresent([IPPool.Use].self, forKey: .allowedUses), !uses.isEmpty {
            allowedUses = uses
        }
        assignmentMode =
            try container.decodeIfPresent(IPPool.AssignmentMode.self, forKey: .assignmentMode) ?? .automatic
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(cidr, forKey: .cidr)
        try container.encode(blockSize, forKey: .blockSize)
        try container.encode(ipipMode, forKey: .ipipMode)
        try container.encode(vxlanMode, forKey: .vxlanMode)
        if natOutgoing { try container.encode(true, forKey: .natOutgoing) }
        if isDisabled { try container.encode(true, forKey: .isDisabled) }
        if disablesBGPExport { try container.encode(true, forKey: .disablesBGPExport) }
        try container.encode(nodeSelector, forKey: .nodeSelector)
        if !namespaceSelector.isEmpty { try container.encode(namespaceSelector, forKey: .namespaceSelector) }
        try container.encode(allowedUses, forKey: .allowedUses)
        try container.encode(assignmentMode, forKey: .assignmentMode)
    }
}

/// A pool as it stands in a network configuration (`ipam.pools`): its name beside the fields of the spec.
public struct ConfiguredPool: Hashable, Sendable, Decodable {
    public let pool: IPPool

    private enum Keys: CodingKey {
        case name
    }

    public init(from decoder: any Decoder) throws {
        let name = try decoder.container(keyedBy: Keys.self).decode(String.self, forKey: .name)
        pool = IPPool(name: name, spec: try IPPool.Spec(from: decoder))
    }
}
