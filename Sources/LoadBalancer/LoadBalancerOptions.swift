/// What an operator decides about the load balancer.
public struct LoadBalancerOptions: Sendable {
    /// How the thread of a loop is started; it runs until ``LoadBalancer/stop()``. The loops' sockets are made on their
    /// threads, and so in the network namespace of these.
    public typealias StartThread = @Sendable (_ body: @escaping @Sendable () -> Void) throws -> Void

    /// How many threads share the connections.
    public var loopCount: Int
    /// What one read takes at most, in bytes, and what is held of one direction of a connection at most.
    public var bufferSize = 128 * 1024
    /// How long a target may take to accept a connection before another is tried.
    public var connectTimeout = Duration.seconds(3)
    /// How long connections may go on whose target is none any more; `nil` until they end by themselves.
    public var drainTimeout: Duration?
    /// How long a UDP flow is kept that the target has not answered.
    public var flowTimeout = Duration.seconds(30)
    /// How long a UDP flow is kept that the target has answered.
    public var answeredFlowTimeout = Duration.seconds(120)
    /// How many UDP flows there may be at once.
    public var flowLimit = 65_536
    /// How many descriptors clients may take together; `nil` for what the limit of open files leaves.
    public var descriptorLimit: Int?
    /// How many of the process's descriptors are left to the rest of it.
    public var descriptorReserve = 256
    public var startThread: StartThread

    public init(loopCount: Int = 1, startThread: @escaping StartThread = LoopThread.start) {
        self.loopCount = max(1, loopCount)
        self.startThread = startThread
    }
}
