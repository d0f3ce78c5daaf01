import ServerTransport

/// Whether, and after which wait, a request that failed is made again. A value without a clock.
struct Retries: Sendable {
    /// Whether making the request twice does no harm.
    let isSafeToRepeat: Bool
    private var count = 0
    private var backoff = Backoff(initial: .milliseconds(100), limit: .seconds(5), jitter: 0.5)

    static let limit = 5

    init(isSafeToRepeat: Bool) {
        self.isSafeToRepeat = isSafeToRepeat
    }

    /// - Returns: `nil` when the failure is final.
    mutating func wait(
        after failure: KubernetesError,
        using generator: inout some RandomNumberGenerator
    ) -> Duration? {
        guard count < Self.limit, isWorthAnotherTry(failure) else { return nil }
        count += 1
        let own = backoff.step(using: &generator)
        guard let asked = failure.retryAfter else { return own }
        // Those who were all told the same moment do not all come at it.
        return asked + own
    }

    mutating func wait(after failure: KubernetesError) -> Duration? {
        var generator = SystemRandomNumberGenerator()
        return wait(after: failure, using: &generator)
    }

    private func isWorthAnotherTry(_ failure: KubernetesError) -> Bool {
        switch failure.reason {
        case .tooManyRequests: true
        // Without a Retry-After, and with 504, the server may have done what it was asked.
        case .unavailable: failure.retryAfter != nil && failure.code != 504
        case .transport(.unreachable): true
        case .transport(.cut), .transport(.malformed): isSafeToRepeat
        default: false
        }
    }
}
