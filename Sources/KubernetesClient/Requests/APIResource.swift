/// A kind of object as the API's paths name it.
public struct APIResource: Hashable, Sendable {
    /// Empty for the core group.
    public var group: String
    public var version: String
    public var plural: String
    public var isNamespaced: Bool

    public init(group: String, version: String, plural: String, isNamespaced: Bool) {
        self.group = group
        self.version = version
        self.plural = plural
        self.isNamespaced = isNamespaced
    }

    public static let services = APIResource(group: "", version: "v1", plural: "services", isNamespaced: true)
    public static let endpoints = APIResource(group: "", version: "v1", plural: "endpoints", isNamespaced: true)
    public static let nodes = APIResource(group: "", version: "v1", plural: "nodes", isNamespaced: false)
    public static let pods = APIResource(group: "", version: "v1", plural: "pods", isNamespaced: true)
    public static let namespaces = APIResource(group: "", version: "v1", plural: "namespaces", isNamespaced: false)
    public static let endpointSlices = APIResource(
        group: "discovery.k8s.io",
        version: "v1",
        plural: "endpointslices",
        isNamespaced: true
    )
    public static let serviceCIDRs = APIResource(
        group: "networking.k8s.io",
        version: "v1",
        plural: "servicecidrs",
        isNamespaced: false
    )
    public static let events = APIResource(
        group: "events.k8s.io",
        version: "v1",
        plural: "events",
        isNamespaced: true
    )

    /// As in `apiVersion`: `v1`, `discovery.k8s.io/v1`.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    var root: String { group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)" }
}

extension APIResource: CustomStringConvertible {
    /// As RBAC and kubectl name it: `services`, `endpointslices.discovery.k8s.io`.
    public var description: String { group.isEmpty ? plural : "\(plural).\(group)" }
}
