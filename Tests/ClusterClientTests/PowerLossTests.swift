import ClusterClient
import Foundation
import Synchronization
import TestSupport
import Testing

/// Power lost at any moment: what was not synced is gone, there in part, or there in another order (L2).
@Suite struct PowerLossTests {
    /// Every change to the disk of a run of commits, and after which of them each commit was acknowledged.
    private struct Recording {
        var events: [StoreEvent] = []
        var acknowledged: [Int] = []
    }

    private func record(commits: Int) async throws -> Recording {
        let directory = try TemporaryDirectory()
        let recording = Mutex(Recording())
        let store = LocalDatastore(dataDirectory: directory.path, journalCapacity: 40 << 10) { event in
            recording.withLock { $0.events.append(event) }
        }
        try await CommitScript(store: store).run(commits) { _ in
            recording.withLock { $0.acknowledged.append($0.events.count) }
        }
        return recording.withLock { $0 }
    }

    @Test(arguments: [1, 2, 3])
    func everyCutLeavesWholeCommits(_ seed: UInt64) async throws {
        let recording = try await record(commits: 14)
        var random = SeededGenerator(seed: seed)
        #expect(recording.events.count > 120)
        for cut in 0...recording.events.count {
            var disk = DiskModel()
            for event in recording.events[..<cut] { disk.apply(event) }
            let acknowledged = recording.acknowledged.count { $0 <= cut }
            let directory = try TemporaryDirectory()
            try disk.materialize(afterPowerLossIn: directory.path + "/store", using: &random)

            let store = LocalDatastore(dataDirectory: directory.path, journalCapacity: 40 << 10, bootID: "second")
            let script = CommitScript(store: store)
            do {
                let (problems, commits) = try await script.check()
                #expect(problems == [], "seed \(seed), cut \(cut)")
                #expect((acknowledged...acknowledged + 1).contains(commits), "seed \(seed), cut \(cut)")
                try await script.run(commits + 3) { _ in }
                #expect(try await script.check() == ([], commits + 3))
            } catch {
                Issue.record("seed \(seed), cut \(cut): \(error)")
            }
        }
    }
}

extension PowerLossTests {
    /// A file system without a journal may keep the name that a file was to lose beside the one that it got.
    @Test func aFileOfTwoRecordsBecomesTwoFiles() async throws {
        let directory = try TemporaryDirectory()
        let store = LocalDatastore(dataDirectory: directory.path)
        let (first, second) = (RecordKey.handle("first"), RecordKey.handle("second"))
        let revision = try #require(try await store.commit([.create(first, Data("old".utf8))])[0])
        _ = try await store.commit([.delete(first, revision)])
        _ = try await store.commit([.create(second, Data("second".utf8))])
        _ = try await store.commit([.create(first, Data("first, again".utf8))])
        let files = directory.path + "/store/records/ipam/v2/handle/"
        #expect(unlink(files + "first") == 0)
        #expect(link(files + "second", files + "first") == 0)

        let restarted = LocalDatastore(dataDirectory: directory.path, journalCapacity: 4 << 20, bootID: "second")
        #expect(try await restarted.get(first)?.value == Data("first, again".utf8))
        #expect(try await restarted.get(second)?.value == Data("second".utf8))
    }
}

/// What a file system may have kept: files with the writes since their last sync in part, directories with some of the
/// changes since theirs.
private struct DiskModel {
    fileprivate struct File {
        var durable: [UInt8] = []
        var current: [UInt8] = []
        var pending: [(offset: Int, bytes: [UInt8])] = []
        var pendingLength: Int?
    }

    private enum DirectoryChange {
        case link(String, Int)
        case unlink(String)
        case directory(String)
    }

    private var files: [File] = []
    private var names: [String: Int] = [:]
    private var durableNames: [String: Int] = [:]
    private var durableDirectories: Set<String> = [""]
    private var pending: [String: [DirectoryChange]] = [:]

    private static func parent(_ name: String) -> String {
        name.lastIndex(of: "/").map { String(name[..<$0]) } ?? ""
    }

    mutating func apply(_ event: StoreEvent) {
        switch event {
        case .makeDirectory(let name):
            pending[Self.parent(name), default: []].append(.directory(name))
        case .create(let name, let bytes):
            if let file = names[name] {
                files[file].current = bytes
                files[file].pending.append((0, bytes))
                files[file].pendingLength = bytes.count
            } else {
                files.append(File(current: bytes, pending: [(0, bytes)]))
                names[name] = files.count - 1
                pending[Self.parent(name), default: []].append(.link(name, files.count - 1))
            }
        case .overwrite(let name, let offset, let bytes):
            guard let file = names[name] else { return }
            files[file].current.write(bytes, at: offset)
            files[file].pending.append((offset, bytes))
        case .truncate(let name, let length):
            guard let file = names[name] else { return }
            files[file].current.setLength(length)
            files[file].pendingLength = length
        case .rename(let old, let new):
            guard let file = names.removeValue(forKey: old) else { return }
            names[new] = file
            pending[Self.parent(new), default: []].append(.link(new, file))
            pending[Self.parent(old), default: []].append(.unlink(old))
        case .remove(let name):
            names[name] = nil
            pending[Self.parent(name), default: []].append(.unlink(name))
        case .sync(let name):
            guard let file = names[name] else { return }
            files[file].durable = files[file].current
            files[file].pending = []
            files[file].pendingLength = nil
        case .syncDirectory(let name):
            for change in pending.removeValue(forKey: name) ?? [] { settle(change) }
        }
    }

    private mutating func settle(_ change: DirectoryChange) {
        switch change {
        case .link(let name, let file): durableNames[name] = file
        case .unlink(let name): durableNames[name] = nil
        case .directory(let name): durableDirectories.insert(name)
        }
    }

    func materialize(afterPowerLossIn root: String, using random: inout SeededGenerator) throws {
        var after = self
        for (_, changes) in pending.sorted(by: { $0.key < $1.key }) {
            for change in changes where Bool.random(using: &random) { after.settle(change) }
        }
        let manager = FileManager.default
        func isReachable(_ name: String) -> Bool {
            name.isEmpty || after.durableDirectories.contains(name) && isReachable(Self.parent(name))
        }
        for directory in after.durableDirectories.sorted() where isReachable(directory) {
            try manager.createDirectory(
                atPath: directory.isEmpty ? root : root + "/" + directory,
                withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700]
            )
        }
        var paths: [Int: String] = [:]
        for (name, file) in after.durableNames.sorted(by: { $0.key < $1.key }) where isReachable(Self.parent(name)) {
            let path = root + "/" + name
            // A file that was renamed may have both names, or neither.
            if let other = paths[file] {
                #expect(link(other, path) == 0)
                continue
            }
            paths[file] = path
            #expect(manager.createFile(atPath: path, contents: Data(files[file].afterPowerLoss(using: &random))))
        }
    }
}

extension DiskModel.File {
    /// Each sector of each write since the last sync has reached the disk or not.
    fileprivate func afterPowerLoss(using random: inout SeededGenerator) -> [UInt8] {
        var bytes = durable
        for write in pending {
            let fate = Int.random(in: 0..<3, using: &random)
            for start in stride(from: 0, to: write.bytes.count, by: 512) {
                guard fate == 2 || fate == 1 && Bool.random(using: &random) else { continue }
                let end = min(start + 512, write.bytes.count)
                bytes.write(Array(write.bytes[start..<end]), at: write.offset + start)
            }
        }
        if let pendingLength, Bool.random(using: &random) { bytes.setLength(pendingLength) }
        return bytes
    }
}

extension [UInt8] {
    fileprivate mutating func setLength(_ length: Int) {
        if count > length {
            removeLast(count - length)
        } else {
            append(contentsOf: repeatElement(0, count: length - count))
        }
    }

    fileprivate mutating func write(_ bytes: [UInt8], at offset: Int) {
        if count < offset + bytes.count { setLength(offset + bytes.count) }
        replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }
}
