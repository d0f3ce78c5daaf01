import ClusterClient
import Foundation
import NetworkTypes
import Synchronization
import TestSupport
import Testing

/// What every store owes those who watch it.
@Suite struct WatchConformance {
    private static let limit = Duration.seconds(20)

    /// Applies events as a consumer does, and complains about an older state after a newer one.
    private struct Copy {
        var records: [RecordKey: Record] = [:]
        var snapshots = 0

        mutating func apply(_ event: RecordEvent) {
            switch event {
            case .snapshot(let records):
                #expect(records.map(\.key) == records.map(\.key).sorted())
                self.records = Dictionary(uniqueKeysWithValues: records.map { ($0.key, $0) })
                snapshots += 1
            case .put(let record):
                #expect(records[record.key]?.revision != record.revision)
                records[record.key] = record
            case .removed(let key):
                #expect(records.removeValue(forKey: key) != nil)
            }
        }
    }

    /// The copy once it has what is wanted; `nil` when the time is up.
    private func copy(_ watch: RecordWatch, until isDone: @escaping @Sendable (Copy) -> Bool) async throws -> Copy? {
        try await withThrowingTaskGroup(of: Copy?.self) { group in
            group.addTask {
                var copy = Copy()
                for try await event in watch {
                    copy.apply(event)
                    if isDone(copy) { return copy }
                }
                return nil
            }
            group.addTask {
                try await Task.sleep(for: Self.limit)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }

    @Test(arguments: StoreUnderTest.allCases)
    func aWatchTellsWhatThereIsAndWhatComes(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let store = instance.store
        let first = try #require(try await store.commit([.create(.handle("a"), Data("{}".utf8))]).first ?? nil)
        _ = try await store.commit([.create(.resource(.ipPools, name: "other"), Data("{}".utf8))])
        var events = store.watch(.collection(.handles)).makeAsyncIterator()
        let a = Record(key: .handle("a"), value: Data("{}".utf8), revision: first)
        #expect(try await events.next() == .snapshot([a]))

        let second = try #require(try await store.commit([.create(.handle("b"), Data("{\"b\":1}".utf8))]).first ?? nil)
        #expect(
            try await events.next() == .put(Record(key: .handle("b"), value: Data("{\"b\":1}".utf8), revision: second))
        )
        _ = try await store.commit([.create(.resource(.ipPools, name: "another"), Data("{}".utf8))])
        let third = try #require(
            try await store.commit([.update(.handle("a"), Data("{\"a\":1}".utf8), first)]).first ?? nil
        )
        #expect(
            try await events.next() == .put(Record(key: .handle("a"), value: Data("{\"a\":1}".utf8), revision: third))
        )
        _ = try await store.commit([.delete(.handle("b"), second)])
        #expect(try await events.next() == .removed(.handle("b")))
        withExtendedLifetime(instance) {}
    }

    @Test(arguments: StoreUnderTest.allCases)
    func aSingleRecordCanBeWatched(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let store = instance.store
        var events = store.watch(.record(.ipamConfiguration)).makeAsyncIterator()
        #expect(try await events.next() == .snapshot([]))
        _ = try await store.commit([.create(.handle("x"), Data("{}".utf8))])
        let revision = try #require(try await store.commit([.create(.ipamConfiguration, Data("1".utf8))]).first ?? nil)
        #expect(
            try await events.next()
                == .put(Record(key: .ipamConfiguration, value: Data("1".utf8), revision: revision))
        )
        _ = try await store.commit([.delete(.ipamConfiguration, revision)])
        #expect(try await events.next() == .removed(.ipamConfiguration))
        withExtendedLifetime(instance) {}
    }

    /// Several writers and a watch that begins in the middle: no gap, and the end is the same.
    @Test(arguments: StoreUnderTest.allCases)
    func aWatchEndsWithWhatTheStoreHas(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let last = RecordKey.handle("last")
        async let copies = [copy(instance.another().watch(.collection(.handles))) { $0.records[last] != nil }]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                let store = try instance.another()
                group.addTask {
                    var random = SeededGenerator(seed: UInt64(writer))
                    for _ in 0..<40 {
                        let key = RecordKey.handle("h\(Int.random(in: 0..<6, using: &random))")
                        let value = Data("{\"n\":\(random.next())}".utf8)
                        let change: RecordChange =
                            switch try await store.get(key) {
                            case nil: .create(key, value)
                            case let record? where Int.random(in: 0..<3, using: &random) == 0:
                                .delete(key, record.revision)
                            case let record?: .update(key, value, record.revision)
                            }
                        do throws(DatastoreError) {
                            _ = try await store.commit([change])
                        } catch {
                            guard [.conflict, .notFound, .alreadyExists].contains(error.reason) else { throw error }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        let late = instance.store.watch(.collection(.handles))
        _ = try await instance.store.commit([.create(last, Data("{}".utf8))])
        let records = try await instance.store.list(.handles)
        for copy in try await copies + [copy(late) { $0.records[last] != nil }] {
            #expect(try #require(copy).records.values.sorted { $0.key < $1.key } == records)
            #expect(copy?.snapshots == 1)
        }
        withExtendedLifetime(instance) {}
    }

    @Test(arguments: StoreUnderTest.allCases.filter { $0.refuses(.handle("")) })
    func aWatchOfWhatCannotBeThrows(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        var events = instance.store.watch(.record(.handle(""))).makeAsyncIterator()
        await #expect(throws: DatastoreError.self) { _ = try await events.next() }
        withExtendedLifetime(instance) {}
    }

    @Test(arguments: StoreUnderTest.allCases)
    func aWatchEndsWithItsTask(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let watch = instance.store.watch(.collection(.handles))
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            var count = 0
            for try await _ in watch {
                count += 1
                start.yield()
            }
            return count
        }
        for await _ in started { break }
        task.cancel()
        #expect(try await task.value == 1)
        withExtendedLifetime(instance) {}
    }
}
