import ClusterClient
import Foundation
import Glibc
import NetworkTypes
import Synchronization
import TestSupport
import Testing

@testable import EtcdStore

/// Watches whose stream ends in ways that a real etcd, or one that hangs, makes it end.
@Suite struct WatchTests {
    private func handle(_ event: RecordEvent?) -> RecordKey? {
        if case .put(let record) = event { record.key } else { nil }
    }

    @Test func aWatchGoesOnAfterARestart() async throws {
        let server = try await EtcdServer()
        let store = try store(server.endpoint)
        _ = try await store.commit([.create(.handle("a"), empty)])
        var events = store.watch(.collection(.handles)).makeAsyncIterator()
        guard case .snapshot(let records) = try await events.next() else {
            Issue.record("no snapshot")
            return
        }
        #expect(records.count == 1)
        for round in 0..<3 {
            server.stop()
            try await server.start()
            // What is written while the watch is not there yet is told all the same, and once.
            for index in 0..<5 { _ = try await store.commit([.create(.handle("r\(round)-\(index)"), empty)]) }
            for index in 0..<5 { #expect(try await handle(events.next()) == .handle("r\(round)-\(index)")) }
        }
    }

    /// The history is gone when the watch comes back: a new snapshot takes the place of what was missed.
    @Test func aWatchStartsOverAfterACompaction() async throws {
        let server = try await EtcdServer()
        let store = try store(server.endpoint)
        let revision = try #require(try await store.commit([.create(.handle("a"), empty)]).first ?? nil)
        // A watch that cannot reach etcd while things happen there: its proxy is deaf.
        let isDeaf = Flag()
        let proxy = try await ScriptedServer { request in
            if isDeaf.isSet { return .cut }
            if request.path == "/v3/watch" {
                isDeaf.set(true)
                return .cut
            }
            let body = Array(request.body.readableBytesView)
            guard let answer = try? await store.client.send(request.path, body) else { return .cut }
            return .answer(200, Array(answer.body.readableBytesView))
        }
        let watched = try EtcdDatastore(configuration(proxy.endpoint, server.endpoint), logger: quiet)
        var events = watched.watch(.collection(.handles)).makeAsyncIterator()
        guard case .snapshot = try await events.next() else {
            Issue.record("no snapshot")
            return
        }
        // The second endpoint is the real one, so what decides is that the start is compacted by then or not: both are
        // allowed, and in the end the copy is right.
        _ = try await store.commit([.delete(.handle("a"), revision)])
        let last = try #require(try await store.commit([.create(.handle("b"), empty)]).first ?? nil)
        try await store.call("/v3/kv/compaction", #"{"revision":"\#(last)"}"#)
        var copy: Set<RecordKey> = [.handle("a")]
        while copy != [.handle("b")] {
            switch try #require(try await events.next()) {
            case .snapshot(let records): copy = Set(records.map(\.key))
            case .put(let record): copy.insert(record.key)
            case .removed(let key): copy.remove(key)
            }
        }
    }

    /// Compacted for certain: a stream that asks for an old revision.
    @Test func aCompactedStartIsToldAsSuch() async throws {
        let server = try await EtcdServer()
        let store = try store(server.endpoint)
        let snapshots = Flag()
        let proxy = try await proxy(to: server) { request, reply in
            // The first read claims to be older than it is.
            guard request.path == "/v3/kv/range", !snapshots.isSet, case .answer(let status, let bytes) = reply else {
                return reply
            }
            snapshots.set(true)
            let text = String(decoding: bytes, as: UTF8.self)
            let old = text.replacing(/"revision":"\d+"/, with: #""revision":"1""#)
            return .answer(status, Array(old.utf8))
        }
        for index in 0..<5 { _ = try await store.commit([.create(.handle("h\(index)"), empty)]) }
        try await store.call("/v3/kv/compaction", #"{"revision":"5"}"#)
        // The stream itself goes to etcd, which the proxy does not pass on.
        let relay = try await ScriptedServer { request in
            if request.path == "/v3/watch" { return .cut }
            guard let address = try? EtcdConfiguration(environment: ["ETCD_ENDPOINTS": proxy.endpoint]),
                let client = try? EtcdDatastore(address, logger: quiet).client,
                let answer = try? await client.send(request.path, Array(request.body.readableBytesView))
            else { return .cut }
            return .answer(200, Array(answer.body.readableBytesView))
        }
        let watched = try EtcdDatastore(configuration(relay.endpoint, server.endpoint), logger: quiet)
        var events = watched.watch(.collection(.handles)).makeAsyncIterator()
        for _ in 0..<2 {
            guard case .snapshot(let records) = try await events.next() else {
                Issue.record("no snapshot")
                return
            }
            #expect(records.count == 5)
        }
        _ = try await store.commit([.create(.handle("new"), empty)])
        #expect(try await handle(events.next()) == .handle("new"))
    }

    /// A server that hangs with its connections open is noticed by its silence.
    @Test func aSilentServerIsNoticed() async throws {
        let server = try await EtcdServer()
        let writer = try store(server.endpoint)
        let silent = try await ScriptedServer { request in
            if request.path == "/v3/watch" { return .silence }
            guard let answer = try? await writer.client.send(request.path, Array(request.body.readableBytesView)) else {
                return .cut
            }
            return .answer(200, Array(answer.body.readableBytesView))
        }
        let store = try EtcdDatastore(
            configuration(silent.endpoint, server.endpoint),
            prefix: "/calico",
            silenceLimit: .milliseconds(300),
            logger: quiet
        )
        var events = store.watch(.collection(.handles)).makeAsyncIterator()
        #expect(try await events.next() == .snapshot([]))
        _ = try await writer.commit([.create(.handle("a"), empty)])
        #expect(try await handle(events.next()) == .handle("a"))

        // Now the real one hangs in the middle of a stream. After some more silence it is all told, once.
        server.signal(SIGSTOP)
        try await Task.sleep(for: .milliseconds(700))
        server.signal(SIGCONT)
        for index in 0..<3 { _ = try await writer.commit([.create(.handle("b\(index)"), empty)]) }
        for index in 0..<3 { #expect(try await handle(events.next()) == .handle("b\(index)")) }
    }

    /// A watch that is opened anew again and again while others write tells everything once.
    @Test func nothingIsLostBetweenStreams() async throws {
        let server = try await SharedEtcd.server()
        let prefix = "/test-\(UUID().uuidString)"
        let store = try EtcdDatastore(
            configuration(server.endpoint),
            prefix: prefix,
            silenceLimit: .milliseconds(5),
            logger: quiet
        )
        var events = store.watch(.collection(.handles)).makeAsyncIterator()
        #expect(try await events.next() == .snapshot([]))
        let writer = Task {
            for index in 0..<100 {
                _ = try await store.commit([
                    .create(.handle("a\(index)"), empty), .create(.handle("b\(index)"), empty),
                ])
            }
        }
        var seen: [RecordKey] = []
        while seen.count < 200 { seen.append(try #require(try await handle(events.next()))) }
        #expect(Set(seen).count == 200)
        for index in 0..<100 {
            #expect(Set(seen[2 * index..<2 * index + 2]) == [.handle("a\(index)"), .handle("b\(index)")])
        }
        try await writer.value
    }

    private final class Flag: Sendable {
        private let value = Mutex(false)
        var isSet: Bool { value.withLock { $0 } }
        func set(_ isSet: Bool) { value.withLock { $0 = isSet } }
    }
}
