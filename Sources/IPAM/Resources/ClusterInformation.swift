import ClusterClient
import FoundationEssentials
import KubernetesAPI

/// The singleton `default` that identifies a cluster and says whether its store may be used.
public struct ClusterInformation: Resource {
    public static let kind = "ClusterInformation"
    public static let recordKind = ResourceKind.clusterInformations

    public struct Spec: Hashable, Sendable, Codable {
        public var clusterGUID: String?
        public var calicoVersion: String?
        public var clusterType: String?
        /// False while the store is locked for a migration.
        public var datastoreReady: Bool?
        public var variant: String?
    }

    public var metadata: ResourceMetadata
    public var spec: Spec

    /// Of a cluster that starts now.
    public init(now: Timestamp) {
        metadata = ResourceMetadata(name: "default")
        metadata.uid = UUID().uuidString.lowercased()
        metadata.creationTimestamp = now.wholeSecond
        let guid = UUID().uuidString.lowercased().filter { $0 != "-" }
        spec = Spec(clusterGUID: guid, clusterType: "swiftlet", datastoreReady: true)
    }

    func requireReady() throws(IPAMError) {
        guard spec.datastoreReady == false else { return }
        throw .datastore(DatastoreError(.unavailable, recordKey, "the datastore is locked (datastoreReady is false)"))
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: ResourceKeys.self)
        metadata = try container.decode(ResourceMetadata.self, forKey: .metadata)
        spec = try container.decodeIfPresent(Spec.self, forKey: .spec) ?? Spec()
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ResourceKeys.self)
        try container.encode(Self.kind, forKey: .kind)
        try container.encode(Self.apiVersion, forKey: .apiVersion)
        try container.encode(metadata, forKey: .metadata)
        try container.encode(spec, forKey: .spec)
    }
}
