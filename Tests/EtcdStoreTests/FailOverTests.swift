import ClusterClient
import Foundation
import NetworkTypes
import Synchronization
import TestSupport
import Testing

@testable import EtcdStore

/// Members that are gone, hang or have no leader, and answers that get lost.
@Suite struct FailOverTests {
    enum Trouble: CaseIterable {
        case refused, hangs, cuts, hasNoLeader
    }

    @Test(arguments: Trouble.allCases, [true, false])
    func anotherMemberTakesOver(_ trouble: Trouble, _ isFirst: Bool) async throws {
        let server = try await SharedEtcd.server()
        let bad = try await ScriptedServer { _ in
            switch trouble {
            case .refused, .hangs: .silence
            case .cuts: .cut
            case .hasNoLeader: .json(#"{"error":"etcdserver: no leader","code":14}"#, status: 503)
            }
        }
        let endpoint = trouble == .refused ? "http://127.0.0.1:\(try EtcdServer.freePort())" : bad.endpoint
        var configuration = try configuration(isFirst ? endpoint : server.endpoint)
        configuration.endpoints += try EtcdConfiguration(
            environment: ["ETCD_ENDPOINTS": isFirst ? server.endpoint : endpoint]
        ).endpoints
        let store = try EtcdDatastore(configuration, prefix: "/test-\(UUID().uuidString)", logger: quiet)
        let start = ContinuousClock.now
        _ = try await store.commit([.create(.handle("a"), empty)])
        #expect(try await store.keys(.handles) == [.handle("a")])
        try await store.health()
        #expect(start.duration(to: .now) < .seconds(6))
        // Whoever answered is asked first from then on.
        #expect(bad.requests.count <= 1)
        var events = store.watch(.collection(.handles)).makeAsyncIterator()
        _ = try await events.next()
        _ = try await store.commit([.create(.handle("b"), empty)])
        #expect(try await events.next() != nil)
    }

    @Test func nobodyAtAllIsReportedInTime() async throws {
        let ports = try (0..<2).map { _ in "http://127.0.0.1:\(try EtcdServer.freePort())" }
        let store = try store(ports[0], ports[1], timeLimit: .seconds(2))
        let start = ContinuousClock.now
        let error = try await storeError { try await store.health() }
        #expect(error.reason == .unavailable && ports.contains { error.message.contains($0) })
        #expect(start.duration(to: .now) < .seconds(2))
    }

    /// A transaction that was done although nobody heard of it is not done again, and is recognised.
    @Test func aCommitWhoseAnswerWasLostIsRecognised() async throws {
        let server = try await SharedEtcd.server()
        let isLossy = Mutex(false)
        let proxy = try await proxy(to: server) { request, reply in
            let isLost = isLossy.withLock { isLossy in
                defer { isLossy = false }
                return isLossy && request.path == "/v3/kv/txn"
            }
            return isLost ? .cut : reply
        }
        let store = try EtcdDatastore(
            configuration(proxy.endpoint),
            prefix: "/test-\(UUID().uuidString)",
            logger: quiet
        )
        func lossy(_ changes: [RecordChange]) async throws -> [Revision?] {
            let before = proxy.requests.count
            isLossy.withLock { $0 = true }
            let revisions = try await store.commit(changes)
            #expect(proxy.requests.count == before + 2)
            return revisions
        }
        let created = try await lossy([.create(.handle("a"), empty), .create(.handle("b"), empty)])
        #expect(try await store.list(.handles).map(\.revision) == created.compactMap { $0 })
        let first = try #require(created[0])
        let second = try #require(created[1])
        let changed = try await lossy([.update(.handle("a"), Data("1".utf8), first), .delete(.handle("b"), second)])
        #expect(try await store.list(.handles).map(\.revision) == changed.compactMap { $0 })
        #expect(try await lossy([.delete(.handle("a"), try #require(changed[0]))]) == [nil])
        #expect(try await store.list(.handles).isEmpty)
    }

    /// A rival wrote after our lost commit: whether it was done cannot be told, and is not.
    @Test(arguments: [true, false])
    func aLostCommitThatWasOverwrittenIsUnknown(_ isDone: Bool) async throws {
        let server = try await SharedEtcd.server()
        let prefix = "/test-\(UUID().uuidString)"
        let rival = try EtcdDatastore(configuration(server.endpoint), prefix: prefix, logger: quiet)
        let key = RecordKey.handle("a")
        let created = try #require(try await rival.commit([.create(key, empty)]).first ?? nil)
        let isFirst = Mutex(true)
        let address = server.endpoint
        let target = try EtcdDatastore(configuration(address), prefix: prefix, logger: quiet)
        let proxy = try await ScriptedServer { request in
            let isOurs = isFirst.withLock { isFirst in
                defer { isFirst = false }
                return isFirst
            }
            if !isOurs || isDone {
                let answer = try? await target.client.send(request.path, Array(request.body.readableBytesView))
                if !isOurs { return answer.map { .answer(200, Array($0.body.readableBytesView)) } ?? .cut }
            }
            if let record = try? await rival.get(key) {
                _ = try? await rival.commit([.update(key, Data("2".utf8), record.revision)])
            }
            return .cut
        }
        let store = try EtcdDatastore(configuration(proxy.endpoint), prefix: prefix, logger: quiet)
        let error = try await storeError { try await store.commit([.update(key, Data("1".utf8), created)]) }
        #expect(error.reason == .unavailable && error.key == key)
        #expect(try await rival.get(key)?.value == Data("2".utf8))
    }
}
