/// The events of one watch, pulled as fast as the client takes them; so a slow client costs no memory.
struct WatchFeed {
    enum Step {
        /// These come next.
        case frames([[UInt8]])
        /// Nothing for now.
        case idle
        /// This is the last one.
        case end([UInt8])
    }

    let plan: WatchPlan
    let encoder: WatchEncoder
    private let store: ObjectStore
    /// What was there at the start and has not been sent.
    private var initial: ArraySlice<StoredObject> = []
    private var isStarted = false
    private var owesBookmark: Bool
    /// Up to where events have been sent.
    private(set) var revision: UInt64 = 0

    init(_ plan: WatchPlan, _ store: ObjectStore) {
        self.plan = plan
        self.store = store
        encoder = WatchEncoder(type: plan.type, representation: plan.representation)
        owesBookmark = plan.endsInitialEvents
    }

    /// The next events, at most so many.
    mutating func next(limit: Int = 200) -> Step {
        if !isStarted { start() }
        if !initial.isEmpty {
            let frames = initial.prefix(limit).map { encoder.event("ADDED", $0) }
            initial = initial.dropFirst(limit)
            return .frames(frames)
        }
        if owesBookmark {
            owesBookmark = false
            return .frames([encoder.bookmark(revision, endsInitialEvents: true)])
        }
        do throws(ObjectStore.Expired) {
            let (changes, through) = try store.changes(plan.type, after: revision, limit: limit)
            let from = revision
            revision = through
            let frames = changes.compactMap(frame)
            if frames.isEmpty, through > from, !changes.isEmpty { return next(limit: limit) }
            return frames.isEmpty ? .idle : .frames(frames)
        } catch {
            return .end(encoder.error(.tooOld(watch: revision, oldest: error.oldest)))
        }
    }

    private mutating func start() {
        isStarted = true
        switch plan.start {
        case .after(let version): revision = version
        case .now:
            // A list of what is there now never fails.
            guard
                let page = try? store.list(
                    plan.type,
                    namespace: plan.selection.namespace,
                    where: plan.selection.matches
                )
            else { return }
            initial = page.objects[...]
            revision = page.revision
        }
    }

    /// How a change looks to somebody who sees only some of the objects.
    private func frame(_ change: ObjectStore.Change) -> [UInt8]? {
        let matched = change.previous.map(plan.selection.matches) ?? false
        let matches = !change.isDeletion && plan.selection.matches(change.object)
        switch (matched, matches) {
        case (false, false): return nil
        case (false, true): return encoder.event("ADDED", change.object)
        case (true, true): return encoder.event("MODIFIED", change.object)
        case (true, false):
            if change.isDeletion { return encoder.event("DELETED", change.object) }
            // What it was when it last matched, at the version at which it stopped.
            return change.previous.map { encoder.event("DELETED", $0.at(change.revision)) }
        }
    }
}
