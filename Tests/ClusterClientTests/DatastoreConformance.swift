import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

/// A store under test, made empty for each test.
enum StoreUnderTest: String, CaseIterable, CustomTestStringConvertible {
    case local
    case memory
    case memoryWithoutTransactions

    var testDescription: String { rawValue }

    /// The second value keeps what the store lives in.
    func make() throws -> (any Datastore, Any?) {
        switch self {
        case .local:
            let directory = try TemporaryDirectory()
            return (LocalDatastore(dataDirectory: directory.path), directory)
        case .memory:
            return (MemoryDatastore(), nil)
        case .memoryWithoutTransactions:
            return (MemoryDatastore(commitsAtomically: false), nil)
        }
    }
}

/// What every store owes its callers.
@Suite struct DatastoreConformance {
    static let block = RecordKey.block(CIDR("10.65.79.0/26")!)

    static let keys: [RecordKey] = [
        block,
        .block(CIDR("10.65.79.64/26")!),
        .block(CIDR("fd00::/122")!),
        .blockAffinity(.host("node-a"), CIDR("10.65.79.0/26")!),
        .blockAffinity(.virtual("load-balancer"), CIDR("fd00::/122")!),
        .handle("k8s-pod-network.0123abc"),
        .handle("Odd name/with \"every\"thing.é"),
        .handle(".."),
        .handle("."),
        .handle(".new"),
        .handle("%2E"),
        .handle("percent%"),
        .ipamConfiguration,
        .resource(.ipPools, name: "default"),
        .resource(.workloadEndpoints, namespace: "shop", name: "node--a-k8s-cart-eth0"),
    ]

    @Test(arguments: StoreUnderTest.allCases)
    func anEmptyStoreHasNothing(_ kind: StoreUnderTest) async throws {
        let (store, keeper) = try kind.make()
        for key in Self.keys { #expect(try await store.get(key) == nil) }
        #expect(try await store.list(.handles).isEmpty)
        #expect(try await store.keys(.blocks(.ipv4)).isEmpty)
        withExtendedLifetime(keeper) {}
    }

    @Test(arguments: StoreUnderTest.allCases, keys)
    func aRecordLivesFromCreateToDelete(_ kind: StoreUnderTest, _ key: RecordKey) async throws {
        let (store, keeper) = try kind.make()
        let created = try await store.commit([.create(key, Data("{\"a\":1}".utf8))])
        let first = try #require(created.first ?? nil)
        #expect(try await store.get(key) == Record(key: key, value: Data("{\"a\":1}".utf8), revision: first))
        await #expect(throws: DatastoreError.self) { try await store.commit([.create(key, Data("{}".utf8))]) }

        let second = try #require(try await store.commit([.update(key, Data("{}".utf8), first)]).first ?? nil)
        #expect(second != first)
        #expect(try await store.get(key) == Record(key: key, value: Data("{}".utf8), revision: second))

        #expect(await reason { try await store.commit([.update(key, Data("[]".utf8), first)]) } == .conflict)
        #expect(await reason { try await store.commit([.delete(key, first)]) } == .conflict)
        #expect(await reason { try await store.commit([.create(key, Data("[]".utf8))]) } == .alreadyExists)
        #expect(try await store.commit([.delete(key, second)]) == [nil])
        #expect(try await store.get(key) == nil)
        #expect(await reason { try await store.commit([.delete(key, second)]) } == .notFound)
        #expect(await reason { try await store.commit([.update(key, Data("[]".utf8), second)]) } == .notFound)

        let third = try #require(try await store.commit([.create(key, Data("{}".utf8))]).first ?? nil)
        #expect(third != first && third != second)
        withExtendedLifetime(keeper) {}
    }

    @Test(arguments: StoreUnderTest.allCases)
    func listsHaveTheirOwnAndInOrder(_ kind: StoreUnderTest) async throws {
        let (store, keeper) = try kind.make()
        _ = try await store.commit(Self.keys.map { .create($0, Data("{\"k\":\"\($0.hashValue)\"}".utf8)) })
        let blocks = [Self.block, .block(CIDR("10.65.79.64/26")!)]
        #expect(try await store.list(.blocks(.ipv4)).map(\.key) == blocks)
        #expect(try await store.keys(.blocks(.ipv4)) == blocks)
        #expect(try await store.keys(.blocks(.ipv6)) == [.block(CIDR("fd00::/122")!)])
        #expect(try await store.keys(.blockAffinities(.host("node-a"), .ipv4)).count == 1)
        #expect(try await store.keys(.blockAffinities(.host("node"), .ipv4)).isEmpty)
        #expect(try await store.keys(.blockAffinities(.virtual("load-balancer"), .ipv6)).count == 1)
        let handles = Self.keys.filter { if case .handle = $0 { true } else { false } }.sorted()
        #expect(try await store.list(.handles).map(\.key) == handles)
        #expect(try await store.keys(.resources(.ipPools)) == [.resource(.ipPools, name: "default")])
        #expect(try await store.list(.resources(.workloadEndpoints)).map(\.key) == [Self.keys.last])

        let answers = try await store.read([
            .collection(.blocks(.ipv4)), .record(.ipamConfiguration), .record(.handle("x")),
        ])
        #expect(answers.map(\.count) == [2, 1, 0])
        withExtendedLifetime(keeper) {}
    }

    @Test(arguments: StoreUnderTest.allCases)
    func commitsHappenAsPromised(_ kind: StoreUnderTest) async throws {
        let (store, keeper) = try kind.make()
        _ = try await store.commit([.create(.handle("taken"), Data("{}".utf8))])
        let changes: [RecordChange] = [
            .create(.handle("one"), Data("{}".utf8)), .create(.handle("taken"), Data("{}".utf8)),
            .create(.handle("two"), Data("{}".utf8)),
        ]
        #expect(await reason { try await store.commit(changes) } == .alreadyExists)
        let expected: [RecordKey] =
            store.commitsAtomically ? [.handle("taken")] : [.handle("one"), .handle("taken")]
        #expect(try await store.keys(.handles) == expected)

        let twice: [RecordChange] = [.create(.handle("x"), Data("{}".utf8)), .create(.handle("x"), Data("{}".utf8))]
        #expect(await reason { try await store.commit(twice) } == .failed)
        #expect(try await store.commit([]) == [])
        withExtendedLifetime(keeper) {}
    }

    @Test(arguments: StoreUnderTest.allCases)
    func concurrentIncrementsAreAllCounted(_ kind: StoreUnderTest) async throws {
        let (store, keeper) = try kind.make()
        let key = RecordKey.ipamConfiguration
        _ = try await store.commit([.create(key, Data("0".utf8))])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var done = 0
                    while done < 25 {
                        let record = try #require(try await store.get(key))
                        let count = try #require(Int(String(decoding: record.value, as: UTF8.self)))
                        do throws(DatastoreError) {
                            _ = try await store.commit([.update(key, Data("\(count + 1)".utf8), record.revision)])
                            done += 1
                        } catch {
                            guard error.reason == .conflict else { throw error }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await store.get(key)?.value == Data("200".utf8))
        withExtendedLifetime(keeper) {}
    }
}

/// Why the store refused; `nil` when it did not, or when something else than the store threw.
func reason<Answer>(_ body: () async throws -> Answer) async -> DatastoreError.Reason? {
    do {
        _ = try await body()
        return nil
    } catch {
        return (error as? DatastoreError)?.reason
    }
}
