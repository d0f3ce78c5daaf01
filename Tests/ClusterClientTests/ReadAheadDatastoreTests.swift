import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@Suite struct ReadAheadDatastoreTests {
    private let memory = MemoryDatastore()
    private let counted: FaultyDatastore
    private let store: ReadAheadDatastore
    private let value = Data("{}".utf8)

    init() {
        counted = FaultyDatastore(memory)
        store = ReadAheadDatastore(counted)
    }

    @Test func whatWasReadAheadIsNotReadAgain() async throws {
        _ = try await memory.commit([
            .create(.handle("a"), value), .create(.resource(.ipPools, name: "p"), value),
        ])
        try await store.readAhead([.record(.handle("a")), .record(.handle("b")), .collection(.resources(.ipPools))])
        #expect(try await store.get(.handle("a")) != nil)
        #expect(try await store.get(.handle("b")) == nil)
        #expect(try await store.list(.resources(.ipPools)).count == 1)
        #expect(counted.operations.count == 1)
        // Only what is missing is asked for, and the answers keep their places.
        let answers = try await store.read([.record(.ipamConfiguration), .record(.handle("a")), .record(.handle("c"))])
        #expect(answers.map(\.count) == [0, 1, 0])
        #expect(counted.operations.last == .read([.record(.ipamConfiguration), .record(.handle("c"))]))
        _ = try await store.get(.handle("c"))
        #expect(counted.operations.count == 2)
        // What was only read ahead was not asked for, and what does not exist was not found.
        #expect(store.found == [.handle("a")])
    }

    /// What others write to while one waits for them is asked for again, and nothing else.
    @Test func blocksAreForgottenAlone() async throws {
        let block = RecordKey.block(try #require(CIDR("10.80.0.0/26")))
        let blocks = RecordQuery.collection(.blocks(.ipv4))
        try await store.readAhead([.record(block), .record(.handle("a"))])
        _ = try await store.read([.record(block), .record(.handle("a"))])
        #expect(counted.operations.count == 1)
        store.forgetBlocks()
        _ = try await store.read([.record(block), .record(.handle("a")), blocks])
        #expect(counted.operations.last == .read([.record(block), blocks]))
    }

    @Test func withoutReadingAheadNothingIsRemembered() async throws {
        for _ in 0..<3 { _ = try await store.get(.handle("a")) }
        #expect(counted.operations.count == 3)
    }

    @Test func whatIsWrittenIsForgotten() async throws {
        try await store.readAhead([.record(.handle("a")), .collection(.handles), .record(.ipamConfiguration)])
        let revision = try #require(try await store.commit([.create(.handle("a"), value)]).first ?? nil)
        #expect(try await store.get(.handle("a"))?.revision == revision)
        #expect(try await store.list(.handles).count == 1)
        let before = counted.operations.count
        #expect(try await store.get(.ipamConfiguration) == nil)
        #expect(counted.operations.count == before)
    }

    /// Whoever decided on something old fails as always, and sees the new when it tries again.
    @Test func aConflictMakesEverythingForgotten() async throws {
        let old = try #require(try await memory.commit([.create(.handle("a"), value)]).first ?? nil)
        try await store.readAhead([.record(.handle("a")), .record(.ipamConfiguration)])
        let new = try #require(try await memory.commit([.update(.handle("a"), Data("1".utf8), old)]).first ?? nil)
        _ = try await memory.commit([.create(.ipamConfiguration, value)])
        #expect(try await store.get(.handle("a"))?.revision == old)
        await #expect(throws: DatastoreError.self) { try await store.commit([.update(.handle("a"), value, old)]) }
        #expect(try await store.get(.handle("a"))?.revision == new)
        #expect(try await store.get(.ipamConfiguration) != nil)
    }

    @Test func blocksOfAWholeClusterAreNotKept() async throws {
        try await store.readAhead([.collection(.blocks(.ipv4))])
        _ = try await store.list(.blocks(.ipv4))
        #expect(counted.operations.count == 2)
    }
}
