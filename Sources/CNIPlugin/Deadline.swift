import CNI

/// When a verb has to be done. Runtimes give up after one to four minutes (3.11); who answers earlier is understood.
struct Deadline: Sendable {
    private let instant: ContinuousClock.Instant
    private let clock = ContinuousClock()

    init(after duration: Duration) {
        instant = clock.now + duration
    }

    var hasPassed: Bool { clock.now >= instant }

    /// Throws code 11 when the deadline has passed.
    func check(before step: String) throws(CNIError) {
        guard !hasPassed else {
            throw CNIError(.tryAgainLater, "out of time before \(step); the node is overloaded or its store is slow")
        }
    }
}
