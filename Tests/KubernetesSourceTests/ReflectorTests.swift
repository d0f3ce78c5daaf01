import KubernetesAPI
import TestSupport
import Testing

@testable import KubernetesSource

/// Drives a reflector with a clock of its own.
private final class Script {
    var reflector: Reflector
    var now = ContinuousClock.now
    var random = SeededGenerator(seed: 7)

    init(_ change: (inout ReflectorSettings) -> Void = { _ in }) {
        var settings = ReflectorSettings()
        settings.watchSeconds = 400...400
        change(&settings)
        reflector = Reflector(settings: settings)
    }

    func next() -> ReflectorStep { reflector.next(at: now, using: &random) }

    /// The next step that is not to wait, and how long the waiting took.
    func nextRequest() -> (step: ReflectorStep, waited: Duration) {
        var waited = Duration.zero
        while true {
            guard case .wait(let duration) = next() else { return (next(), waited) }
            now += duration
            waited += duration
        }
    }

    func page(_ version: String, continueToken: String = "") -> Reflector.ListVerdict {
        reflector.received(page: version, continueToken: continueToken, at: now, using: &random)
    }

    func fail(_ reason: ReflectorFailure.Reason, retryAfter: Duration? = nil, _ message: String = "no") {
        reflector.failed(ReflectorFailure(reason, retryAfter: retryAfter, message), at: now, using: &random)
    }

    func bookmark(_ version: String, end: Bool = false) -> Reflector.BookmarkVerdict {
        reflector.received(bookmark: version, initialEventsEnd: end, at: now, using: &random)
    }

    func hear(_ version: String) -> Bool { reflector.received(eventAt: version) }

    func takeNotices() -> [ReflectorNotice] { reflector.takeNotices() }

    func end(_ end: WatchEnd, after duration: Duration = .seconds(2)) {
        now += duration
        reflector.ended(end, at: now, using: &random)
    }

    /// Until a watch is open from this version.
    func watch(from version: String) {
        while case .wait = next() { now += .seconds(1) }
        _ = bookmark(version, end: true)
        end(.finished)
        _ = nextRequest()
        reflector.opened()
        _ = reflector.takeNotices()
    }
}

private func streamingList(_ version: String = "") -> ReflectorStep {
    .watch(WatchQuery(resourceVersion: version, sendsInitialEvents: true, timeoutSeconds: 400))
}

private func watch(_ version: String) -> ReflectorStep {
    .watch(WatchQuery(resourceVersion: version, sendsInitialEvents: false, timeoutSeconds: 400))
}

@Suite struct ReflectorTests {
    @Test func asksInTheNamesOfTheAPI() {
        let stream = WatchQuery(resourceVersion: "", sendsInitialEvents: true, timeoutSeconds: 301)
        #expect(
            stream.parameters.map { "\($0)=\($1)" } == [
                "watch=1", "allowWatchBookmarks=true", "timeoutSeconds=301", "sendInitialEvents=true",
                "resourceVersionMatch=NotOlderThan",
            ]
        )
        let page = ListQuery(limit: 500, continueToken: "abc", resourceVersion: "7")
        #expect(page.parameters.map { "\($0)=\($1)" } == ["limit=500", "continue=abc"])
        let known = ListQuery(limit: 0, resourceVersion: "7")
        #expect(known.parameters.map { "\($0)=\($1)" } == ["resourceVersion=7", "resourceVersionMatch=NotOlderThan"])
    }

    @Test func beginsWithAStreamingListAndGoesOnWatching() {
        let script = Script()
        #expect(script.next() == streamingList())
        script.reflector.opened()
        #expect(script.hear("3"))
        #expect(script.bookmark("5") == .goOn)
        #expect(script.bookmark("9", end: true) == .complete(restored: false))
        #expect(script.hear("10"))
        #expect(script.bookmark("14") == .goOn)
        script.end(.finished)
        #expect(script.next() == watch("14"))
        #expect(script.takeNotices() == [])
    }

    @Test func listsInPagesForGoodWhereStreamingIsRefused() {
        let script = Script()
        _ = script.next()
        script.fail(.refused, "sendInitialEvents is forbidden")
        #expect(script.takeNotices() == [.pagesInstead(reason: "sendInitialEvents is forbidden")])
        #expect(script.next() == .list(ListQuery(limit: 500)))
        #expect(script.page("9", continueToken: "t1") == .more)
        #expect(script.next() == .list(ListQuery(limit: 500, continueToken: "t1")))
        #expect(script.page("9") == .complete(restored: false))
        #expect(script.next() == watch("9"))
        script.end(.failed(ReflectorFailure(.expired, "too old")))
        #expect(script.next() == .list(ListQuery(limit: 500)))
    }

    @Test func takesPagesWhereTheEndOfAStreamingListIsNotTold() {
        let script = Script()
        for _ in 0..<2 {
            #expect(script.next() == streamingList())
            script.end(.silent)
            #expect(script.next() == .list(ListQuery(limit: 500)))
            #expect(script.page("9") == .complete(restored: false))
            #expect(script.next() == watch("9"))
            script.end(.failed(ReflectorFailure(.expired, "too old")))
        }
        #expect(script.nextRequest().step == .list(ListQuery(limit: 500)))
    }

    @Test(arguments: [WatchEnd.cut(message: "cut"), .finished, .failed(ReflectorFailure(.unreadable, "garbage"))])
    func followsABrokenStreamingListByPages(_ end: WatchEnd) {
        let script = Script()
        _ = script.next()
        script.end(end)
        let (step, waited) = script.nextRequest()
        #expect(step == .list(ListQuery(limit: 500)))
        #expect(waited >= .milliseconds(800) && waited < .milliseconds(1600))
        #expect(script.page("9") == .complete(restored: false))
        _ = script.next()
        script.end(.failed(ReflectorFailure(.expired, "too old")))
        #expect(script.nextRequest().step == streamingList())
    }

    @Test func listsWithoutPagesWhenAContinueTokenExpires() {
        let script = Script()
        _ = script.next()
        script.fail(.refused)
        _ = script.next()
        _ = script.page("9", continueToken: "t1")
        _ = script.next()
        script.fail(.expired)
        #expect(script.next() == .list(ListQuery(limit: 0)))
        #expect(script.page("11") == .complete(restored: false))
        #expect(script.next() == watch("11"))
        script.end(.failed(ReflectorFailure(.expired, "too old")))
        #expect(script.next() == .list(ListQuery(limit: 500)))  // The next list has pages again.
    }

    @Test func asksForTheSamePageAgainWhenItFails() {
        let script = Script()
        _ = script.next()
        script.fail(.refused)
        _ = script.next()
        _ = script.page("9", continueToken: "t1")
        _ = script.next()
        script.fail(.other)
        #expect(script.nextRequest().step == .list(ListQuery(limit: 500, continueToken: "t1")))
    }

    @Test func refusesAListThatRepeatsItself() {
        let script = Script()
        _ = script.next()
        script.fail(.refused)
        _ = script.next()
        #expect(script.page("9", continueToken: "t1") == .more)
        _ = script.next()
        #expect(script.page("9", continueToken: "t1") == .discard)
        let (step, waited) = script.nextRequest()
        #expect(step == .list(ListQuery(limit: 500)))
        #expect(waited > .zero)
    }

    @Test func refusesAListWithoutAVersion() {
        let script = Script()
        _ = script.next()
        #expect(script.bookmark("", end: true) == .stop)
        #expect(script.nextRequest() > .milliseconds(799))
    }

    @Test func relistsAtOnceAfter410AndThenBacksOff() {
        let script = Script()
        script.watch(from: "9")
        script.end(.failed(ReflectorFailure(.expired, "too old")), after: .zero)
        #expect(script.next() == streamingList())
        #expect(script.bookmark("12", end: true) == .complete(restored: false))
        script.end(.failed(ReflectorFailure(.expired, "too old")), after: .zero)
        #expect(script.nextRequest() > .milliseconds(799))
    }

    @Test(arguments: [WatchEnd.finished, .cut(message: "cut"), .silent])
    func resumesFromTheLastVersion(_ end: WatchEnd) {
        let script = Script()
        script.watch(from: "9")
        #expect(script.hear("12"))
        script.end(end, after: .zero)
        #expect(script.next() == watch("12"))
    }

    @Test(arguments: [WatchEnd.finished, .cut(message: "cut")])
    func backsOffFromAWatchThatEndsAtOnce(_ end: WatchEnd) {
        let script = Script()
        script.watch(from: "9")
        var waits: [Duration] = []
        for _ in 0..<3 {
            script.end(end, after: .milliseconds(10))
            let (step, waited) = script.nextRequest()
            #expect(step == watch("9"))
            waits.append(waited)
        }
        #expect(waits[0] >= .milliseconds(800) && waits[1] >= .milliseconds(1600) && waits[2] >= .milliseconds(3200))
    }

    @Test func backsOffUpToHalfAMinute() {
        let script = Script()
        var waits: [Duration] = []
        for _ in 0..<12 {
            _ = script.nextRequest()
            script.fail(.other)
            guard case .wait(let duration) = script.next() else { return }
            waits.append(duration)
        }
        #expect(waits[0] >= .milliseconds(800) && waits[0] < .milliseconds(1600))
        #expect(waits.allSatisfy { $0 <= .seconds(30) })
        #expect(waits.suffix(6).allSatisfy { $0 >= .seconds(12) })
        #expect(Set(waits).count == waits.count)
    }

    @Test func comesBackWhenTheServerSays() {
        let script = Script()
        _ = script.next()
        script.fail(.other, retryAfter: .seconds(17))
        #expect(script.nextRequest() >= .seconds(17))
        script.fail(.other, retryAfter: .seconds(100_000))
        #expect(script.nextRequest() < .seconds(140))
    }

    @Test func tellsOfAFailureOnce() {
        let script = Script()
        for _ in 0..<5 {
            _ = script.nextRequest()
            script.fail(.other, "403 forbidden")
        }
        _ = script.nextRequest()
        script.fail(.other, "cannot be reached")
        _ = script.nextRequest()
        #expect(script.bookmark("9", end: true) == .complete(restored: false))
        let told = script.takeNotices().map { notice in
            if case .failing(let message, _) = notice { message } else { "\(notice)" }
        }
        #expect(told == ["403 forbidden", "cannot be reached", "recovered"])
    }

    @Test func doesNotGoBackInAWatch() {
        let script = Script()
        script.watch(from: "9")
        #expect(script.hear("11"))
        #expect(!script.hear("10"))
        #expect(script.hear("11"))
        #expect(script.reflector.version == "11")
    }

    @Test func doesNotBelieveAServerThatLagsBehind() {
        let script = Script()
        script.watch(from: "90")
        script.end(.failed(ReflectorFailure(.expired, "too old")))
        #expect(script.next() == streamingList())
        #expect(script.bookmark("80", end: true) == .stop)
        #expect(script.nextRequest().step == streamingList("90"))
        script.fail(.versionTooLarge, retryAfter: .seconds(1))
        #expect(script.nextRequest().step == streamingList())
        #expect(script.bookmark("95", end: true) == .complete(restored: false))
        #expect(script.reflector.version == "95")
    }

    @Test func believesAnOlderStateThatStays() {
        let script = Script { $0.lagTolerance = .seconds(60) }
        script.watch(from: "90")
        script.end(.failed(ReflectorFailure(.expired, "too old")))
        let start = script.now
        var verdict = Reflector.BookmarkVerdict.stop
        while verdict == .stop {
            if script.nextRequest().step == streamingList() {
                verdict = script.bookmark("80", end: true)
            } else {
                script.fail(.versionTooLarge, retryAfter: .seconds(1))
            }
        }
        #expect(verdict == .complete(restored: true))
        #expect(start.duration(to: script.now) >= .seconds(60))
        #expect(start.duration(to: script.now) < .seconds(180))
        #expect(script.reflector.version == "80")
    }

    @Test func asksAnewWhenAWatchIsBehindItsOwnStart() {
        let script = Script()
        script.watch(from: "90")
        #expect(script.bookmark("70") == .stop)
        #expect(script.nextRequest().step == streamingList())
    }

    @Test func listsAnewWhenWatchesStaySilentOrUnreadable() {
        for end in [WatchEnd.silent, .failed(ReflectorFailure(.unreadable, "garbage"))] {
            let script = Script { $0.fruitlessWatches = 3 }
            script.watch(from: "9")
            for _ in 0..<2 {
                script.end(end)
                #expect(script.nextRequest().step == watch("9"))
            }
            script.end(end)
            #expect(script.nextRequest().step == streamingList())
        }
    }

    @Test(arguments: [
        ("9", "10", true), ("10", "9", false), ("10", "10", false),
        ("99999999999999999999", "100000000000000000000", true),
        ("", "1", false), ("abc", "abd", false), ("1a", "2", false), ("007", "8", false), ("0", "1", true),
    ])
    func comparesVersions(_ left: String, _ right: String, _ isOlder: Bool) {
        #expect(ResourceVersion.isOlder(left, than: right) == isOlder)
    }
}

private func > (left: (step: ReflectorStep, waited: Duration), right: Duration) -> Bool { left.waited > right }
private func >= (left: (step: ReflectorStep, waited: Duration), right: Duration) -> Bool { left.waited >= right }
private func < (left: (step: ReflectorStep, waited: Duration), right: Duration) -> Bool { left.waited < right }
