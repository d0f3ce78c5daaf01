import ClusterClient
import KubernetesAPI
import NetworkTypes

/// When the changes that wait to be programmed happened, as the writers of slices noted it: the beginning of what
/// `network_programming_duration_seconds` measures (2.11). A value without a clock.
struct ChangeTriggers: Sendable {
    /// Earlier ones are those of objects that were there at the start.
    private let start: Timestamp
    private var waiting: [IPFamily: [Timestamp]] = [:]
    private var committing: [IPFamily: [Timestamp]] = [:]

    /// While commits fail, no more than this are kept per family.
    static let limit = 10_000

    init(after start: Timestamp = .now) {
        self.start = start
    }

    /// Deletions have no time, and are not measured.
    mutating func take(_ change: ObjectChange) {
        guard case .set(.endpointSlice(let slice)) = change, let time = slice.lastChangeTriggerTime, time > start,
            let family = slice.family, waiting[family]?.count ?? 0 < Self.limit
        else { return }
        waiting[family, default: []].append(time)
    }

    /// What was taken in so far is going to be programmed.
    mutating func beginCommit() {
        guard !waiting.isEmpty else { return }
        committing.merge(waiting) { Array(($0 + $1).prefix(Self.limit)) }
        waiting = [:]
    }

    /// It is programmed.
    mutating func commitSucceeded() -> [IPFamily: [Timestamp]] {
        defer { committing = [:] }
        return committing
    }
}
