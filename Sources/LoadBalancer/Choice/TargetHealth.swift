/// What clients' connections say about targets: one that refuses rests for a while, longer each time (passive health).
struct TargetHealth: Sendable {
    /// How long a target rests after its first failure in a row; doubles with each further one.
    static let firstRest = Duration.seconds(1)
    static let longestRest = Duration.seconds(60)

    private struct Failures {
        var count: Int
        var restsUntil: ContinuousClock.Instant
    }

    private var failures: [TransportAddress: Failures] = [:]

    /// Whether no target has failed of late, so that nobody has to be asked about.
    var isPerfect: Bool { failures.isEmpty }

    func isResting(_ target: TransportAddress, at now: ContinuousClock.Instant) -> Bool {
        failures[target].map { now < $0.restsUntil } ?? false
    }

    /// - Returns: how long the target rests; `nil` when it rests already, as several attempts may fail at once.
    mutating func failed(_ target: TransportAddress, at now: ContinuousClock.Instant) -> Duration? {
        let before = failures[target]
        if let before, now < before.restsUntil { return nil }
        let count = (before?.count ?? 0) + 1
        let rest = min(Self.longestRest, Self.firstRest * (1 << min(count - 1, 10)))
        failures[target] = Failures(count: count, restsUntil: now + rest)
        return rest
    }

    mutating func succeeded(_ target: TransportAddress) {
        if !failures.isEmpty { failures[target] = nil }
    }

    /// Forgets the targets that are gone.
    mutating func keep(_ isKept: (TransportAddress) -> Bool) {
        if !failures.isEmpty { failures = failures.filter { isKept($0.key) } }
    }
}
