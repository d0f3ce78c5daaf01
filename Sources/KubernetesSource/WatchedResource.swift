import KubernetesAPI

/// The objects of one kind that a source follows: all of them, or those that selectors name.
public struct WatchedResource: Hashable, Sendable {
    /// What there is without the objects of the kind.
    public enum Need: Hashable, Sendable {
        /// Nothing: a consumer waits for them.
        case required
        /// Everything else: a server may not have the kind, or not show it, and nobody waits for it.
        case optional
        /// They are only followed where a server does not have the kind `of`, whose place they take.
        case standIn(of: ObjectKind)
    }

    public var kind: ObjectKind
    public var need = Need.required
    /// In the API's own syntax; `nil` for no selector.
    public var labelSelector: String?
    public var fieldSelector: String?

    public init(
        _ kind: ObjectKind,
        _ need: Need = .required,
        labelSelector: String? = nil,
        fieldSelector: String? = nil
    ) {
        self.kind = kind
        self.need = need
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
    }

    /// What kube-proxy asks for (1.1): no headless ones, and none that another proxy serves.
    private static let proxySelector = "!\(LabelKey.headless),!\(LabelKey.serviceProxyName)"

    /// The Services that are for this proxy.
    public static let services = WatchedResource(.service, labelSelector: proxySelector)

    /// The EndpointSlices that are for this proxy.
    public static let endpointSlices = WatchedResource(.endpointSlice, labelSelector: proxySelector)

    /// The Endpoints that are for this proxy, where a server has no EndpointSlices.
    public static let endpoints = WatchedResource(
        .endpoints,
        .standIn(of: .endpointSlice),
        labelSelector: proxySelector
    )

    /// All ServiceCIDRs, where there are any (3.1, cluster-ips-check).
    public static let serviceCIDRs = WatchedResource(.serviceCIDR, .optional)

    /// One Node.
    public static func node(named name: String) -> WatchedResource {
        WatchedResource(.node, fieldSelector: "metadata.name=\(name)")
    }

    /// All that kube-proxy follows for its rules (1.1).
    public static func proxy(node name: String) -> [WatchedResource] {
        [.services, .endpointSlices, .endpoints, .node(named: name), .serviceCIDRs]
    }

    /// Says which objects are meant; equal for equal ones.
    var scope: String { "\(kind.rawValue);labels=\(labelSelector ?? "");fields=\(fieldSelector ?? "")" }
}
