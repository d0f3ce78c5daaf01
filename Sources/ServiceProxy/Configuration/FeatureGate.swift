/// The feature gates of Kubernetes that change something here.
public enum FeatureGate: String, Sendable, CaseIterable {
    /// Whether external IPs of Services are served (1.2).
    case allowServiceExternalIPs = "AllowServiceExternalIPs"
    /// Whether there is `/flagz` (2.10).
    case componentFlagz = "ComponentFlagz"
    /// Whether there is `/statusz` (2.10).
    case componentStatusz = "ComponentStatusz"

    /// How far a feature has come, in the words of the metric `kubernetes_feature_enabled`.
    public enum Stage: String, Sendable {
        case beta = "BETA"
        case stable = ""
    }

    public var stage: Stage {
        switch self {
        case .allowServiceExternalIPs: .stable
        case .componentFlagz, .componentStatusz: .beta
        }
    }
}

/// Which features are on. All are unless somebody switches them off.
public struct FeatureGates: Hashable, Sendable {
    private let given: [String: Bool]

    /// - Parameter given: what the configuration says, by name; `AllBeta` stands for all of that stage that are not named.
    public init(_ given: [String: Bool] = [:]) {
        self.given = given
    }

    public func isEnabled(_ gate: FeatureGate) -> Bool {
        given[gate.rawValue] ?? (gate.stage == .beta ? given["AllBeta"] : nil) ?? true
    }

    /// The names that change nothing here, in order. Kubernetes has hundreds of gates, and which ones depends on its
    /// version, so that none is refused.
    var withoutEffect: [String] {
        given.keys.filter { FeatureGate(rawValue: $0) == nil && $0 != "AllBeta" }.sorted()
    }
}
