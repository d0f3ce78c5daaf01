/// What puts frontends into effect on the node: nftables here.
public protocol ServiceBackend: Sendable {
    /// Makes what is programmed equal to these frontends, whatever a previous run left behind, without a gap.
    func start(with frontends: [Frontend]) async throws -> [RefusedFrontend]

    /// Carries out some changes, all at once or none.
    func apply(_ changes: [FrontendChange]) async throws -> [RefusedFrontend]

    /// Removes everything that this backend ever programmed.
    func cleanup() async throws
}

/// A frontend that could not be programmed, while all others were.
public struct RefusedFrontend: Hashable, Sendable {
    public let frontend: Frontend
    /// One clause for a person.
    public let reason: String

    public init(frontend: Frontend, reason: String) {
        self.frontend = frontend
        self.reason = reason
    }
}
