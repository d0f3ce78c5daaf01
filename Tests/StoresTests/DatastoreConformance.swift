import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

/// What every store owes its callers.
@Suite struct DatastoreConformance {
    static let block = RecordKey.block(CIDR("10.65.79.0/26")!)

    /// Names that a store cannot hold are left out for it; see ``StoreUnderTest/refuses(_:)``.
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
        let instance = try await kind.make()
        let store = instance.store
        for key in Self.keys where !kind.refuses(key) { #expect(try await store.get(key) == nil) }
        #expect(try await store.list(.handles).isEmpty)
        #expect(try await store.keys(.blocks(.ipv4)).isEmpty)
        withExtendedLifetime(instance) {}
    }

    @Test(arguments: StoreUnderTest.allCases, keys)
    func aRecordLivesFromCreateToDelete(_ kind: StoreUnderTest, _ key: RecordKey) async throws {
        guard !kind.refuses(key) else { return }
        let instance = try await kind.make()
        let store = instance.store
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
        withExtendedLifetime(instance) {}
    }

    @Test(arguments: StoreUnderTest.allCases)
    func listsHaveTheirOwnAndInOrder(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let store = instance.store
        let keys = Self.keys.filter { !kind.refuses($0) }
        _ = try await store.commit(keys.map { .create($0, Data("{\"k\":\"\($0.hashValue)\"}".utf8)) })
        let blocks = [Self.block, .block(CIDR("10.65.79.64/26")!)]
        #expect(try await store.list(.blocks(.ipv4)).map(\.key) == blocks)
        #expect(try await store.keys(.blocks(.ipv4)) == blocks)
        #expect(try await store.keys(.blocks(.ipv6)) == [.block(CIDR("fd00::/122")!)])
        #expect(try await store.keys(.blockAffinities(.host("node-a"), .ipv4)).count == 1)
        #expect(try await store.keys(.blockAffinities(.host("node"), .ipv4)).isEmpty)
        #expect(try await store.keys(.blockAffinities(.virtual("load-balancer"), .ipv6)).count == 1)
        let handles = keys.filter { if case .handle = $0 { true } else { false } }.sorted()
        #expect(try await store.list(.handles).map(\.key) == handles)
        #expect(try await store.keys(.resources(.ipPools)) == [.resource(.ipPools, name: "default")])
        #expect(try await store.list(.resources(.workloadEndpoints)).map(\.key) == [keys.last])

        let answers = try await store.read([
            .collection(.blocks(.ipv4)), .record(.ipamConfiguration), .record(.handle("x")),
        ])
        #expect(answers.map(\.count) == [2, 1, 0])
        withExtendedLifetime(instance) {}
    }

    /// What cannot be kept under any name is said to be so, and nothing else comes to harm (E6, L5).
    @Test(arguments: StoreUnderTest.allCases)
    func namesThatCannotBeKeptAreRefused(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let store = instance.store
        for key in Self.keys + [.handle(""), .blockAffinity(.host("a/b"), CIDR("10.0.0.0/26")!)]
        where kind.refuses(key) {
            #expect(await reason { try await store.get(key) } == .invalidKey, "\(key)")
            let changes: [RecordChange] = [
                .create(.handle("other"), Data("{}".utf8)), .create(key, Data("{}".utf8)),
            ]
            #expect(await reason { try await store.commit(changes) } == .invalidKey, "\(key)")
            #expect(try await store.keys(.handles).isEmpty || !store.commitsAtomically, "\(key)")
        }
        withExtendedLifetime(instance) {}
    }

    @Test(arguments: StoreUnderTest.allCases)
    func commitsHappenAsPromised(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let store = instance.store
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
        withExtendedLifetime(instance) {}
    }

    @Test(arguments: StoreUnderTest.allCases)
    func concurrentIncrementsAreAllCounted(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let store = instance.store
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
        withExtendedLifetime(instance) {}
    }
}
