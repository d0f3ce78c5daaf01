import ClusterClient
import FoundationEssentials
import JSON
import KubernetesAPI
import NetworkTypes

/// A record whose JSON is not what its key promises.
public struct MalformedRecord: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    /// The same without where in the text it is, which says nothing to somebody who wrote another text.
    let reason: String

    init(description: String) {
        self.description = description
        reason = description
    }

    init(_ failure: JSONReader.Failure) {
        description = failure.description
        reason = failure.reason
    }
}

extension Block {
    /// The JSON that Calico keeps in etcd, always in the same order.
    public var json: Data {
        JSONWriter.object { writer in
            writer.name("cidr")
            writer.string(cidr.description)
            writer.name("affinity")
            if let affinity { writer.string(affinity.description) } else { writer.null() }
            writer.name("affinity_claim_time")
            if let affinityClaimTime { writer.string(affinityClaimTime.description) } else { writer.null() }
            writer.name("allocations")
            writer.array(allocations) { writer, index in
                if let index { writer.integer(index) } else { writer.null() }
            }
            writer.name("unallocated")
            writer.array(unallocated) { writer, ordinal in writer.integer(ordinal) }
            writer.name("attributes")
            writer.array(attributes) { writer, attribute in attribute.write(&writer) }
            writer.name("sequenceNumber")
            writer.integer(sequenceNumber)
            writer.name("sequenceNumberForAllocation")
            writer.object { writer in
                for (ordinal, number) in sequenceNumberForAllocation.sorted(by: { $0.key < $1.key }) {
                    writer.name(String(ordinal))
                    writer.integer(number)
                }
            }
            writer.name("deleted")
            writer.boolean(isDeleted)
        }
    }

    /// Reads a block; fields that Calico once did not write, or no longer writes, may be missing.
    ///
    /// Throws when the text is no JSON, or not of the right shape. That its parts agree with each other is another
    /// matter: see ``violations(now:)``.
    init(json: Data) throws(MalformedRecord) {
        self = try JSONReader.record(json) { (reader) throws(JSONReader.Failure) in try Block(from: &reader) }
    }

    private init(from reader: inout JSONReader) throws(JSONReader.Failure) {
        var cidr: CIDR?
        var affinity: BlockOwner?
        var hostAffinity: BlockOwner?
        var claimTime: Timestamp?
        var allocations: [Int?] = []
        var unallocated: [Int] = []
        var attributes: [Attribute] = []
        var sequenceNumber: UInt64 = 0
        var sequenceNumbers: [Int: UInt64] = [:]
        var isDeleted = false

        try reader.object { (name, reader) throws(JSONReader.Failure) in
            switch name {
            case "cidr":
                let value = try reader.blockCIDR()
                cidr = value
                allocations.reserveCapacity(Self.size(of: value))
            case "affinity":
                affinity = try reader.owner()
            case "hostAffinity":
                hostAffinity = try reader.legacyOwner()
            case "affinity_claim_time", "affinityClaimTime":
                claimTime = try reader.optional { (r) throws(JSONReader.Failure) in try r.timestamp() }
            case "allocations":
                try reader.optionalArray { (r) throws(JSONReader.Failure) in
                    allocations.append(r.null() ? nil : try r.integer())
                }
            case "unallocated":
                try reader.optionalArray { (r) throws(JSONReader.Failure) in unallocated.append(try r.integer()) }
            case "attributes":
                try reader.optionalArray { (r) throws(JSONReader.Failure) in
                    attributes.append(try Attribute(from: &r))
                }
            case "sequenceNumber":
                sequenceNumber = try reader.integer()
            case "sequenceNumberForAllocation":
                guard !reader.null() else { return }
                try reader.object { (name, r) throws(JSONReader.Failure) in
                    guard let ordinal = Int(name) else { throw r.failure("\"\(name)\" is not an ordinal") }
                    sequenceNumbers[ordinal] = try r.integer()
                }
            case "deleted":
                isDeleted = try reader.flag()
            default:
                try reader.skip()
            }
        }
        guard let cidr else { throw reader.failure("the block has no cidr") }
        guard allocations.count == Self.size(of: cidr) else {
            throw reader.failure("the block has \(allocations.count) allocations for \(Self.size(of: cidr)) addresses")
        }
        self.init(
            cidr: cidr,
            affinity: affinity ?? hostAffinity,
            affinityClaimTime: claimTime,
            allocations: allocations,
            unallocated: unallocated,
            attributes: attributes,
            sequenceNumber: sequenceNumber,
            sequenceNumberForAllocation: sequenceNumbers,
            isDeleted: isDeleted
        )
    }
}

extension Block.Attribute {
    fileprivate func write(_ writer: inout JSONWriter) {
        writer.object { writer in
            writer.name("handle_id")
            if let handleID { writer.string(handleID) } else { writer.null() }
            writer.name("secondary")
            if secondary.isEmpty { writer.null() } else { writer.map(secondary) }
            if !alternateOwner.isEmpty {
                writer.name("alternateOwnerAttrs")
                writer.map(alternateOwner)
            }
            if let releasedAt {
                writer.name("releasedAt")
                writer.string(releasedAt.description)
            }
        }
    }

    fileprivate init(from reader: inout JSONReader) throws(JSONReader.Failure) {
        self.init(handleID: nil)
        try reader.object { (name, reader) throws(JSONReader.Failure) in
            switch name {
            case "handle_id": handleID = try reader.optional { (r) throws(JSONReader.Failure) in try r.string() }
            case "secondary": secondary = try reader.stringMap()
            case "alternateOwnerAttrs": alternateOwner = try reader.stringMap()
            case "releasedAt": releasedAt = try reader.optional { (r) throws(JSONReader.Failure) in try r.timestamp() }
            default: try reader.skip()
            }
        }
    }
}

extension JSONWriter {
    /// The text of a record.
    static func object(_ members: (inout JSONWriter) -> Void) -> Data {
        var writer = JSONWriter()
        writer.object(members)
        return Data(writer.bytes)
    }

    /// The members in the order of their names.
    mutating func map(_ values: [String: String]) {
        object { writer in
            for (name, value) in values.sorted(by: { $0.key < $1.key }) {
                writer.name(name)
                writer.string(value)
            }
        }
    }
}

extension JSONReader {
    mutating func blockCIDR() throws(Failure) -> CIDR {
        let text = try string()
        guard let value = CIDR(text), value.isMasked else { throw failure("\"\(text)\" is not a block") }
        return value
    }

    mutating func owner() throws(Failure) -> BlockOwner? {
        guard !null(), case let text = try string(), text != "" else { return nil }
        guard let owner = BlockOwner(text) else { throw failure("unknown kind of affinity \"\(text)\"") }
        return owner
    }

    /// `hostAffinity`, before Calico 3.0: the host's name alone.
    mutating func legacyOwner() throws(Failure) -> BlockOwner? {
        guard !null(), case let text = try string(), text != "" else { return nil }
        return .host(text)
    }

    mutating func timestamp() throws(Failure) -> Timestamp {
        let text = try string()
        guard let time = Timestamp(text) else { throw failure("\"\(text)\" is not a time") }
        return time
    }

    /// Nothing for `null`, as Go writes an empty slice.
    mutating func optionalArray(_ element: (inout JSONReader) throws(Failure) -> Void) throws(Failure) {
        if !null() { try array(element) }
    }

    mutating func stringMap() throws(Failure) -> [String: String] {
        var map: [String: String] = [:]
        guard !null() else { return map }
        try object { (name, reader) throws(Failure) in map[name] = try reader.string() }
        return map
    }

    /// A boolean, also as the text that the first version of the custom resources has (2.10), or `null` for false.
    mutating func flag() throws(Failure) -> Bool {
        if null() { return false }
        guard let text = try? string() else { return try boolean() }
        switch text {
        case "true": return true
        case "false", "": return false
        default: throw failure("expected true or false")
        }
    }
}
