extension ServiceController {
    /// How long to wait before something is tried again.
    public struct RetryPolicy: Hashable, Sendable {
        /// After the first failed commit; doubles with each further one.
        public var firstDelay: Duration
        public var longestDelay: Duration
        /// Between attempts at frontends that the backend refused.
        public var refusedInterval: Duration
        /// Between looks at the addresses of the node's interfaces, where node ports depend on them.
        public var addressInterval: Duration
        /// From the end of one commit to the start of the next, at least (`minSyncPeriod`).
        public var minimumInterval: Duration

        public init(
            firstDelay: Duration = .milliseconds(100),
            longestDelay: Duration = .seconds(30),
            refusedInterval: Duration = .seconds(30),
            addressInterval: Duration = .seconds(5),
            minimumInterval: Duration = .zero
        ) {
            self.firstDelay = firstDelay
            self.longestDelay = longestDelay
            self.refusedInterval = refusedInterval
            self.addressInterval = addressInterval
            self.minimumInterval = minimumInterval
        }

        func delay(afterFailures failures: Int) -> Duration {
            min(longestDelay, firstDelay * (1 << min(max(failures - 1, 0), 20)))
        }
    }
}
