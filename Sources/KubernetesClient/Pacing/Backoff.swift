/// How long to wait before the next try: longer each time, up to a limit, and never the same for two clients.
///
/// A value without a clock: its user sleeps, and tells when things went well.
public struct Backoff: Hashable, Sendable {
    public var initial: Duration
    public var factor: Double
    public var limit: Duration
    /// Each wait is this part longer at most, at random; 0 for none.
    public var jitter: Double
    private var next: Duration?

    /// By default the waits of client-go's reflector.
    public init(
        initial: Duration = .milliseconds(800),
        factor: Double = 2,
        limit: Duration = .seconds(30),
        jitter: Double = 1
    ) {
        self.initial = initial
        self.factor = factor
        self.limit = limit
        self.jitter = jitter
    }

    /// The wait before the next try.
    public mutating func step(using generator: inout some RandomNumberGenerator) -> Duration {
        let base = min(next ?? initial, limit)
        next = min(base * factor, limit)
        guard jitter > 0 else { return base }
        return base * (1 + Double.random(in: 0...jitter, using: &generator))
    }

    public mutating func step() -> Duration {
        var generator = SystemRandomNumberGenerator()
        return step(using: &generator)
    }

    /// Things went well: the next wait is the first again.
    public mutating func reset() {
        next = nil
    }
}
