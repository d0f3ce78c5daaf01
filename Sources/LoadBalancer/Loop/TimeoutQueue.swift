/// How long something may take. Each has a queue of its own, in which what comes later is due later.
struct Timeout: Hashable {
    let duration: Duration
}

/// Descriptors in the order in which their time is over. What has gone meanwhile is recognised by its generation when its
/// turn comes, so that nothing has to be looked for when it goes, and a queue keeps nothing alive.
struct TimeoutQueue {
    struct Entry {
        let due: ContinuousClock.Instant
        let descriptor: Int32
        let generation: UInt32
    }

    private var entries: [Entry] = []
    private var first = 0

    var nextDue: ContinuousClock.Instant? { first < entries.count ? entries[first].due : nil }

    mutating func append(_ descriptor: Int32, _ generation: UInt32, due: ContinuousClock.Instant) {
        entries.append(Entry(due: due, descriptor: descriptor, generation: generation))
    }

    mutating func popFirst(dueAt now: ContinuousClock.Instant) -> Entry? {
        guard first < entries.count, entries[first].due <= now else { return nil }
        defer {
            first += 1
            if first == entries.count {
                // Small queues keep their room; that of a burst is given back.
                entries.removeAll(keepingCapacity: entries.capacity <= 1024)
                first = 0
            } else if first > 1024, first > entries.count / 2 {
                entries.removeFirst(first)
                first = 0
            }
        }
        return entries[first]
    }
}
