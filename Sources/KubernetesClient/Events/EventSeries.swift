import KubernetesAPI

/// Which events are the same as one before, and what to write of them. A value without a clock.
///
/// As client-go's events package does: the first of its kind is made; the second makes it a series; more are counted and
/// written from time to time, and when no more have come for a while.
struct EventSeries: Sendable {
    enum Write: Hashable, Sendable {
        case create(StoredEvent)
        case patch(StoredEvent)
    }

    /// Events with these in common are the same; their notes may differ.
    private struct Key: Hashable {
        let regarding: Event.Reference
        let type: Event.Kind
        let reason: String
        let action: String
    }

    private struct Entry {
        var stored: StoredEvent
        var written: Timestamp
        var writtenCount: Int
    }

    private let reporter: EventReporter
    private var entries: [Key: Entry] = [:]

    /// A series ends when nothing came for so long.
    static let finish: Duration = .seconds(6 * 60)
    /// One that goes on is written so often, so that the server does not forget it.
    static let refresh: Duration = .seconds(30 * 60)
    private static let limit = 1024

    init(_ reporter: EventReporter) {
        self.reporter = reporter
    }

    /// - Returns: what is to be written now, if anything.
    mutating func record(_ event: Event, now: Timestamp) -> Write? {
        let key = Key(regarding: event.regarding, type: event.type, reason: event.reason, action: event.action)
        if var entry = entries[key], now - entry.stored.lastObserved < Self.finish {
            entry.stored.count += 1
            entry.stored.lastObserved = now
            let isSecond = entry.stored.count == 2
            if isSecond {
                entry.written = now
                entry.writtenCount = 2
            }
            entries[key] = entry
            return isSecond ? .patch(entry.stored) : nil
        }
        if entries.count >= Self.limit,
            let oldest = entries.min(by: { $0.value.stored.lastObserved < $1.value.stored.lastObserved })
        {
            entries[oldest.key] = nil
        }
        let stored = StoredEvent(event, reporter, now: now)
        entries[key] = Entry(stored: stored, written: now, writtenCount: 1)
        return .create(stored)
    }

    /// What is to be written of the series that go on or have ended.
    mutating func due(now: Timestamp) -> [Write] {
        var writes: [Write] = []
        for (key, var entry) in entries {
            let hasEnded = now - entry.stored.lastObserved >= Self.finish
            if entry.stored.count > entry.writtenCount, hasEnded || now - entry.written >= Self.refresh {
                writes.append(.patch(entry.stored))
                entry.written = now
                entry.writtenCount = entry.stored.count
            }
            entries[key] = hasEnded ? nil : entry
        }
        return writes
    }
}
