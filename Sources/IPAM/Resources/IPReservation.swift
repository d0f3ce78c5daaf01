import ClusterClient
import FoundationEssentials
import JSON
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

    private struct Spec: Encodable {
        var reservedCIDRs: [String]
    }

    /// A reserved address may be written without a prefix length.
    public init(json: Data) throws(MalformedRecord) {
        var reserved: [CIDR] = []
        metadata = try ResourceMetadata.read(json) { (name, reader) throws(JSONReader.Failure) in
            guard name == "spec", !reader.null() else { return try reader.skip() }
            try reader.members { (name, reader) throws(JSONReader.Failure) in
                guard name == "reservedCIDRs" else { return try reader.skip() }
                try reader.optionalArray { (reader) throws(JSONReader.Failure) in
                    let text = try reader.string()
                    guard let cidr = CIDR(text) ?? IPAddress(text)?.hostPrefix else {
                        throw reader.failure("\"\(text)\" is not a CIDR")
                    }
                    reserved.append(cidr)
                }
            }
        }
        reservedCIDRs = reserved
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

    public init(json: Data) throws(MalformedRecord) {
        metadata = try ResourceMetadata.read(json) { (_, reader) throws(JSONReader.Failure) in try reader.skip() }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ResourceKeys.self)
        try container.encode(Self.kind, forKey: .kind)
        try container.encode(Self.apiVersion, forKey: .apiVersion)
        try container.encode(metadata, forKey: .metadata)
        try container.encode([String: String](), forKey: .spec)
    }
}
