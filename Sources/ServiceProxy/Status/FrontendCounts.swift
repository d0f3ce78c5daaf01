import NetworkTypes

/// How many frontends there are, by kind and family.
public struct FrontendCounts: Hashable, Sendable {
    private var counts = SIMD8<Int>()

    public init() {}

    public subscript(kind: Frontend.Kind, family: IPFamily) -> Int {
        get { counts[Self.index(kind, family)] }
        set { counts[Self.index(kind, family)] = newValue }
    }

    private static func index(_ kind: Frontend.Kind, _ family: IPFamily) -> Int {
        let row =
            switch kind {
            case .clusterIP: 0
            case .externalIP: 1
            case .loadBalancerIP: 2
            case .nodePort: 3
            }
        return row * 2 + (family == .ipv4 ? 0 : 1)
    }
}

extension Frontend.Kind: CaseIterable {
    public static let allCases: [Frontend.Kind] = [.clusterIP, .externalIP, .loadBalancerIP, .nodePort]

    /// As Kubernetes would call it.
    public var name: String {
        switch self {
        case .clusterIP: "ClusterIP"
        case .externalIP: "ExternalIP"
        case .loadBalancerIP: "LoadBalancerIP"
        case .nodePort: "NodePort"
        }
    }
}
