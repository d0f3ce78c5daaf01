import NetworkTypes

/// Which target each client of a group had last.
struct AffinityMemory: Sendable {
    struct Client: Hashable {
        let address: IPAddress
        let memory: UInt8
    }

    private struct Stay {
        let target: TransportAddress
        var last: ContinuousClock.Instant
    }

    /// How many clients are remembered at most; more go without affinity. As many as in nftables mode.
    static let limit = 131_072
    private static let sweepInterval = Duration.seconds(1)

    private var stays: [Client: Stay] = [:]
    /// How many may be remembered before those that are over are looked for.
    private var sweepSize = 1024
    private var lastSweep: ContinuousClock.Instant?

    var count: Int { stays.count }

    /// The target of a client whose last connection was less than `timeout` ago.
    func target(of client: Client, within timeout: Duration, at now: ContinuousClock.Instant) -> TransportAddress? {
        stays[client].flatMap { now - $0.last < timeout ? $0.target : nil }
    }

    /// Notes a new connection. What is over is forgotten now and then, so that the memory holds at most twice what counts.
    mutating func note(
        _ client: Client,
        at target: TransportAddress,
        timeout: Duration,
        _ now: ContinuousClock.Instant
    ) {
        if stays.count >= sweepSize, stays[client] == nil {
            sweep(timeout, now)
            guard stays.count < Self.limit else { return }
        }
        stays[client] = Stay(target: target, last: now)
    }

    private mutating func sweep(_ timeout: Duration, _ now: ContinuousClock.Instant) {
        // When it is full, each new client would have all of them looked at.
        if stays.count >= Self.limit, let lastSweep, now - lastSweep < Self.sweepInterval { return }
        lastSweep = now
        stays = stays.filter { now - $0.value.last < timeout }
        sweepSize = min(Self.limit, max(1024, 2 * stays.count))
    }
}
