import ClusterClient
import KubernetesAPI
import KubernetesWire
import TestSupport
import Testing

@testable import KubernetesSource

/// An informer whose watch is open, and what it has to tell.
private final class OpenInformer {
    var informer = Informer(.endpointSlice, objectLimit: 100)
    var pending = PendingChanges()
    var random = SeededGenerator(seed: 1)
    let now = ContinuousClock.now

    init(_ objects: [KubernetesObject] = [], version: String = "10") {
        _ = informer.next(at: now, using: &random)
        for object in objects { send(.added(object)) }
        send(.bookmark(resourceVersion: version, initialEventsEnd: true))
    }

    @discardableResult
    func send(_ event: WatchEvent) -> Informer.Continuation {
        informer.received(event, at: now, using: &random, &pending)
    }

    func take() -> ObjectBatch { pending.take { informer.cache.objects[$0.name] } }

    /// Ends the watch because its version is gone, and begins a streaming list.
    func beginListAnew() {
        send(.error(Status(status: "Failure", message: "too old", reason: "Expired", code: 410)))
        var now = now
        while case .wait(let duration) = informer.next(at: now, using: &random) { now += duration }
    }

    func skipped(_ name: String, version: String) -> WatchEvent {
        .skipped(
            SkippedObject(
                key: .slice(name),
                resourceVersion: version,
                reason: FieldError("endpoints", 0, reason: "is wrong")
            )
        )
    }
}

@Suite struct InformerTests {
    @Test func saysNothingBeforeTheListIsComplete() {
        let open = OpenInformer()
        #expect(open.take() == ObjectBatch(synced: [.endpointSlice]))
        open.beginListAnew()
        open.send(.added(.slice("a", version: "11")))
        #expect(open.take().isEmpty)
        open.send(.bookmark(resourceVersion: "12", initialEventsEnd: true))
        #expect(open.take() == ObjectBatch(changes: [.set(.slice("a", version: "11"))]))
    }

    @Test func tellsOnlyDifferencesOfANewList() {
        let open = OpenInformer([.slice("a", version: "1"), .slice("b", version: "2"), .slice("c", version: "3")])
        _ = open.take()
        open.beginListAnew()
        open.send(.added(.slice("c", "new", version: "12")))
        open.send(.added(.slice("d", version: "13")))
        open.send(.added(.slice("a", version: "1")))
        open.send(.deleted(.slice("d"), resourceVersion: "14"))
        #expect(open.take().isEmpty)
        open.send(.bookmark(resourceVersion: "14", initialEventsEnd: true))
        #expect(open.take().changes == [.delete(.slice("b")), .set(.slice("c", "new", version: "12"))])
    }

    @Test func forgetsAListThatBreaksOff() {
        let open = OpenInformer([.slice("a", version: "1")])
        _ = open.take()
        open.beginListAnew()
        open.send(.added(.slice("b", version: "12")))
        open.informer.ended(.cut(message: "cut"), at: open.now, using: &open.random)
        #expect(open.take().isEmpty)
        #expect(Array(open.informer.cache.objects.values) == [.slice("a", version: "1")])
    }

    @Test func mergesWhatASlowConsumerHasNotTaken() {
        let open = OpenInformer([.slice("a", version: "1"), .slice("b", version: "2")])
        _ = open.take()
        open.send(.modified(.slice("a", "x", version: "11")))
        open.send(.added(.slice("c", version: "12")))
        open.send(.modified(.slice("b", "x", version: "13")))
        open.send(.deleted(.slice("c"), resourceVersion: "14"))
        open.send(.modified(.slice("b", version: "15")))
        open.send(.modified(.slice("a", "y", version: "16")))
        #expect(open.take().changes == [.set(.slice("a", "y", version: "16"))])
        #expect(open.take().isEmpty)
    }

    @Test func tellsAReplacedObjectByItsUID() {
        let open = OpenInformer([.slice("a", version: "1", uid: "u1")])
        _ = open.take()
        open.send(.deleted(.slice("a"), resourceVersion: "11"))
        open.send(.added(.slice("a", version: "12", uid: "u2")))
        #expect(open.take().changes == [.set(.slice("a", version: "12", uid: "u2"))])
    }

    @Test func doesNotTellWhatNobodyReads() {
        let open = OpenInformer([.slice("a", version: "1")])
        _ = open.take()
        open.send(.modified(.slice("a", version: "11")))
        #expect(open.take().isEmpty)
        #expect(open.informer.cache.objects[ObjectKey.slice("a").name]?.metadata.resourceVersion == "11")
    }

    @Test func ignoresWhatIsOldOrRepeated() {
        let open = OpenInformer([.slice("a", "x", version: "5")], version: "10")
        _ = open.take()
        open.send(.modified(.slice("a", "old", version: "4")))
        open.send(.added(.slice("gone", version: "7")))
        open.send(.deleted(.slice("a"), resourceVersion: "3"))
        open.send(.added(.slice("a", "x", version: "5")))
        #expect(open.take().isEmpty)
        #expect(open.informer.reflector.version == "10")
        #expect(open.informer.takeNotices().objects.count == 3)
    }

    @Test func keepsTheLastGoodStateOfAnObjectThatBecomesUnusable() {
        let open = OpenInformer([.slice("a", version: "1")])
        _ = open.take()
        open.send(open.skipped("a", version: "11"))
        open.send(open.skipped("new", version: "12"))
        #expect(open.take().isEmpty)
        #expect(open.informer.reflector.version == "12")
        open.beginListAnew()
        open.send(open.skipped("a", version: "11"))
        open.send(open.skipped("new", version: "12"))
        open.send(.bookmark(resourceVersion: "13", initialEventsEnd: true))
        #expect(open.take().isEmpty)
        open.send(open.skipped("a", version: "14"))
        let told = open.informer.takeNotices().objects.map { notice in
            if case .unusable(let object, let isKept) = notice {
                "\(object.key?.name.name ?? "") \(object.resourceVersion) \(isKept)"
            } else {
                ""
            }
        }
        #expect(told == ["a 11 true", "new 12 false", "a 14 true"])
        open.send(.deleted(.slice("a"), resourceVersion: "15"))
        #expect(open.take().changes == [.delete(.slice("a"))])
    }

    @Test func refusesAServerThatNeverStopsListing() {
        let open = OpenInformer()
        _ = open.take()
        open.beginListAnew()
        var continuation = Informer.Continuation.goOn
        for index in 0..<200 where continuation == .goOn {
            continuation = open.send(.added(.slice("s\(index)", version: "\(index)")))
        }
        #expect(continuation == .stop)
        #expect(open.informer.cache.incomingCount == 0)
        #expect(open.take().isEmpty)
    }

    @Test func startsFromASnapshotAndTellsTheDifferences() {
        var informer = Informer(.endpointSlice)
        var pending = PendingChanges()
        var random = SeededGenerator(seed: 1)
        let now = ContinuousClock.now
        informer.adopt([.slice("a", version: "1"), .slice("b", version: "2")], version: "10", &pending)
        let first = pending.take { informer.cache.objects[$0.name] }
        #expect(Set(first.changes) == [.set(.slice("a", version: "1")), .set(.slice("b", version: "2"))])
        #expect(first.synced == [.endpointSlice])
        #expect(!informer.isSynced)
        _ = informer.next(at: now, using: &random)
        for event: WatchEvent in [
            .added(.slice("b", version: "2")), .added(.slice("c", version: "11")),
            .bookmark(resourceVersion: "12", initialEventsEnd: true),
        ] { _ = informer.received(event, at: now, using: &random, &pending) }
        let second = pending.take { informer.cache.objects[$0.name] }
        #expect(second == ObjectBatch(changes: [.delete(.slice("a")), .set(.slice("c", version: "11"))]))
        #expect(informer.isSynced)
        informer.adopt([.slice("z", version: "1")], version: "10", &pending)
        #expect(pending.isEmpty)
    }
}
