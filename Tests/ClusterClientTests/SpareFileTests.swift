import ClusterClient
import Foundation
import TestSupport
import Testing

@Suite struct SpareFileTests {
    /// Pods that come and go leave no more than so many files behind, and none that is large.
    @Test func filesOfRemovedRecordsAreUsedAgain() async throws {
        let directory = try TemporaryDirectory()
        let store = LocalDatastore(dataDirectory: directory.path)
        func spares() throws -> [String] {
            let path = directory.path + "/store/spare"
            return FileManager.default.fileExists(atPath: path)
                ? try FileManager.default.contentsOfDirectory(atPath: path).sorted() : []
        }
        func make(_ names: [String], _ text: String = "x") async throws {
            _ = try await store.commit(names.map { .create(.handle($0), Data(text.utf8)) })
        }
        func remove(_ names: [String]) async throws {
            var changes: [RecordChange] = []
            for name in names {
                let record = try #require(try await store.get(.handle(name)))
                changes.append(.delete(record.key, record.revision))
            }
            _ = try await store.commit(changes)
        }
        try await make(["a", "b"], "a long text that has to go, since the next one is short")
        let file = try FileManager.default.attributesOfItem(atPath: directory.path + "/store/records/ipam/v2/handle/b")
        try await remove(["a"])
        try await remove(["b"])
        #expect(try spares() == ["1", "2"])
        try await make(["c"])
        #expect(try spares() == ["1"])
        let again = try FileManager.default.attributesOfItem(atPath: directory.path + "/store/records/ipam/v2/handle/c")
        #expect(again[.systemFileNumber] as? Int == file[.systemFileNumber] as? Int)
        #expect(again[.systemFileNumber] != nil)
        #expect(try await store.get(.handle("c"))?.value == Data("x".utf8))
        #expect(try await store.read([.collection(.handles)])[0].map(\.key) == [.handle("c")])

        try await make(["long"], String(repeating: "x", count: 100_000))
        #expect(try spares() == [])
        try await remove(["long"])
        #expect(try spares() == [])

        let many = (0..<600).map { "many-\($0)" }
        try await make(many)
        try await remove(many)
        #expect(try spares().count == 512)
        try await make(many)
        #expect(try spares() == [])
        for name in many { #expect(try await store.get(.handle(name))?.value == Data("x".utf8)) }
    }
}
