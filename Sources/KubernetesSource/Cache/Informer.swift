import KubernetesAPI
import KubernetesWire

/// Keeps the objects of one kind as the API server has them: what to request, and what each answer changes. A value;
/// whoever drives it makes the requests and delivers the changes.
struct Informer: Sendable {
    /// What the log should say of an object.
    enum ObjectNotice: Hashable, Sendable {
        case unusable(SkippedObject, isKept: Bool)
        /// A watch told something that is older than what is known.
        case outdated(ObjectKey, version: String)
    }

    private(set) var reflector: Reflector
    private(set) var cache: InformerCache
    /// Whether a complete list has come from the server.
    private(set) var isSynced = false
    /// Whether the consumer was told so, or has a snapshot instead.
    private(set) var isAnnounced = false
    private var objectNotices: [ObjectNotice] = []

    private let objectLimit: Int

    /// - Parameter objectLimit: what a server may make us remember of a kind.
    init(_ kind: ObjectKind, settings: ReflectorSettings = ReflectorSettings(), objectLimit: Int = 1_000_000) {
        reflector = Reflector(settings: settings)
        cache = InformerCache(kind)
        self.objectLimit = objectLimit
    }

    mutating func takeNotices() -> (reflector: [ReflectorNotice], objects: [ObjectNotice]) {
        defer { objectNotices = [] }
        return (reflector.takeNotices(), objectNotices)
    }

    mutating func next(
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) -> ReflectorStep {
        let step = reflector.next(at: now, using: &random)
        switch step {
        case .list(let query) where query.continueToken.isEmpty: cache.beginList()
        case .watch(let query) where query.sendsInitialEvents: cache.beginList()
        default: break
        }
        return step
    }

    /// Takes over what an earlier process knew, as long as the server has not told anything.
    mutating func adopt(_ objects: [KubernetesObject], version: String, _ pending: inout PendingChanges) {
        guard !isSynced else { return }
        cache.adopt(objects, &pending)
        reflector.adopt(version: version)
        announce(&pending)
    }

    mutating func announce(_ pending: inout PendingChanges) {
        if !isAnnounced { pending.note(synced: cache.kind) }
        isAnnounced = true
    }

    /// Forgets all objects: nobody is to know them any more.
    mutating func clear(_ pending: inout PendingChanges) {
        cache.beginList()
        cache.completeList(isRestored: true, &pending)
    }

    mutating func received(
        _ page: ListPage,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator,
        _ pending: inout PendingChanges
    ) {
        let verdict = reflector.received(
            page: page.resourceVersion,
            continueToken: page.continueToken,
            at: now,
            using: &random
        )
        guard verdict != .discard else { return cache.discardList() }
        for object in page.items { cache.list(object) }
        for object in page.skipped { listUnusable(object) }
        guard cache.incomingCount <= objectLimit else { return refuse(at: now, using: &random) }
        if case .complete(let restored) = verdict { complete(isRestored: restored, &pending) }
    }

    /// What the driver of a watch does after an event.
    enum Continuation: Hashable, Sendable {
        case goOn
        /// The watch is of no use any more, and closed.
        case stop
    }

    mutating func received(
        _ event: WatchEvent,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator,
        _ pending: inout PendingChanges
    ) -> Continuation {
        switch event {
        case .added(let object), .modified(let object):
            return received(object, at: now, using: &random, &pending)
        case .deleted(let key, let version):
            // Checked against the object and not against the watch: old servers send the version before the deletion.
            _ = reflector.received(eventAt: version)
            if cache.isListing {
                cache.unlist(key.name, version: version)
            } else {
                cache.delete(key.name, version: version, &pending)
            }
        case .skipped(let object):
            _ = reflector.received(eventAt: object.resourceVersion)
            if cache.isListing { listUnusable(object) } else { note(unusable: object) }
        case .bookmark(let version, let initialEventsEnd):
            let verdict = reflector.received(
                bookmark: version,
                initialEventsEnd: initialEventsEnd,
                at: now,
                using: &random
            )
            switch verdict {
            case .goOn: break
            case .complete(let restored): complete(isRestored: restored, &pending)
            case .stop:
                cache.discardList()
                return .stop
            }
        case .error(let status):
            ended(.failed(ReflectorFailure(status)), at: now, using: &random)
            return .stop
        }
        return .goOn
    }

    private mutating func received(
        _ object: KubernetesObject,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator,
        _ pending: inout PendingChanges
    ) -> Continuation {
        let version = object.metadata.resourceVersion
        guard reflector.received(eventAt: version) else {
            objectNotices.append(.outdated(object.key, version: version))
            return .goOn
        }
        if cache.isListing {
            cache.list(object)
        } else {
            cache.set(object, &pending)
        }
        guard max(cache.objects.count, cache.incomingCount) <= objectLimit else {
            refuse(at: now, using: &random)
            return .stop
        }
        return .goOn
    }

    mutating func failed(
        _ failure: ReflectorFailure,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        reflector.failed(failure, at: now, using: &random)
    }

    mutating func opened() {
        reflector.opened()
    }

    mutating func ended(
        _ end: WatchEnd,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        cache.discardList()
        reflector.ended(end, at: now, using: &random)
    }

    private mutating func complete(isRestored: Bool, _ pending: inout PendingChanges) {
        cache.completeList(isRestored: isRestored, &pending)
        isSynced = true
        announce(&pending)
    }

    private mutating func refuse(
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        cache.discardList()
        let failure = ReflectorFailure(.unreadable, "the server has more than \(objectLimit) objects")
        reflector.abandon(failure, at: now, using: &random)
    }

    private mutating func listUnusable(_ object: SkippedObject) {
        if let name = object.key?.name { cache.listUnusable(name) }
        note(unusable: object)
    }

    private mutating func note(unusable object: SkippedObject) {
        guard cache.noteUnusable(object) else { return }
        let isKept = object.key.map { cache.objects[$0.name] != nil } ?? false
        objectNotices.append(.unusable(object, isKept: isKept))
    }
}
