import NetworkTypes

/// Is told what a ``ServiceController`` does, for probes and metrics. Must be quick: the controller waits.
public protocol ControllerObserver: Sendable {
    /// Objects were taken in.
    ///
    /// - Parameter isQueued: whether something has to be programmed for them, once everything is known.
    func received(services: Int, endpoints: Int, isQueued: Bool)
    func committed(_ commit: CommitReport)
    /// The Node that the proxy runs on was seen.
    func sawNode()
    /// Someone else changed what was programmed, and it is being put back.
    func foundDrift()
}

/// An attempt to program what had changed.
public struct CommitReport: Hashable, Sendable {
    /// Whether everything was compared, not only what had changed.
    public let isWhole: Bool
    public let duration: Duration
    public let succeeded: Bool
    /// Whether something waits already for the next.
    public let hasMore: Bool
}
