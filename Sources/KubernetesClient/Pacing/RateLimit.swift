/// How many requests a client may make: `burst` at once, then `qps` a second.
public struct RateLimit: Hashable, Sendable {
    public var qps: Double
    public var burst: Int

    /// By default as kube-proxy (`clientConnection.qps` and `burst`).
    public init(qps: Double = 5, burst: Int = 10) {
        self.qps = qps
        self.burst = burst
    }
}

/// A bucket that fills at a steady rate, from which each request takes a token; whoever comes too early waits.
///
/// A value: time is given to it.
struct TokenBucket: Sendable {
    private let limit: RateLimit
    /// Below zero when tokens were taken before they were there.
    private var tokens: Double
    private var filled: ContinuousClock.Instant

    init(_ limit: RateLimit, now: ContinuousClock.Instant) {
        self.limit = limit
        tokens = Double(max(limit.burst, 1))
        filled = now
    }

    /// Takes a token and returns how long to wait before it may be used; `nil`, and nothing is taken, when that would
    /// be after the deadline.
    mutating func take(now: ContinuousClock.Instant, deadline: ContinuousClock.Instant) -> Duration? {
        if now > filled {
            tokens = min(Double(max(limit.burst, 1)), tokens + (now - filled) / .seconds(1) * limit.qps)
            filled = now
        }
        guard tokens < 1 else {
            tokens -= 1
            return .zero
        }
        guard limit.qps > 0 else { return nil }
        let wait = Duration.seconds(1) * ((1 - tokens) / limit.qps)
        guard now + wait <= deadline else { return nil }
        tokens -= 1
        return wait
    }
}
