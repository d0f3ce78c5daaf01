import ClusterClient
import KubernetesAPI
import KubernetesWire
import Logging

/// Owns what is known of all kinds of a source, and what its consumer has not been told yet. Watches tell it what
/// comes; whoever delivers takes batches from it.
actor Informers {
    private var informers: [ObjectKind: Informer]
    private let required: Set<ObjectKind>
    /// Kinds that take the place of others.
    private let standIns: [(kind: ObjectKind, absent: ObjectKind)]
    private var pending = PendingChanges()
    private var random = SystemRandomNumberGenerator()
    private let clock = ContinuousClock()
    private let logger: Logger

    /// Something is pending.
    nonisolated let wakeUps: AsyncStream<Void>
    private let wakeUp: AsyncStream<Void>.Continuation

    /// - Parameter resources: at most one of a kind.
    init(_ resources: [WatchedResource], settings: ReflectorSettings, logger: Logger) {
        informers = [:]
        for resource in resources { informers[resource.kind] = Informer(resource.kind, settings: settings) }
        required = Set(resources.filter { $0.need == .required }.map(\.kind))
        standIns = resources.compactMap { resource in
            if case .standIn(let absent) = resource.need { (resource.kind, absent) } else { nil }
        }
        self.logger = logger
        (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: For the delivery

    func takeBatch() -> ObjectBatch {
        pending.take { informers[$0.kind]?.cache.objects[$0.name] }
    }

    // MARK: For the requests

    func next(_ kind: ObjectKind) -> ReflectorStep {
        update(kind) { informer, _, random in informer.next(at: clock.now, using: &random) } ?? .wait(.seconds(1))
    }

    func received(_ page: ListPage, _ kind: ObjectKind) {
        update(kind) { informer, pending, random in
            informer.received(page, at: clock.now, using: &random, &pending)
        }
    }

    /// How long the watch may be silent from now on; `nil` when it is of no use any more.
    func received(_ events: [WatchEvent], _ kind: ObjectKind) -> Duration? {
        update(kind) { informer, pending, random -> Duration? in
            for event in events {
                let continuation = informer.received(event, at: clock.now, using: &random, &pending)
                if continuation == .stop { return nil }
            }
            return informer.reflector.silence
        } ?? nil
    }

    func failed(_ failure: ReflectorFailure, _ kind: ObjectKind) {
        update(kind) { informer, _, random in informer.failed(failure, at: clock.now, using: &random) }
    }

    /// How long the watch may be silent.
    func opened(_ kind: ObjectKind) -> Duration {
        update(kind) { informer, _, _ in
            informer.opened()
            return informer.reflector.silence
        } ?? .zero
    }

    func ended(_ end: WatchEnd, _ kind: ObjectKind) {
        update(kind) { informer, _, random in informer.ended(end, at: clock.now, using: &random) }
    }

    /// Whether the server has told everything of a kind at least once.
    func isSynced(_ kind: ObjectKind) -> Bool { informers[kind]?.isSynced ?? false }

    private func update<Value>(
        _ kind: ObjectKind,
        _ change: (inout Informer, inout PendingChanges, inout SystemRandomNumberGenerator) -> Value
    ) -> Value? {
        // In place, as a copy of an informer would make its dictionaries be copied upon the first change.
        guard let index = informers.index(forKey: kind) else { return nil }
        let value = change(&informers.values[index], &pending, &random)
        settleStandIns()
        let notices = informers.values[index].takeNotices()
        for notice in notices.reflector { report(notice, kind) }
        for notice in notices.objects { report(notice) }
        if !pending.isEmpty { wakeUp.yield() }
        return value
    }

    /// What stands in for a kind makes it known, and goes when the server has the kind after all.
    private func settleStandIns() {
        for (kind, absent) in standIns {
            guard let index = informers.index(forKey: kind), let place = informers.index(forKey: absent) else {
                continue
            }
            if informers.values[place].isSynced {
                if !informers.values[index].cache.objects.isEmpty { informers.values[index].clear(&pending) }
            } else if informers.values[index].isAnnounced {
                informers.values[place].announce(&pending)
            }
        }
    }

    // MARK: For the snapshot

    /// Counts what consumers are told.
    var changeCount: UInt64 { pending.changeCount }

    /// Whether the server has told everything that is required at least once.
    var isSynced: Bool {
        let synced = syncedKinds
        return required.subtracting(synced).allSatisfy { kind in
            standIns.contains { $0.absent == kind && synced.contains($0.kind) }
        }
    }

    /// The kinds of which the server has told everything at least once.
    var syncedKinds: Set<ObjectKind> { Set(informers.filter { $0.value.isSynced }.keys) }

    func adopt(_ snapshot: Snapshot) {
        for (kind, part) in snapshot.parts {
            update(kind) { informer, pending, _ in
                informer.adopt(part.objects, version: part.resourceVersion, &pending)
            }
        }
    }

    func version(_ kind: ObjectKind) -> String { informers[kind]?.reflector.version ?? "" }

    func names(_ kind: ObjectKind) -> [ObjectName] { informers[kind].map { Array($0.cache.objects.keys) } ?? [] }

    func objects(_ kind: ObjectKind, _ names: ArraySlice<ObjectName>) -> [KubernetesObject] {
        guard let cache = informers[kind]?.cache else { return [] }
        return names.compactMap { cache.objects[$0] }
    }

    // MARK: The log

    private func report(_ notice: ReflectorNotice, _ kind: ObjectKind) {
        var metadata: Logger.Metadata = ["kind": "\(kind.rawValue)"]
        switch notice {
        case .failing(let message, let delay):
            metadata["error"] = "\(message)"
            metadata["retryIn"] = "\(delay)"
            logger.warning("objects cannot be followed; what is known stays, and it is tried again", metadata: metadata)
        case .absent(let message):
            metadata["reason"] = "\(message)"
            logger.info("the server has no such objects to show; going on without them", metadata: metadata)
        case .recovered: logger.info("objects are followed again", metadata: metadata)
        case .pagesInstead(let reason):
            metadata["reason"] = "\(reason)"
            logger.info("objects are listed in pages, not as a stream", metadata: metadata)
        case .lagging(let version, let known):
            metadata["version"] = "\(version)"
            metadata["known"] = "\(known)"
            logger.warning("the server lags behind what is known; it is not believed yet", metadata: metadata)
        case .restored(let version, let known):
            metadata["version"] = "\(version)"
            metadata["known"] = "\(known)"
            logger.warning(
                "the server's state stays older than what was known; it is taken as that of a restored cluster",
                metadata: metadata
            )
        case .listingAnew(let reason):
            metadata["reason"] = "\(reason)"
            logger.info("objects are listed anew; what is known stays until then", metadata: metadata)
        }
    }

    private func report(_ notice: Informer.ObjectNotice) {
        switch notice {
        case .unusable(let object, let isKept):
            logger.warning(
                isKept
                    ? "an object cannot be used; its last good state stays"
                    : "an object cannot be used and is left out",
                metadata: [
                    "object": "\(object.key.map { "\($0)" } ?? "without a name")",
                    "resourceVersion": "\(object.resourceVersion)", "reason": "\(object.reason)",
                ]
            )
        case .outdated(let key, let version):
            logger.debug(
                "a watch told something old; it is ignored",
                metadata: ["object": "\(key)", "resourceVersion": "\(version)"]
            )
        }
    }
}
