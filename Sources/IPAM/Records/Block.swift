import ClusterClient
import KubernetesAPI
import NetworkTypes

/// A block of a pool: the only place where an assignment is truth, and the unit of compare-and-swap.
///
/// Fields and their JSON are Calico's (`reference/calico.md` 2.2). An address is named by its ordinal, its distance
/// from the start of the block.
public struct Block: Hashable, Sendable {
    /// Whose an address is, or since when it has cooled down. Shared by the addresses that point to it.
    public struct Attribute: Hashable, Sendable {
        public var handleID: String?
        /// The active owner: `pod`, `namespace`, `node`, `timestamp`, `ifname`, `type` …
        public var secondary: [String: String]
        public var alternateOwner: [String: String]
        /// Set, and alone, while the address waits for reuse (R3).
        public var releasedAt: Timestamp?

        public init(
            handleID: String?,
            secondary: [String: String] = [:],
            alternateOwner: [String: String] = [:],
            releasedAt: Timestamp? = nil
        ) {
            self.handleID = handleID
            self.secondary = secondary
            self.alternateOwner = alternateOwner
            self.releasedAt = releasedAt
        }

        /// The handle to compare with: an old migration left carriage returns and what follows in some (H1).
        public var handle: String? {
            guard let handleID, let end = handleID.utf8.firstIndex(of: UInt8(ascii: "\r")) else { return handleID }
            return String(handleID[..<end])
        }
    }

    public let cidr: CIDR
    /// `nil` for a block that no host owns.
    public var affinity: BlockOwner?
    public var affinityClaimTime: Timestamp?
    /// For each ordinal the index of its attribute, `nil` when it is free.
    public internal(set) var allocations: [Int?]
    /// The free ordinals in the order in which they will be used (R10).
    public internal(set) var unallocated: [Int]
    public internal(set) var attributes: [Attribute]
    /// Goes up with every write; starts from the clock, so that a block made anew never repeats numbers (X8).
    public internal(set) var sequenceNumber: UInt64
    /// For each assigned ordinal the block's number when it was assigned.
    public internal(set) var sequenceNumberForAllocation: [Int: UInt64]
    /// Marks a block that is being deleted, where deletion takes two steps (K2).
    public var isDeleted = false

    /// A new, empty block.
    public init(cidr: CIDR, affinity: BlockOwner?, now: Timestamp) {
        let size = Self.size(of: cidr)
        self.cidr = cidr
        self.affinity = affinity
        affinityClaimTime = affinity == nil ? nil : now.wholeSecond
        allocations = Array(repeating: nil, count: size)
        unallocated = Array(0..<size)
        attributes = []
        sequenceNumber = UInt64(clamping: now.nanoseconds)
        sequenceNumberForAllocation = [:]
    }

    init(
        cidr: CIDR,
        affinity: BlockOwner?,
        affinityClaimTime: Timestamp?,
        allocations: [Int?],
        unallocated: [Int],
        attributes: [Attribute],
        sequenceNumber: UInt64,
        sequenceNumberForAllocation: [Int: UInt64],
        isDeleted: Bool
    ) {
        self.cidr = cidr
        self.affinity = affinity
        self.affinityClaimTime = affinityClaimTime
        self.allocations = allocations
        self.unallocated = unallocated
        self.attributes = attributes
        self.sequenceNumber = sequenceNumber
        self.sequenceNumberForAllocation = sequenceNumberForAllocation
        self.isDeleted = isDeleted
    }

    /// How many addresses a block of this prefix has; prefixes beyond any block's are cut to 2^20.
    static func size(of cidr: CIDR) -> Int { 1 << min(20, cidr.family.addressBits - cidr.prefixLength) }

    /// The number of addresses.
    public var size: Int { Self.size(of: cidr) }

    /// Addresses with an owner, and those that cool down.
    public var inUseCount: Int { allocations.count { $0 != nil } }

    /// Whether nothing is assigned. An address that cools down counts as assigned (A7).
    public var isEmpty: Bool { allocations.allSatisfy { $0 == nil } }

    /// The ordinal of an address, or `nil` when it is not in the block.
    public func ordinal(of address: IPAddress) -> Int? {
        guard cidr.contains(address) else { return nil }
        return Int(truncatingIfNeeded: address.number - cidr.address.number)
    }

    public func address(_ ordinal: Int) -> IPAddress {
        IPAddress(number: cidr.address.number + UInt128(ordinal), cidr.family)
    }

    /// Whose the ordinal is; `nil` when it is free.
    public func attribute(_ ordinal: Int) -> Attribute? {
        guard allocations.indices.contains(ordinal), let index = allocations[ordinal],
            attributes.indices.contains(index)
        else { return nil }
        return attributes[index]
    }

    /// The ordinals with this handle and, when one is given, this interface (H3).
    ///
    /// Records without an interface, as Calico writes them, belong to every interface of their container.
    public func ordinals(handle: String, interface: String?) -> [Int] {
        let matching = attributes.indices.filter { index in
            guard attributes[index].releasedAt == nil, attributes[index].handle == handle else { return false }
            guard let interface, let other = attributes[index].secondary[Self.interfaceAttribute] else { return true }
            return interface == other
        }
        guard !matching.isEmpty else { return [] }
        return allocations.indices.filter { allocations[$0].map(matching.contains) ?? false }
    }

    /// The attribute that names the interface an address was assigned for.
    public static let interfaceAttribute = "ifname"
}

extension IPAddress {
    /// The address as a number, the first octet being the highest.
    var number: UInt128 {
        switch self {
        case .v4(let address): UInt128(address.bits)
        case .v6(let address): UInt128(address.high) << 64 | UInt128(address.low)
        }
    }

    /// The bits beyond an address of the family are dropped.
    init(number: UInt128, _ family: IPFamily) {
        switch family {
        case .ipv4:
            self = .v4(IPv4Address(bits: UInt32(truncatingIfNeeded: number)))
        case .ipv6:
            self = .v6(
                IPv6Address(high: UInt64(truncatingIfNeeded: number >> 64), low: UInt64(truncatingIfNeeded: number))
            )
        }
    }
}
