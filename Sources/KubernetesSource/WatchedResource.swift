import KubernetesAPI

/// The objects of one kind that a source follows: all of them, or those that selectors name.
public struct WatchedResource: Hashable, Sendable {
    public var kind: ObjectKind
    /// In the API's own syntax; `nil` for no selector.
    public var labelSelector: String?
    public var fieldSelector: String?

    public init(_ kind: ObjectKind, labelSelector: String? = nil, fieldSelector: String? = nil) {
        self.kind = kind
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
    }

    /// What kube-proxy asks for (1.1): no headless ones, and none that another proxy serves.
    private static let proxySelector = "!\(LabelKey.headless),!\(LabelKey.serviceProxyName)"

    /// The Services that are for this proxy.
    public static let services = WatchedResource(.service, labelSelector: proxySelector)

    /// The EndpointSlices that are for this proxy.
    public static let endpointSlices = WatchedResource(.endpointSlice, labelSelector: proxySelector)

    /// One Node.
    public static func node(named name: String) -> WatchedResource {
        WatchedResource(.node, fieldSelector: "metadata.name=\(name)")
    }

    /// All that kube-proxy follows for its rules.
    public static func proxy(node name: String) -> [WatchedResource] {
        [.services, .endpointSlices, .node(named: name)]
    }

    /// Says which objects are meant; equal for equal ones.
    var scope: String { "\(kind.rawValue);labels=\(labelSelector ?? "");fields=\(fieldSelector ?? "")" }
}
