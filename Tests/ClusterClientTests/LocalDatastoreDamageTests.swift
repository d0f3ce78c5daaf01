import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import ClusterClient

/// A directory or file that is not what the store left there is reported by name and never overwritten (L3, L5).
@Suite struct LocalDatastoreDamageTests {
    private let directory: TemporaryDirectory
    private var store: LocalDatastore { LocalDatastore(dataDirectory: directory.path, journalCapacity: 64 << 10) }
    private let key = RecordKey.handle("net.abc")
    private var recordFile: String { path("records/ipam/v2/handle/net.abc") }

    private func path(_ name: String) -> String { directory.path + (name.isEmpty ? "/store" : "/store/\(name)") }

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func fill() async throws {
        _ = try await store.commit([.create(key, Data("{\"block\":{}}".utf8))])
        _ = try await store.commit([.create(.handle("other"), Data("{}".utf8))])
    }

    private func error(_ body: () async throws -> Void) async -> DatastoreError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? DatastoreError
        }
    }

    @Test func filesAreReadableByEyeAndByNobodyElse() async throws {
        try await fill()
        let text = try String(contentsOfFile: recordFile, encoding: .utf8)
        let lines = text.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[0].hasPrefix("swiftlet-record revision=1 length=12 crc32c="))
        #expect(lines[1] == "{\"block\":{}}")
        for name in ["", "records", "records/ipam/v2/handle"] { #expect(try mode(path(name)) == 0o700) }
        for name in ["lock", "journal", "records/ipam/v2/handle/net.abc"] { #expect(try mode(path(name)) == 0o600) }
    }

    private func mode(_ path: String) throws -> Int? {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return (attributes[.posixPermissions] as? NSNumber)?.intValue
    }

    static let damages: [(String, @Sendable (Data) -> Data)] = [
        ("truncated", { $0.dropLast(3) }), ("empty", { _ in Data() }), ("half a header", { $0.prefix(20) }),
        ("appended to", { $0 + Data("x".utf8) }),
        (
            "a flipped bit",
            {
                var d = $0; d[d.count - 2] ^= 1; return d
            }
        ),
        ("zeros", { Data(count: $0.count) }),
        (
            "another revision",
            { Data(String(decoding: $0, as: UTF8.self).replacing("revision=1", with: "revision=2").utf8) }
        ),
        ("foreign", { _ in Data("{\"block\":{}}".utf8) }),
    ]

    @Test(arguments: damages.indices)
    func aDamagedRecordIsReportedWithItsFile(_ index: Int) async throws {
        try await fill()
        let url = URL(fileURLWithPath: recordFile)
        try Self.damages[index].1(Data(contentsOf: url)).write(to: url)
        let attempts: [() async throws -> Void] = [
            { _ = try await store.get(key) }, { _ = try await store.list(.handles) },
            { _ = try await store.commit([.update(key, Data("{}".utf8), Revision("1"))]) },
            { _ = try await store.commit([.create(key, Data("{}".utf8))]) },
        ]
        let damaged = try Data(contentsOf: url)
        for attempt in attempts {
            let error = try #require(await error(attempt), "\(Self.damages[index].0)")
            #expect(error.reason == .corrupt && error.message.contains(recordFile), "\(error)")
        }
        #expect(try Data(contentsOf: url) == damaged)
        // The others are still there.
        #expect(try await store.get(.handle("other"))?.value == Data("{}".utf8))
    }

    @Test func aRecordInAnothersPlaceIsNoticed() async throws {
        try await fill()
        try FileManager.default.removeItem(atPath: recordFile)
        try FileManager.default.copyItem(atPath: path("records/ipam/v2/handle/other"), toPath: recordFile)
        #expect(await error { _ = try await store.get(key) }?.reason == .corrupt)
    }

    @Test func aForeignFileAmongRecordsIsReported() async throws {
        try await fill()
        try Data("x".utf8).write(to: URL(fileURLWithPath: path("records/ipam/v2/handle/notes~")))
        let error = try #require(await error { _ = try await store.list(.handles) })
        #expect(error.reason == .corrupt && error.message.contains("notes~"))
        // Reading one record does not look at others.
        #expect(try await store.get(key) != nil)
    }

    @Test(arguments: ["records/ipam/v2/handle/net.abc", "records/ipam/v2/handle", "records", "journal", "lock", ""])
    func symbolicLinksAreNotFollowed(_ name: String) async throws {
        try await fill()
        let moved = directory.path + "/elsewhere"
        try FileManager.default.moveItem(atPath: path(name), toPath: moved)
        try FileManager.default.createSymbolicLink(atPath: path(name), withDestinationPath: moved)
        let error = try #require(await error { _ = try await store.get(key) })
        #expect(error.reason == .corrupt)
    }

    @Test func aDirectoryInPlaceOfAFileIsReported() async throws {
        try await fill()
        try FileManager.default.removeItem(atPath: recordFile)
        try FileManager.default.createDirectory(atPath: recordFile, withIntermediateDirectories: false)
        #expect(await error { _ = try await store.get(key) }?.reason == .corrupt)
        #expect(await error { _ = try await store.list(.handles) }?.reason == .corrupt)
    }

    @Test(arguments: ["journal", "lock"])
    func aMissingFileOfAStoreWithRecordsIsNotReplaced(_ name: String) async throws {
        try await fill()
        try FileManager.default.removeItem(atPath: path(name))
        for attempt in [
            { _ = try await store.get(key) }, { _ = try await store.commit([.create(.handle("new"), Data())]) },
        ] as [() async throws -> Void] {
            let error = try #require(await error(attempt))
            #expect(error.reason == .corrupt && error.message.contains(path(name)), "\(error)")
        }
        #expect(!FileManager.default.fileExists(atPath: path(name)))
    }

    @Test(arguments: [0, 100, 8192, 20000])
    func aJournalCutShortOrZeroedIsNoticedOrNotNeeded(_ length: Int) async throws {
        try await fill()
        let handle = try #require(FileHandle(forWritingAtPath: path("journal")))
        try handle.truncate(atOffset: UInt64(length))
        let error = await error { _ = try await store.get(key) }
        if length <= 100 {
            #expect(error?.reason == .corrupt && error?.message.contains("journal") == true)
        } else {
            #expect(error == nil)
        }
    }

    /// An entry that is unreadable though later ones are good was not torn, but damaged: entries are synced one by one.
    @Test func aDamagedEntryInTheMiddleOfTheJournalIsReported() async throws {
        try await fill()
        let file = try #require(FileHandle(forUpdatingAtPath: path("journal")))
        try file.seek(toOffset: UInt64(JournalFormat.firstEntry + 60))
        try file.write(contentsOf: Data("damage".utf8))
        try file.close()
        // After a power loss the journal is read from the start.
        let rebooted = LocalDatastore(dataDirectory: directory.path, journalCapacity: 64 << 10, bootID: "next")
        let error = try #require(await error { _ = try await rebooted.get(key) })
        #expect(error.reason == .corrupt && error.message.contains(path("journal")))
    }

    @Test func anOlderJournalThanWasAppliedIsReported() async throws {
        try await fill()
        let old = try Data(contentsOf: URL(fileURLWithPath: path("journal")))
        for number in 0..<40 { _ = try await store.commit([.create(.handle("h\(number)"), Data("{}".utf8))]) }
        try old.write(to: URL(fileURLWithPath: path("journal")))
        for boot in [nil, "next"] {
            let store = LocalDatastore(dataDirectory: directory.path, journalCapacity: 64 << 10, bootID: boot)
            #expect(await error { _ = try await store.list(.handles) }?.reason == .corrupt)
        }
    }

    @Test func aStoreThatOthersMayWriteToIsRefused() async throws {
        try await fill()
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: path(""))
        let error = try #require(await error { _ = try await store.get(key) })
        #expect(error.reason == .failed && error.message.contains("0700"))
    }

    @Test func aPlaceThatCannotBeWrittenToIsAClearError() async throws {
        let store = LocalDatastore(dataDirectory: "/proc/swiftlet")
        let error = try #require(await error { _ = try await store.commit([.create(key, Data())]) })
        #expect(error.reason == .failed && error.message.contains("/proc/swiftlet"))
        #expect(try await store.get(key) == nil)
    }

    @Test func readingNeverCreates() async throws {
        let path = directory.path + "/a/b"
        let store = LocalDatastore(dataDirectory: path)
        #expect(try await store.list(.handles).isEmpty)
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/a"))
        _ = try await store.commit([.create(key, Data("{}".utf8))])
        #expect(try await store.get(key) != nil)
    }

    @Test func aLockThatIsHeldTooLongIsUnavailable() async throws {
        try await fill()
        let holder = open(path("lock"), O_RDWR | O_CLOEXEC)
        #expect(flock(holder, LOCK_EX) == 0)
        let impatient = LocalDatastore(dataDirectory: directory.path, lockTimeout: .milliseconds(50))
        #expect(await error { _ = try await impatient.get(key) }?.reason == .unavailable)
        await RequestDeadline.$current.withValue(.now + .milliseconds(20)) {
            #expect(await error { _ = try await store.get(key) }?.reason == .unavailable)
        }
        close(holder)
        #expect(try await impatient.get(key) != nil)
    }

    @Test func aStoreRemovedAndMadeAgainIsUsed() async throws {
        try await fill()
        try FileManager.default.removeItem(atPath: path(""))
        #expect(try await store.get(key) == nil)
        _ = try await store.commit([.create(key, Data("{}".utf8))])
        #expect(try await store.list(.handles).count == 1)
    }

    /// Many checkpoints, and an entry larger than the journal is meant to be.
    @Test func theJournalIsUsedAgainAndAgain() async throws {
        for round in 0..<60 {
            _ = try await store.commit([.create(.handle("h\(round)"), Data(repeating: 0x61, count: 3000 * (round % 5)))]
            )
        }
        _ = try await store.commit([.create(.handle("large"), Data(repeating: 0x62, count: 300_000))])
        _ = try await store.commit([.create(.handle("small"), Data("{}".utf8))])
        for boot in [nil, "next", "after"] {
            let store = LocalDatastore(dataDirectory: directory.path, journalCapacity: 64 << 10, bootID: boot)
            let records = try await store.list(.handles)
            #expect(records.count == 62)
            #expect(records.first { $0.key == .handle("large") }?.value.count == 300_000)
        }
        let size = try FileManager.default.attributesOfItem(atPath: path("journal"))[.size] as? Int
        #expect(size == 64 << 10)
    }
}
