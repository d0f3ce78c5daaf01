import Foundation
import TestSupport
import Testing

@testable import ClusterClient

/// Whatever stands in a file of the store: a record is what was committed last, or the damage is reported (L3). Never is
/// it older, or another's, and nothing crashes or hangs. `SWIFTLET_FUZZ_INPUTS=1000000 swift test --filter StoreFuzzTests`
/// tries more.
@Suite struct StoreFuzzTests {
    private static let count = ProcessInfo.processInfo.environment["SWIFTLET_FUZZ_INPUTS"].flatMap { Int($0) } ?? 400
    private static let keys: [RecordKey] = [
        .handle("net.a"), .handle("net.b"), .handle("net.gone"), .ipamConfiguration,
        .resource(.ipPools, name: "default"), .resource(.workloadEndpoints, namespace: "shop", name: "cart"),
    ]
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func store(boot: String) -> LocalDatastore {
        LocalDatastore(dataDirectory: directory.path, journalCapacity: 60 << 10, bootID: boot)
    }

    /// Commits that fill more than one generation of the journal; what is there in the end.
    private func fill(_ store: LocalDatastore) async throws -> [RecordKey: Data] {
        var last: [RecordKey: Data] = [:]
        for number in 0..<23 {
            var changes: [RecordChange] = []
            for (index, key) in Self.keys.enumerated() where number % (index + 1) == 0 {
                let value = Data(
                    "{\"number\":\(number),\"fill\":\"\(String(repeating: "x", count: number * 40))\"}".utf8
                )
                let revision = try await store.get(key)?.revision
                changes.append(revision.map { .update(key, value, $0) } ?? .create(key, value))
                last[key] = value
            }
            _ = try await store.commit(changes)
        }
        let gone = try #require(try await store.get(.handle("net.gone")))
        _ = try await store.commit([.delete(gone.key, gone.revision)])
        last[gone.key] = nil
        return last
    }

    private func contents() throws -> [String: [UInt8]] {
        let root = directory.path + "/store"
        let names = try #require(FileManager.default.enumerator(atPath: root)?.allObjects as? [String])
        var files: [String: [UInt8]] = [:]
        for name in names {
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: root + "/" + name, isDirectory: &isDirectory) else { continue }
            if !isDirectory.boolValue { files[name] = [UInt8](try Data(contentsOf: URL(filePath: root + "/" + name))) }
        }
        return files
    }

    private func write(_ bytes: [UInt8], to name: String) throws {
        try Data(bytes).write(to: URL(filePath: directory.path + "/store/" + name))
    }

    private static func changed(_ bytes: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let at = Int.random(in: 0...bytes.count, using: &random)
            let end = min(bytes.count, at + Int.random(in: 1...5000, using: &random))
            switch Int.random(in: 0..<8, using: &random) {
            case 0..<3 where at < bytes.count: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 3: bytes.removeSubrange(at...)
            case 4: for index in at..<end { bytes[index] = 0 }
            case 5: bytes.removeSubrange(at..<end)
            case 6: bytes.insert(contentsOf: bytes[at..<end], at: at)
            default:
                // As a misdirected write leaves a page.
                let from = Int.random(in: 0...bytes.count, using: &random) / 4096 * 4096
                let page = Array(bytes[from..<min(bytes.count, from + 4096)])
                let place = at / 4096 * 4096
                bytes.replaceSubrange(place..<min(bytes.count, place + page.count), with: page)
            }
        }
        return bytes
    }

    @Test(arguments: [false, true])
    func aChangedFileIsNoticedOrNotNeeded(_ isRestarted: Bool) async throws {
        let expected = try await fill(store(boot: "first"))
        let files = try contents()
        let names = files.keys.sorted()
        #expect(names.contains("journal") && names.contains("lock") && names.contains("spare/1") && names.count == 8)
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        var reported = 0
        for number in 0..<Self.count / 2 {
            let name = try #require(names.randomElement(using: &random))
            let original = try #require(files[name])
            let bytes = Self.changed(original, using: &random)
            try write(bytes, to: name)
            let store = store(boot: isRestarted ? "second" : "first")
            for key in Self.keys {
                do {
                    let record = try await store.get(key)
                    #expect(record?.value == expected[key], "seed \(seed), input \(number): \(name), \(key)")
                } catch {
                    #expect(error.reason == .corrupt, "seed \(seed), input \(number): \(name), \(error)")
                    #expect(error.message.contains(directory.path), "\(error)")
                    reported += 1
                }
            }
            // Only the changed file, and those that a recovery writes, are put back.
            for (name, bytes) in files where isRestarted || name == "journal" || name == "lock" || bytes == original {
                try write(bytes, to: name)
            }
        }
        #expect(reported > Self.count / 10)
    }

    /// Writing goes on only where everything can be told: what is there afterwards is what was, and what was added.
    @Test func commitsAreMadeOrRefused() async throws {
        let expected = try await fill(store(boot: "first"))
        let files = try contents()
        let names = files.keys.sorted()
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let new = RecordKey.handle("net.new")
        var made = 0
        for number in 0..<Self.count / 15 {
            let name = try #require(names.randomElement(using: &random))
            let original = try #require(files[name])
            try write(Self.changed(original, using: &random), to: name)
            let isRestarted = Bool.random(using: &random)
            do {
                _ = try await store(boot: isRestarted ? "second" : "first").commit([.create(new, Data("{}".utf8))])
                made += 1
                for boot in ["second", "third"] {
                    for key in Self.keys + [new] {
                        let value = key == new ? Data("{}".utf8) : expected[key]
                        do {
                            let record = try await store(boot: boot).get(key)
                            #expect(record?.value == value, "seed \(seed), input \(number): \(name), \(boot), \(key)")
                        } catch {
                            #expect(
                                error.reason == .corrupt,
                                "seed \(seed), input \(number): \(error)"
                            )
                        }
                    }
                }
            } catch {
                #expect(
                    error.reason == .corrupt,
                    "seed \(seed), input \(number): \(name), \(error)"
                )
            }
            try FileManager.default.removeItem(atPath: directory.path + "/store")
            for (name, bytes) in files {
                let folder = URL(filePath: directory.path + "/store/" + name).deletingLastPathComponent()
                try FileManager.default.createDirectory(
                    at: folder,
                    withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o700]
                )
                try write(bytes, to: name)
            }
        }
        // Which damage hinders a commit is a matter of chance; that it is refused then is looked at above.
        #expect(made > 0)
    }
}
