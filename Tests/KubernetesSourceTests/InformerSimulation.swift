import ClusterClient
import KubernetesAPI
import KubernetesWire
import TestSupport
import Testing

@testable import KubernetesSource

/// An informer, a model server and a consumer, with time that is made up and everything that can go wrong.
struct InformerSimulation {
    private enum Connection {
        case none
        /// A page was asked for at this revision.
        case watching(position: Int)
    }

    var server = ModelServer()
    var informer: Informer
    var pending = PendingChanges()
    var random: SeededGenerator
    var now = ContinuousClock.now
    /// Of 100 chances, how many something goes wrong.
    let faultPercent: Int
    /// Whether the server knows streaming lists.
    let streams: Bool

    private var connection = Connection.none
    /// What the consumer believes.
    private(set) var consumer: [ObjectKey: KubernetesObject] = [:]
    private(set) var isSynced = false
    private var deleted: [ObjectKey: String] = [:]
    private(set) var deliveries = 0
    private(set) var lists = 0

    init(seed: UInt64, faultPercent: Int, streams: Bool) {
        random = SeededGenerator(seed: seed)
        self.faultPercent = faultPercent
        self.streams = streams
        var settings = ReflectorSettings()
        settings.pageSize = 3
        settings.lagTolerance = .seconds(1_000_000)
        informer = Informer(.endpointSlice, settings: settings)
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    mutating func step(withFaults: Bool) {
        let faults = withFaults ? faultPercent : 0
        switch connection {
        case .none: request(faults)
        case .watching(let position): tell(from: position, faults)
        }
        checkCache()
    }

    // MARK: Requests

    private mutating func request(_ faults: Int) {
        switch informer.next(at: now, using: &random) {
        case .wait(let duration): now += duration
        case .list(let query):
            if chance(faults) { return fail() }
            list(query, faults)
        case .watch(let query):
            if chance(faults) { return fail() }
            open(query, faults)
        }
    }

    private mutating func fail() {
        let reasons: [ReflectorFailure.Reason] = [.other, .other, .unreadable, .expired, .versionTooLarge]
        let failure = ReflectorFailure(reasons.randomElement(using: &random) ?? .other, "fault")
        informer.failed(failure, at: now, using: &random)
    }

    /// The revision that the replica has which was hit.
    private mutating func replica(_ faults: Int) -> Int {
        chance(faults) ? Int.random(in: 0...server.revision, using: &random) : server.revision
    }

    private mutating func list(_ query: ListQuery, _ faults: Int) {
        lists += 1
        var revision = replica(faults)
        var start = 0
        if !query.continueToken.isEmpty {
            let parts = query.continueToken.split(separator: ":").compactMap { Int($0) }
            (revision, start) = (parts[0], parts[1])
            guard revision >= server.compacted else {
                return informer.failed(ReflectorFailure(.expired, "compacted"), at: now, using: &random)
            }
        } else if let known = Int(query.resourceVersion), known > revision {
            return informer.failed(ReflectorFailure(.versionTooLarge, "behind"), at: now, using: &random)
        }
        let sorted = server.states[revision].sorted { $0.key < $1.key }.map(\.value)
        let end = query.limit == 0 ? sorted.count : min(sorted.count, start + query.limit)
        let page = ListPage(
            items: Array(sorted[start..<end]),
            resourceVersion: "\(revision)",
            continueToken: end < sorted.count ? "\(revision):\(end)" : ""
        )
        informer.received(page, at: now, using: &random, &pending)
    }

    private mutating func open(_ query: WatchQuery, _ faults: Int) {
        guard query.sendsInitialEvents else {
            let position = Int(query.resourceVersion) ?? 0
            guard position >= server.compacted else {
                return informer.failed(ReflectorFailure(.expired, "compacted"), at: now, using: &random)
            }
            informer.opened()
            connection = .watching(position: position)
            return
        }
        guard streams else {
            return informer.failed(ReflectorFailure(.refused, "no such feature"), at: now, using: &random)
        }
        let revision = replica(faults)
        if let known = Int(query.resourceVersion), known > revision {
            return informer.failed(ReflectorFailure(.versionTooLarge, "behind"), at: now, using: &random)
        }
        informer.opened()
        lists += 1
        for object in server.states[revision].values.shuffled(using: &random) {
            if chance(faults / 8) { return end() }
            _ = send(.added(object))
        }
        // Changes that happened while the list was sent come before its end.
        let last = Int.random(in: revision...server.revision, using: &random)
        for event in server.events[..<(last + 1)].dropFirst(revision + 1).compactMap({ $0 }) { _ = send(event) }
        if chance(faults) { return end() }
        if send(.bookmark(resourceVersion: "\(last)", initialEventsEnd: true)) {
            connection = .watching(position: last)
        }
    }

    // MARK: A watch

    private mutating func tell(from position: Int, _ faults: Int) {
        if chance(faults) { return end() }
        if chance(faults), position > 0 {  // A server that repeats itself.
            for event in server.events[max(1, position - 3)...position].compactMap({ $0 }) {
                guard send(event) else { return }
            }
        }
        guard position < server.revision else {
            now += .seconds(20)
            if chance(30) { _ = send(.bookmark(resourceVersion: "\(position)", initialEventsEnd: false)) }
            return
        }
        if let event = server.events[position + 1] {
            guard send(event) else { return }
        } else {
            guard send(.bookmark(resourceVersion: "\(position + 1)", initialEventsEnd: false)) else { return }
        }
        connection = .watching(position: position + 1)
    }

    private mutating func send(_ event: WatchEvent) -> Bool {
        now += .milliseconds(5)
        let continuation = informer.received(event, at: now, using: &random, &pending)
        if continuation == .stop { connection = .none }
        return continuation == .goOn
    }

    private mutating func end() {
        connection = .none
        now += .milliseconds(Int.random(in: 0..<3000, using: &random))
        let expired = Status(status: "Failure", message: "too old", reason: "Expired", code: 410)
        let internalError = Status(status: "Failure", message: "oops", reason: "InternalError", code: 500)
        switch Int.random(in: 0..<7, using: &random) {
        case 0: _ = send(.error(expired))
        case 1: _ = send(.error(internalError))
        case 2: informer.ended(.silent, at: now, using: &random)
        case 3: informer.ended(.finished, at: now, using: &random)
        case 4: informer.ended(.failed(ReflectorFailure(.unreadable, "garbage")), at: now, using: &random)
        default: informer.ended(.cut(message: "cut"), at: now, using: &random)
        }
        connection = .none
    }

    // MARK: What must hold

    /// The cache is the state of the server at the version that the informer says: never a part of one.
    private func checkCache() {
        guard informer.isSynced else {
            #expect(informer.cache.objects.isEmpty)
            return
        }
        guard let revision = Int(informer.reflector.version), server.states.indices.contains(revision) else {
            Issue.record("version \(informer.reflector.version) was never told")
            return
        }
        #expect(informer.cache.objects == server.states[revision])
    }

    mutating func deliver() {
        let batch = pending.take { informer.cache.objects[$0.name] }
        guard !batch.isEmpty else { return }
        deliveries += 1
        if !batch.synced.isEmpty {
            #expect(!isSynced)
            isSynced = true
        }
        #expect(Set(batch.changes.map(\.key)).count == batch.changes.count)
        for change in batch.changes {
            let known = consumer[change.key]
            switch change {
            case .set(let object):
                #expect(known?.hasSameContent(as: object) != true, "told twice")
                let version = object.metadata.resourceVersion
                for old in [known?.metadata.resourceVersion, deleted[change.key]].compactMap({ $0 }) {
                    #expect(ResourceVersion.isOlder(old, than: version), "backwards")
                }
                consumer[change.key] = object
            case .delete(let key):
                #expect(known != nil, "deleted what was never told")
                deleted[key] = known?.metadata.resourceVersion
                consumer[key] = nil
            }
        }
        #expect(consumer.count == informer.cache.objects.count)
        for (key, object) in consumer {
            #expect(informer.cache.objects[key.name]?.hasSameContent(as: object) == true)
        }
    }

    /// Until the informer knows the server's last revision.
    mutating func settle() {
        for _ in 0..<5000 where informer.reflector.version != "\(server.revision)" { step(withFaults: false) }
        deliver()
    }
}

@Suite struct InformerSimulationTests {
    @Test(arguments: 0..<60)
    func consumersSeeStatesAndDifferences(_ seed: Int) {
        let faultPercent = [0, 3, 10, 30][seed % 4]
        var simulation = InformerSimulation(seed: UInt64(seed), faultPercent: faultPercent, streams: seed % 3 != 0)
        let delivery = Int.random(in: 2..<60, using: &simulation.random)
        for _ in 0..<1500 {
            if Int.random(in: 0..<3, using: &simulation.random) == 0 {
                simulation.server.mutate(using: &simulation.random)
            }
            if Int.random(in: 0..<150, using: &simulation.random) == 0 { simulation.server.compact() }
            simulation.step(withFaults: true)
            if Int.random(in: 0..<delivery, using: &simulation.random) == 0 { simulation.deliver() }
        }
        simulation.settle()
        #expect(simulation.informer.cache.objects == simulation.server.state)
        #expect(simulation.isSynced)
        #expect(simulation.deliveries > 3)
        if faultPercent > 0 { #expect(simulation.lists > 1) }
    }
}
