/// A kind of objects that a server serves, and where.
public struct ResourceType: Hashable, Sendable {
    /// Empty for the core group.
    public var group: String
    public var version: String
    public var plural: String
    public var singular: String
    public var kind: String
    public var isNamespaced: Bool
    public var shortNames: [String]
    public var hasStatus: Bool
    /// Custom resources have no protobuf form and no strategic merge patch.
    public var isCustom: Bool

    public init(
        group: String = "",
        version: String = "v1",
        plural: String,
        singular: String? = nil,
        kind: String,
        isNamespaced: Bool = true,
        shortNames: [String] = [],
        hasStatus: Bool = false,
        isCustom: Bool = false
    ) {
        self.group = group
        self.version = version
        self.plural = plural
        self.singular = singular ?? kind.lowercased()
        self.kind = kind
        self.isNamespaced = isNamespaced
        self.shortNames = shortNames
        self.hasStatus = hasStatus
        self.isCustom = isCustom
    }

    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    /// As in messages and access rules: `services`, `endpointslices.discovery.k8s.io`.
    public var qualifiedName: String { group.isEmpty ? plural : "\(plural).\(group)" }

    /// As in messages about values: `Service`, `Pool.lab.example`.
    public var qualifiedKind: String { group.isEmpty ? kind : "\(kind).\(group)" }

    /// Where its objects are found: `/api/v1/namespaces/default/services`.
    public func path(namespace: String? = nil, name: String? = nil) -> String {
        var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        if let namespace, isNamespaced { path += "/namespaces/\(namespace)" }
        path += "/\(plural)"
        if let name { path += "/\(name)" }
        return path
    }
}
