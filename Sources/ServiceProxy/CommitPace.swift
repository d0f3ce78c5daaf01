/// When the next commit may begin. An idle proxy need not wait; only commits that follow each other keep a distance.
struct CommitPace: Hashable, Sendable {
    private var earliest: ContinuousClock.Instant?

    /// A commit has ended.
    ///
    /// - Parameter minimumInterval: from this end to the start of the next, at least (`minSyncPeriod`).
    mutating func committed(at now: ContinuousClock.Instant, minimumInterval: Duration) {
        earliest = minimumInterval > .zero ? now.advanced(by: minimumInterval) : nil
    }

    /// How long a commit that could begin now has to wait; `nil` when it need not.
    func wait(at now: ContinuousClock.Instant) -> Duration? {
        guard let earliest, earliest > now else { return nil }
        return earliest - now
    }
}
