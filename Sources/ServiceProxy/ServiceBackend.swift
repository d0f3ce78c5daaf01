import NetworkTypes
import PrometheusText

/// What carries frontends out on this node: nftables here, iptables and userspace behind the same protocol.
///
/// A backend keeps no copy of the frontends; it relies on being told the truth about what it was told before.
public protocol ServiceBackend: Sendable {
    /// Makes the node serve exactly these frontends: takes over what an earlier process left and changes only what
    /// differs. Can be called again at any time to repair what others broke.
    ///
    /// - Parameter frontends: of both families, no two with the same key.
    /// - Throws: when the node cannot be programmed at all; what was there before then stays.
    func start(with frontends: [Frontend]) async throws -> BackendStart

    /// Carries out changes, all at once where possible. One that is refused does not stop the others: it is returned,
    /// and what was programmed for its key before stays. A later change of the same key tries again.
    ///
    /// - Parameter changes: relative to what was asked for last, at most one per key.
    /// - Throws: ``ServiceBackendError/lost`` when ``start(with:)`` has to be called again, and system errors; inside of
    ///   a ``FamilyFailure`` where families are programmed apart.
    func apply(_ changes: [FrontendChange]) async throws -> [RefusedFrontend]

    /// Whether something is to be written that no frontend tells of; then ``apply(_:)`` is called, if only with none.
    func hasOwnChanges() async -> Bool

    /// Whether clients' connections end with the backend, so that another one in its place is no equal.
    var holdsConnections: Bool { get }

    /// Takes other surroundings for those that the backend was made for, if that is simpler than a new backend. Asked
    /// only after ``start(with:)`` has succeeded, or at any time of one that ``holdsConnections``.
    ///
    /// - Returns: whether it did. If not, nothing happened, and a backend that is made for them has to take over.
    /// - Throws: as ``apply(_:)``; the surroundings are then uncertain until a new backend takes over.
    func adapt(to surroundings: Surroundings) async throws -> Bool

    /// Removes everything that this backend, in this process or an earlier one, has put on the node.
    func cleanup() async throws

    /// What this backend alone has to tell, for a metrics page.
    func metrics() async -> [MetricFamily]

    /// Tells when someone else has changed what is programmed; then ``start(with:)`` is to be called. Ends with the
    /// backend.
    var drifts: AsyncStream<BackendDrift> { get }
}

extension ServiceBackend {
    /// Rules stay when what made them goes.
    public var holdsConnections: Bool { false }

    /// Never.
    public func hasOwnChanges() async -> Bool { false }

    /// Never.
    public func adapt(to surroundings: Surroundings) async throws -> Bool { false }

    /// Nothing.
    public func metrics() async -> [MetricFamily] { [] }

    /// Nothing is noticed.
    public var drifts: AsyncStream<BackendDrift> { AsyncStream { $0.finish() } }
}

/// A change that someone else made to what a backend has programmed.
public struct BackendDrift: Hashable, Sendable {
    /// In words for an operator: the tables, chains and sets.
    public let what: String
    /// The program that did it.
    public let by: String

    public init(what: String, by: String) {
        self.what = what
        self.by = by
    }
}

/// What ``ServiceBackend/start(with:)`` found and did.
public struct BackendStart: Sendable {
    public enum Finding: String, Sendable {
        /// Nothing was there.
        case created
        /// What an earlier process left was compared and kept.
        case adopted
        /// What was there was of another make and was replaced in one step.
        case replaced
    }

    public var findings: [IPFamily: Finding] = [:]
    /// How many things (chains, rules, elements) had to be written or removed; 0 when all was as it should be.
    public var changes = 0
    public var refused: [RefusedFrontend] = []
    /// Frontends that were found and are wanted no longer.
    public var removed: Set<Frontend.Key> = []
}

/// A frontend that could not be programmed.
public struct RefusedFrontend: Sendable {
    /// The change as it was asked for.
    public let change: FrontendChange
    /// Why, in words for an operator.
    public let reason: String

    /// The frontend that is not served as wanted.
    public var frontend: Frontend {
        switch change {
        case .add(let frontend), .remove(let frontend), .replace(_, let frontend): frontend
        }
    }
}

/// Some families could not be programmed; the others were.
public struct FamilyFailure: Error, CustomStringConvertible {
    public let families: Set<IPFamily>
    /// Of the first of them.
    public let reason: any Error

    public var description: String { "\(reason)" }
}

public enum ServiceBackendError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was programmed is gone or was changed by others.
    case lost(String)

    public var description: String {
        switch self {
        case .lost(let what): "\(what) was removed or changed by someone else"
        }
    }
}
