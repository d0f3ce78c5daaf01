import JSON
import Synchronization
import TestAPIServer
import Testing

@testable import KubernetesClient

extension JSONValue {
    fileprivate var fields: JSONObject? {
        guard case .object(let object) = self else { return nil }
        return object
    }
}

@Suite(.timeLimit(.minutes(1))) struct EventRecorderTests {
    private let event = Event(
        regarding: .init(kind: "Node", name: "n", uid: "n"),
        type: .warning,
        reason: "FailedToStartMetricServer",
        action: "StartKubeProxy",
        note: "no port"
    )

    private func recorder(_ client: KubernetesClient) -> EventRecorder {
        EventRecorder(
            client: client,
            controller: "swiftlet-proxy",
            instance: "n",
            pause: .milliseconds(5),
            logger: LogRecord().logger()
        )
    }

    @Test func aFlushWaitsUntilEventsAreWritten() async throws {
        let server = try await TestAPIServer()
        let client = try kubernetesClient(server)
        let recorder = recorder(client)
        recorder.record(event)
        let run = Task { await recorder.run() }
        await recorder.flush(within: .seconds(10))
        let bytes = try await client.list(.events, namespace: "default")
        let list = try #require(JSONValue(parsing: Array(bytes.readableBytesView).span).fields)
        let stored = try #require(list.objects("items").first)
        #expect(stored.object("regarding")?.text("uid") == "n")
        #expect(stored.text("action") == "StartKubeProxy")
        run.cancel()
        await client.shutdown()
        await server.stop()
    }

    @Test func aFlushEndsWithoutAServerToo() async throws {
        let server = try await TestAPIServer()
        let client = try kubernetesClient(server)
        await server.stop()
        let recorder = recorder(client)
        for _ in 0...EventRecorder.queueLimit { recorder.record(event) }
        let run = Task { await recorder.run() }
        let start = ContinuousClock.now
        await recorder.flush(within: .milliseconds(50))
        #expect(ContinuousClock.now - start < .seconds(5))
        run.cancel()
        await client.shutdown()
    }

    @Test func eventsWaitForAServerThatIsAway() async throws {
        let server = try await TestAPIServer()
        let client = try kubernetesClient(server)
        _ = server.addFault(FaultRule(.status(503), method: "POST", count: 3))
        let recorder = recorder(client)
        let run = Task { await recorder.run() }
        recorder.record(event)
        await recorder.flush(within: .seconds(20))
        let bytes = try await client.list(.events, namespace: "default")
        let list = try #require(JSONValue(parsing: Array(bytes.readableBytesView).span).fields)
        #expect(list.objects("items").count == 1)
        run.cancel()
        await client.shutdown()
        await server.stop()
    }

    @Test func everyTryOfARequestIsObserved() async throws {
        let outcomes = Mutex<[RequestOutcome]>([])
        let server = try await TestAPIServer()
        let address = try #require(kubernetesClient(server).configuration.servers.first)
        let client = try kubernetesClient(server) { outcome in outcomes.withLock { $0.append(outcome) } }
        _ = server.addFault(FaultRule(.status(503, retryAfter: 0)))
        _ = try await client.list(.services)
        await server.stop()
        _ = await failure { try await client.list(.services) }
        let seen = outcomes.withLock { $0 }
        #expect(seen.prefix(2).map(\.code) == [503, 200])
        #expect(seen.last?.code == nil)
        #expect(Set(seen.map(\.method)) == ["GET"])
        #expect(Set(seen.map(\.host)) == ["\(address.host):\(address.port)"])
        await client.shutdown()
    }
}
