import ClusterClient

/// The moment by which a logical request has to be over, with all its tries.
struct Deadline: Sendable {
    let instant: ContinuousClock.Instant

    init(_ timeout: Duration) {
        let own = ContinuousClock.now + timeout
        instant = RequestDeadline.current.map { min($0, own) } ?? own
    }

    var left: Duration { max(.zero, ContinuousClock.now.duration(to: instant)) }

    /// Whether something can still be done after a wait.
    func allows(_ wait: Duration) -> Bool { left > wait }
}
