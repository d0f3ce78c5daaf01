import NetworkTypes

/// What a listener decides by: a specification with what is made from it once. Never changed, only replaced.
final class Routing: Sendable {
    let specification: ListenerSpecification
    private let question: TargetChooser.Question
    private let nearQuestion: TargetChooser.Question?
    private let near: NearSources

    init(_ specification: ListenerSpecification, near: NearSources) {
        self.specification = specification
        self.near = near
        question = TargetChooser.Question(specification.route, specification.balancing)
        nearQuestion = specification.nearRoute.map { TargetChooser.Question($0, specification.balancing) }
    }

    /// What a client may choose from, or `nil` when it may not connect.
    func question(for client: IPAddress) -> TargetChooser.Question? {
        guard specification.allowedSources == nil || specification.admits(client) else { return nil }
        // The node dials an address that is its own from that address.
        if let nearQuestion, near.contains(client) || client == specification.endpoint.at.address {
            return nearQuestion
        }
        return question
    }

    /// Whether a target may be used by some client.
    func has(_ target: TransportAddress) -> Bool {
        question.list.targets.contains(target) || (nearQuestion?.list.targets.contains(target) ?? false)
    }
}

/// Which clients get the near route of a listener that has one.
public struct NearSources: Hashable, Sendable {
    public var prefixes: [CIDR]
    public var addresses: Set<IPAddress>

    public init(prefixes: [CIDR] = [], addresses: Set<IPAddress> = []) {
        self.prefixes = prefixes
        self.addresses = addresses
    }

    func contains(_ address: IPAddress) -> Bool {
        address.isLoopback || addresses.contains(address) || prefixes.contains { $0.contains(address) }
    }
}
