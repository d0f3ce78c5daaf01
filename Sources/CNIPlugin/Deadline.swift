import CNI
import ClusterClient

/// When a verb has to be done. Runtimes give up after one to four minutes (3.11); who answers earlier is understood.
struct Deadline: Sendable {
    let instant: ContinuousClock.Instant
    private let clock = ContinuousClock()

    /// After so long, or when what this is part of has to be over.
    init(after duration: Duration) {
        let own = clock.now + duration
        instant = RequestDeadline.current.map { min($0, own) } ?? own
    }

    var hasPassed: Bool { clock.now >= instant }

    /// Throws code 11 when the deadline has passed.
    func check(before step: String) throws(CNIError) {
        guard !hasPassed else {
            throw CNIError(.tryAgainLater, "out of time before \(step); the node is overloaded or its store is slow")
        }
    }
}

extension RequestDeadline {
    /// Runs something that has to be over after so long, or when what it is part of has to be.
    static func within<Value>(
        _ duration: Duration,
        _ body: () async throws(CNIError) -> Value
    ) async throws(CNIError) -> Value {
        let own = ContinuousClock.now + duration
        return try await by(current.map { min($0, own) } ?? own, body)
    }

    /// Runs something that has to be over at a certain moment, also when what it is part of had to be over before.
    static func by<Value>(
        _ instant: ContinuousClock.Instant,
        _ body: () async throws(CNIError) -> Value
    ) async throws(CNIError) -> Value {
        let result = await $current.withValue(instant) { () async -> Result<Value, CNIError> in
            do throws(CNIError) {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
