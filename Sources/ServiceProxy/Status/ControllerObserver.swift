import KubernetesAPI
import NetworkTypes

/// Is told what a ``ServiceController`` does: for probes, metrics, events, and whatever follows from what is programmed
/// without being part of it. Must be quick, as the controller waits: long work goes into a task of the observer's own.
///
/// An observer implements what it wants to hear of.
public protocol ControllerObserver: Sendable {
    /// Objects were taken in.
    ///
    /// - Parameter isQueued: whether something has to be programmed for them; not before everything is known.
    func received(services: Int, endpoints: Int, isQueued: Bool)
    /// Something is about to be programmed, which may take effect from now on.
    ///
    /// - Parameter plans: as ``CommitReport/plans`` will have them.
    func committing(_ plans: [Catalog.ServiceID: ServicePlan])
    func committed(_ commit: CommitReport)
    /// The Node that the proxy runs on was seen, or has changed; `nil` when it was deleted.
    func sawNode(_ node: Node?)
    /// Someone else changed what was programmed, and it is being put back.
    func foundDrift()
    /// Something that people who look at the Node or the Service should read.
    func happened(_ event: ProxyEvent)
}

extension ControllerObserver {
    public func received(services: Int, endpoints: Int, isQueued: Bool) {}
    public func committing(_ plans: [Catalog.ServiceID: ServicePlan]) {}
    public func committed(_ commit: CommitReport) {}
    public func sawNode(_ node: Node?) {}
    public func foundDrift() {}
    public func happened(_ event: ProxyEvent) {}
}

/// An attempt to program what had changed.
public struct CommitReport: Hashable, Sendable {
    /// Whether everything was compared, not only what had changed.
    public let isWhole: Bool
    public let duration: Duration
    public let succeeded: Bool
    /// Whether something waits already for the next.
    public let hasMore: Bool
    /// What was planned since the last attempt that succeeded, and is programmed now; ``ServicePlan/empty`` for a
    /// Service that is gone. Empty for an attempt that failed: its plans come with the next one that succeeds.
    public let plans: [Catalog.ServiceID: ServicePlan]
    /// Those that could not be programmed, when it did not succeed.
    public var failedFamilies: Set<IPFamily> = []
    /// Where node ports are served.
    public var nodePorts: NodePortSelections = [:]
    /// When the changes happened that are programmed now, where their writers said so.
    public var triggers: [IPFamily: [Timestamp]] = [:]
    /// All that is wanted now.
    public var frontends = FrontendCounts()
    /// How many of ``frontends`` the backend has refused.
    public var refusedFrontends: [IPFamily: Int] = [:]
    /// Frontends that an earlier process had left and that nothing wants; those of a whole commit only.
    public var removed: Set<Frontend.Key> = []

    public init(
        isWhole: Bool,
        duration: Duration,
        succeeded: Bool,
        hasMore: Bool,
        plans: [Catalog.ServiceID: ServicePlan] = [:]
    ) {
        self.isWhole = isWhole
        self.duration = duration
        self.succeeded = succeeded
        self.hasMore = hasMore
        self.plans = plans
    }
}
