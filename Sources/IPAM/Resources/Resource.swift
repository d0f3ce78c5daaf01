import ClusterClient
import FoundationEssentials
import KubernetesAPI

/// What the metadata of a resource keeps (`metadata` of Calico's v3 API, which is Kubernetes' ObjectMeta).
public struct ResourceMetadata: Hashable, Sendable, Encodable {
    public var name: String
    public var namespace: String?
    public var uid: String?
    public var resourceVersion: String?
    public var generation: Int?
    public var creationTimestamp: Timestamp?
    public var deletionTimestamp: Timestamp?
    public var labels: [String: String]?
    public var annotations: [String: String]?
    public var finalizers: [String]?

    public init(name: String, labels: [String: String]? = nil) {
        self.name = name
        self.labels = labels
    }
}

/// A resource of Calico's v3 API that is kept as a record of its own.
public protocol Resource: Encodable, Hashable, Sendable {
    static var kind: String { get }
    static var recordKind: ResourceKind { get }
    static var apiVersion: String { get }
    var metadata: ResourceMetadata { get set }

    /// Reads the JSON of a record, Calico's own ones too.
    init(json: Data) throws(MalformedRecord)
}

extension Resource {
    public static var apiVersion: String { "projectcalico.org/v3" }

    public var name: String { metadata.name }

    public static func recordKey(_ name: String) -> RecordKey { .resource(recordKind, name: name) }
    public var recordKey: RecordKey { Self.recordKey(name) }

    /// The JSON of the record, its members in alphabetical order.
    public func json() throws(IPAMError) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return try encoder.encode(self)
        } catch {
            throw .invalidRequest("\(Self.kind) \(name) cannot be written as JSON: \(error)")
        }
    }

    /// The resource that a record holds; one that cannot be read makes the store inconsistent.
    public init(_ record: Record) throws(IPAMError) {
        do throws(MalformedRecord) {
            try self.init(json: record.value)
        } catch {
            throw .inconsistent("\(record.key): \(error)")
        }
        if metadata.resourceVersion != nil { metadata.resourceVersion = record.revision.description }
    }
}

/// The members that every resource has beside its own.
enum ResourceKeys: String, CodingKey {
    case kind, apiVersion, metadata, spec, status
}
