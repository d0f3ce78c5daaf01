// KubernetesAPI: the Kubernetes object types that Swiftlet reads and writes, with the fields that it uses. No I/O.
//
// Ten thousand of each are kept in memory, so they are compact: addresses are integers, what a decoder sees again and
// again is shared (``StringPool``), and a field that nobody reads is not kept. Fields that are absent get the default
// that the API server gives them, because objects also come from files that no API server has seen.

/// The part of `metadata` that is used.
public struct ObjectMeta: Hashable, Sendable {
    public var name: String
    /// Empty for kinds that have no namespace, and for an object that does not say (see the source it came from).
    public var namespace: String
    /// Empty when the object comes from no API server.
    public var uid: String
    /// Opaque; empty when the object comes from no API server.
    public var resourceVersion: String
    public var creationTimestamp: Timestamp?
    /// When the object was asked to go; kept of a Node, which is the only one that this is read of.
    public var deletionTimestamp: Timestamp?
    /// Those labels that are read: all of a Node, those of ``LabelKey`` of everything else.
    public var labels: [String: String]
    /// Those of ``AnnotationKey``.
    public var annotations: [String: String]

    public init(
        name: String,
        namespace: String = "",
        uid: String = "",
        resourceVersion: String = "",
        creationTimestamp: Timestamp? = nil,
        deletionTimestamp: Timestamp? = nil,
        labels: [String: String] = [:],
        annotations: [String: String] = [:]
    ) {
        self.annotations = annotations
        self.name = name
        self.namespace = namespace
        self.uid = uid
        self.resourceVersion = resourceVersion
        self.creationTimestamp = creationTimestamp
        self.deletionTimestamp = deletionTimestamp
        self.labels = labels
    }

    public var objectName: ObjectName { ObjectName(namespace: namespace, name: name) }
}

/// The labels that decide something.
public enum LabelKey {
    /// Binds a slice to its Service (1.3).
    public static let serviceName = "kubernetes.io/service-name"
    /// A Service that has it is served by another proxy (1.1).
    public static let serviceProxyName = "service.kubernetes.io/service-proxy-name"
    /// Slices that have it belong to a headless Service and are not for proxies (1.1).
    public static let headless = "service.kubernetes.io/headless"
    /// The zone of a Node (1.6).
    public static let zone = "topology.kubernetes.io/zone"

    /// What is kept of the labels of Services, slices and Endpoints.
    public static let kept = [serviceName, serviceProxyName, headless]
}

/// The annotations that decide something.
public enum AnnotationKey {
    /// How a Service wants its clients to be spread over its endpoints, where the proxy's mode can do that.
    public static let loadBalancing = "swiftlet.io/load-balancing"
    /// Whether a Service's endpoints want a PROXY protocol header, where the proxy's mode can send one.
    public static let proxyProtocol = "swiftlet.io/proxy-protocol"

    /// What is kept of the annotations of objects.
    public static let kept = [loadBalancing, proxyProtocol]
}

/// The name of an object within its kind.
public struct ObjectName: Hashable, Sendable {
    /// Empty for kinds without namespaces.
    public let namespace: String
    public let name: String

    public init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }
}

extension ObjectName: Comparable, CustomStringConvertible {
    public static func < (left: ObjectName, right: ObjectName) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }

    public var description: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }
}

extension ObjectMeta: Codable {
    private enum CodingKeys: String, CodingKey {
        case name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels, annotations
    }

    private struct AnyLabel: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) {
            self.stringValue = stringValue
        }

        init?(intValue: Int) {
            nil
        }
    }

    /// Keeps every label, and what is read of Nodes alone.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            container,
            decoder,
            labels: container.decodeIfPresent([String: String].self, forKey: .labels) ?? [:]
        )
        deletionTimestamp = try container.decodeIfPresent(Timestamp.self, forKey: .deletionTimestamp)
    }

    /// Keeps the labels that are read of Services and their endpoints.
    struct WithKnownLabels: Decodable {
        let metadata: ObjectMeta

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            var labels: [String: String] = [:]
            if container.contains(.labels), try !container.decodeNil(forKey: .labels) {
                let known = try container.nestedContainer(keyedBy: AnyLabel.self, forKey: .labels)
                for key in LabelKey.kept {
                    guard let value = try known.decodeIfPresent(String.self, forKey: AnyLabel(stringValue: key)) else {
                        continue
                    }
                    labels[key] = value
                }
            }
            metadata = try ObjectMeta(container, decoder, labels: labels)
        }
    }

    private init(
        _ container: KeyedDecodingContainer<CodingKeys>,
        _ decoder: any Decoder,
        labels: [String: String]
    ) throws {
        name = try container.decode(String.self, forKey: .name)
        namespace = try container.pooledString(forKey: .namespace, decoder.stringPool) ?? ""
        uid = try container.decodeIfPresent(String.self, forKey: .uid) ?? ""
        resourceVersion = try container.decodeIfPresent(String.self, forKey: .resourceVersion) ?? ""
        creationTimestamp = try container.decodeIfPresent(Timestamp.self, forKey: .creationTimestamp)
        self.labels = labels
        annotations = [:]
        guard container.contains(.annotations),
            // Others' annotations may be anything.
            let all = try? container.nestedContainer(keyedBy: AnyLabel.self, forKey: .annotations)
        else { return }
        for key in AnnotationKey.kept {
            if let value = try? all.decode(String.self, forKey: AnyLabel(stringValue: key)) { annotations[key] = value }
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        if !namespace.isEmpty { try container.encode(namespace, forKey: .namespace) }
        if !uid.isEmpty { try container.encode(uid, forKey: .uid) }
        if !resourceVersion.isEmpty { try container.encode(resourceVersion, forKey: .resourceVersion) }
        try container.encodeIfPresent(creationTimestamp, forKey: .creationTimestamp)
        try container.encodeIfPresent(deletionTimestamp, forKey: .deletionTimestamp)
        if !labels.isEmpty { try container.encode(labels, forKey: .labels) }
        if !annotations.isEmpty { try container.encode(annotations, forKey: .annotations) }
    }
}
