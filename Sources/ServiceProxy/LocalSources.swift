import NetworkTypes

/// Which sources of traffic are pods, so that they keep their addresses (1.8, MQ-6) and reach all endpoints of a Service
/// with a Local policy (FE-6).
public enum LocalSources: Hashable, Sendable {
    /// Sources inside of these prefixes; a family without any has no local detector.
    case within([CIDR])
    /// Packets that come in by the interface of this name, a bridge that all pods are on.
    case interface(String)
    /// Packets that come in by an interface whose name begins so.
    case interfaces(prefix: String)

    /// Nothing is known to be a pod.
    public static let unknown = LocalSources.within([])

    /// Whether anything says which sources of a family are pods.
    func detects(_ family: IPFamily) -> Bool {
        switch self {
        case .within(let prefixes): prefixes.contains { $0.family == family }
        case .interface, .interfaces: true
        }
    }

    /// The prefixes of a family.
    func prefixes(_ family: IPFamily) -> [CIDR] {
        guard case .within(let prefixes) = self else { return [] }
        return prefixes.filter { $0.family == family }
    }
}

extension LocalSources: CustomStringConvertible {
    public var description: String {
        switch self {
        case .within(let prefixes) where prefixes.isEmpty: "unknown"
        case .within(let prefixes): prefixes.map(\.description).joined(separator: ", ")
        case .interface(let name): "behind interface \(name)"
        case .interfaces(let prefix): "behind interfaces \(prefix)*"
        }
    }
}
