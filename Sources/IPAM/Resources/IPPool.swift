import ClusterClient
import FoundationEssentials
import JSON
import NetworkTypes

/// A range of addresses that is cut into equal blocks (`reference/calico.md` 1.4).
public struct IPPool: Resource {
    public static let kind = "IPPool"
    public static let recordKind = ResourceKind.ipPools

    public enum Encapsulation: String, Hashable, Sendable, CaseIterable, Encodable {
        case never = "Never"
        case always = "Always"
        case crossSubnet = "CrossSubnet"
    }

    public enum Use: String, Hashable, Sendable, CaseIterable, Encodable {
        case workload = "Workload"
        case tunnel = "Tunnel"
        case loadBalancer = "LoadBalancer"
    }

    public enum AssignmentMode: String, Hashable, Sendable, CaseIterable, Encodable {
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

    public struct Condition: Hashable, Sendable, Encodable {
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
    public var isEnabled: Bool { stateRefusals.isEmpty }

    /// How many blocks the pool is cut into; 0 when the blocks would be larger than the pool, 2^64 or more as 2^64 - 1.
    public var blockCount: UInt64 {
        let bits = spec.blockSize - spec.cidr.prefixLength
        return bits < 0 ? 0 : bits >= 64 ? .max : 1 << UInt64(bits)
    }

    /// The block that an address of the pool belongs to.
    public func block(of address: IPAddress) -> CIDR {
        CIDR(address, prefixLength: spec.blockSize)?.masked ?? address.hostPrefix
    }

    /// The block with this number, counted from 0.
    func block(number: UInt128) -> CIDR {
        let shift = spec.cidr.family.addressBits - spec.blockSize
        let address = IPAddress(number: spec.cidr.address.number + number << UInt128(shift), spec.cidr.family)
        return block(of: address)
    }
}

extension IPPool: Encodable {
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ResourceKeys.self)
        try container.encode(Self.kind, forKey: .kind)
        try container.encode(Self.apiVersion, forKey: .apiVersion)
        try container.encode(metadata, forKey: .metadata)
        try container.encode(spec, forKey: .spec)
        if !conditions.isEmpty { try container.encode(["conditions": conditions], forKey: .status) }
    }
}

extension IPPool.Spec: Encodable {
    fileprivate enum Keys: String, CodingKey {
        case cidr, blockSize, ipipMode, vxlanMode, natOutgoing
        case isDisabled = "disabled"
        case disablesBGPExport = "disableBGPExport"
        case nodeSelector, namespaceSelector, allowedUses, assignmentMode
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

extension IPPool {
    public init(json: Data) throws(MalformedRecord) {
        var spec: SpecMembers?
        var conditions: [Condition] = []
        let metadata = try ResourceMetadata.read(json) { (name, reader) throws(JSONReader.Failure) in
            switch name {
            case "spec":
                var members = SpecMembers()
                try reader.members { (name, reader) throws(JSONReader.Failure) in try members.read(name, &reader) }
                spec = members
            case "status":
                guard !reader.null() else { return }
                try reader.members { (name, reader) throws(JSONReader.Failure) in
                    guard name == "conditions" else { return try reader.skip() }
                    try reader.optionalArray { (reader) throws(JSONReader.Failure) in
                        conditions.append(try Condition(from: &reader))
                    }
                }
            default: try reader.skip()
            }
        }
        guard let spec else { throw MalformedRecord(description: "spec is missing") }
        guard let spec = spec.spec else { throw MalformedRecord(description: "spec: cidr is missing") }
        self.metadata = metadata
        self.spec = spec
        self.conditions = conditions
    }

    /// A pool as it stands in a network configuration (`ipam.pools`): its name beside the fields of the spec.
    public init(configured json: Data) throws(MalformedRecord) {
        var name: String?
        var members = SpecMembers()
        try JSONReader.record(json) { (reader) throws(JSONReader.Failure) in
            try reader.members { (member, reader) throws(JSONReader.Failure) in
                if member == "name" {
                    name = try reader.string()
                } else {
                    try members.read(member, &reader)
                }
            }
        }
        guard let name else { throw MalformedRecord(description: "name is missing") }
        guard let spec = members.spec else { throw MalformedRecord(description: "cidr is missing") }
        self.init(name: name, spec: spec)
    }
}

/// The members of a pool's spec, as far as they were read.
private struct SpecMembers {
    private var cidr: CIDR?
    private var blockSize: Int?
    /// What stands beside ``cidr`` and ``blockSize``, whose own values here mean nothing.
    private var rest = IPPool.Spec(cidr: IPAddress.v4(IPv4Address(0, 0, 0, 0)).hostPrefix)

    /// `nil` without a prefix.
    var spec: IPPool.Spec? {
        guard let cidr else { return nil }
        var spec = rest
        spec.cidr = cidr
        spec.blockSize = blockSize ?? IPPool.Spec.defaultBlockSize(cidr.family)
        return spec
    }

    mutating func read(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch IPPool.Spec.Keys(rawValue: name) {
        case .cidr:
            let text = try reader.string()
            guard let cidr = CIDR(text) else { throw reader.failure("\"\(text)\" is not a CIDR") }
            self.cidr = cidr
        case .blockSize: blockSize = try reader.optional { (r) throws(JSONReader.Failure) in try r.integer() }
        case .ipipMode: rest.ipipMode = try reader.word(.never)
        case .vxlanMode: rest.vxlanMode = try reader.word(.never)
        case .natOutgoing: rest.natOutgoing = try reader.boolean(false)
        case .isDisabled: rest.isDisabled = try reader.boolean(false)
        case .disablesBGPExport: rest.disablesBGPExport = try reader.boolean(false)
        case .nodeSelector:
            if let selector = try reader.optionalString(), !selector.isEmpty { rest.nodeSelector = selector }
        case .namespaceSelector: rest.namespaceSelector = try reader.optionalString() ?? ""
        case .allowedUses:
            var uses: [IPPool.Use] = []
            try reader.optionalArray { (r) throws(JSONReader.Failure) in uses.append(try r.word()) }
            if !uses.isEmpty { rest.allowedUses = uses }
        case .assignmentMode: rest.assignmentMode = try reader.word(.automatic)
        case nil: try reader.skip()
        }
    }
}

extension IPPool.Condition {
    fileprivate init(from reader: inout JSONReader) throws(JSONReader.Failure) {
        var type: String?
        var status: String?
        var reason: String?
        var message: String?
        try reader.members { (name, reader) throws(JSONReader.Failure) in
            switch name {
            case "type": type = try reader.string()
            case "status": status = try reader.string()
            case "reason": reason = try reader.optionalString()
            case "message": message = try reader.optionalString()
            default: try reader.skip()
            }
        }
        self.init(
            type: try reader.required(type, "type"),
            status: try reader.required(status, "status"),
            reason: reason,
            message: message
        )
    }
}
