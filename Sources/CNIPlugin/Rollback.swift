import CNI
import ClusterClient

/// What has to be undone when a verb fails: the one owner of that, for every way out (3.5).
struct Rollback: ~Copyable {
    private var steps: [(name: String, undo: @Sendable () async throws(CNIError) -> Void)] = []
    private let log: PluginLog

    /// How long undoing may take, also when the time of the verb is up.
    static let limit = Duration.seconds(10)

    init(log: PluginLog) {
        self.log = log
    }

    /// Remembers how to undo what is done next. Undoing what was not done after all must be harmless.
    mutating func add(_ name: String, _ undo: @escaping @Sendable () async throws(CNIError) -> Void) {
        steps.append((name, undo))
    }

    /// Undoes everything, the last first. What cannot be undone is logged; the DEL that a runtime sends after a failed
    /// ADD tries again.
    consuming func run() async {
        let end = ContinuousClock.now + Self.limit
        for step in steps.reversed() {
            do throws(CNIError) {
                try await RequestDeadline.by(end, step.undo)
            } catch {
                log.error("could not \(step.name) after a failure: \(error)")
            }
        }
    }
}
