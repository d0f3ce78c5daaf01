import ClusterClient
import FoundationEssentials
import JSON
import KubernetesAPI

/// The singleton `default` that identifies a cluster and says whether its store may be used.
public struct ClusterInformation: Resource {
    public static let kind = "ClusterInformation"
    public static let recordKind = ResourceKind.clusterInformations

    public struct Spec: Hashable, Sendable, Encodable {
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

    public init(json: Data) throws(MalformedRecord) {
        var spec = Spec()
        metadata = try ResourceMetadata.read(json) { (name, reader) throws(JSONReader.Failure) in
            guard name == "spec", !reader.null() else { return try reader.skip() }
            try reader.members { (name, reader) throws(JSONReader.Failure) in
                switch name {
                case "clusterGUID": spec.clusterGUID = try reader.optionalString()
                case "calicoVersion": spec.calicoVersion = try reader.optionalString()
                case "clusterType": spec.clusterType = try reader.optionalString()
                case "datastoreReady":
                    spec.datastoreReady = try reader.optional { (r) throws(JSONReader.Failure) in try r.boolean() }
                case "variant": spec.variant = try reader.optionalString()
                default: try reader.skip()
                }
            }
        }
        self.spec = spec
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ResourceKeys.self)
        try container.encode(Self.kind, forKey: .kind)
        try container.encode(Self.apiVersion, forKey: .apiVersion)
        try container.encode(metadata, forKey: .metadata)
        try container.encode(spec, forKey: .spec)
    }
}
