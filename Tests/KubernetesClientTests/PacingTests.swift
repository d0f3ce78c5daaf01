import KubernetesAPI
import TestSupport
import Testing

@testable import KubernetesClient

struct PacingTests {
    @Test func waitsGrowToTheirLimitAndBeginAgain() {
        var backoff = Backoff(initial: .seconds(1), factor: 2, limit: .seconds(5), jitter: 0)
        #expect((0..<5).map { _ in backoff.step() } == [1, 2, 4, 5, 5].map { .seconds($0) })
        backoff.reset()
        #expect(backoff.step() == .seconds(1))
    }

    @Test func jitterOnlyAdds() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<100 {
            var backoff = Backoff(initial: .seconds(1), jitter: 0.5)
            let wait = backoff.step(using: &generator)
            #expect(wait >= .seconds(1) && wait <= .milliseconds(1500))
        }
    }

    @Test func aBurstIsFreeAndThenTheRateCounts() {
        let start = ContinuousClock.now
        var bucket = TokenBucket(RateLimit(qps: 2, burst: 3), now: start)
        let far = start + .seconds(100)
        #expect((0..<3).map { _ in bucket.take(now: start, deadline: far) } == [.zero, .zero, .zero])
        #expect(bucket.take(now: start, deadline: far) == .milliseconds(500))
        #expect(bucket.take(now: start, deadline: far) == .seconds(1))
        #expect(bucket.take(now: start, deadline: start + .seconds(1)) == nil)
        #expect(bucket.take(now: start, deadline: far) == .milliseconds(1500))
        #expect(bucket.take(now: start + .seconds(60), deadline: far) == .zero)
    }

    @Test(arguments: [
        (KubernetesError(.tooManyRequests, ""), true, true),
        (KubernetesError(.unavailable, "", code: 503), false, false),
        (KubernetesError(.unavailable, "", retryAfter: .zero, code: 503), true, true),
        (KubernetesError(.unavailable, "", retryAfter: .zero, code: 504), false, false),
        (KubernetesError(.transport(.unreachable), ""), true, true),
        (KubernetesError(.transport(.cut), ""), false, true),
        (KubernetesError(.transport(.handshake), ""), false, false), (KubernetesError(.conflict, ""), false, false),
        (KubernetesError(.transport(.timeout), ""), false, false),
    ])
    func whatIsTriedAgain(_ failure: KubernetesError, _ write: Bool, _ read: Bool) {
        for (isSafe, expected) in [(false, write), (true, read)] {
            var retries = Retries(isSafeToRepeat: isSafe)
            let waits = (0..<10).map { _ in retries.wait(after: failure) }
            #expect(waits.count { $0 != nil } == (expected ? Retries.limit : 0))
        }
    }

    @Test func aSeriesIsWrittenAtItsSecondEventAndAtItsEnd() {
        var series = EventSeries(EventReporter(controller: "c", instance: "i"))
        let event = Event(
            regarding: .init(kind: "Node", name: "n"),
            type: .normal,
            reason: "R",
            action: "A",
            note: String(repeating: "é", count: 600)
        )
        let start = Timestamp("2026-01-01T00:00:00.5Z") ?? .now
        var writes = (0..<5).map { series.record(event, now: start + .seconds($0)) }
        guard case .create(let made)? = writes[0], case .patch(let second)? = writes[1] else {
            Issue.record("\(writes)")
            return
        }
        #expect(writes[2...].allSatisfy { $0 == nil })
        #expect(made.count == 1 && second.count == 2 && second.name == made.name && made.namespace == "default")
        #expect(series.due(now: start + .seconds(60)).isEmpty)
        guard case .patch(let last)? = series.due(now: start + .seconds(365)).first else {
            Issue.record("the end of the series was not written")
            return
        }
        #expect(last.count == 5)
        #expect(last.patch.text() == #"{"series":{"count":5,"lastObservedTime":"2026-01-01T00:00:04.500000Z"}}"#)
        #expect(series.due(now: start + .seconds(9999)).isEmpty)
        writes = [series.record(event, now: start + .seconds(400))]
        guard case .create? = writes[0] else {
            Issue.record("\(writes)")
            return
        }
        #expect(made.object.text().utf8.count < 1500)
    }

    @Test(arguments: [
        (#"299 - "v1 Endpoints is deprecated""#, ["v1 Endpoints is deprecated"]),
        (#"299 - "a \"b\"", 299 x "c""#, ["a \"b\"", "c"]), (#"199 - "other""#, []), (#"299 - "open"#, []), ("", []),
    ])
    func warningsAreRead(_ header: String, _ expected: [String]) {
        #expect(Warnings.texts(header) == expected)
    }

    @Test func whatGoesIntoAPathIsEncoded() {
        var request = ResourceRequest(.GET, .services, namespace: "a/b", name: "..", query: [("x y", "a=b&c")])
        #expect(request.target == "/api/v1/namespaces/a%2Fb/services/%2E%2E?x%20y=a%3Db%26c")
        request = ResourceRequest(.PATCH, .pods, namespace: "n", name: "p", subresource: "status")
        #expect(request.target == "/api/v1/namespaces/n/pods/p/status")
        #expect(request.summary == "patch pods/status \"n/p\"")
    }
}
