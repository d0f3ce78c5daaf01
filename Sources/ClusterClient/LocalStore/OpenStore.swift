import FoundationEssentials
import Glibc

/// The local store while its lock is held: reads and commits, and brings the record files up to date with the journal.
///
/// A commit is durable once its journal entry is synced; applying it to the record files comes after that and is
/// repeated by whoever opens the store next, when this process dies in between.
final class OpenStore {
    private let files: StoreFiles
    private let lock: Descriptor
    private let journal: Descriptor
    private let bootID: String
    /// How far the journal grows before a checkpoint empties it, in bytes.
    private let journalCapacity: Int

    private var generation: UInt64
    /// Where the next entry goes.
    private var tail: Int
    /// The number of the last commit.
    private var sequence: UInt64
    /// Whether the record files lag behind the journal, or may.
    private(set) var needsRecovery: Bool

    static let lockName = "lock"
    static let journalName = "journal"
    static let recordsName = "records"

    /// Opens the journal of a store that is locked.
    init(
        files: consuming StoreFiles,
        lock: consuming Descriptor,
        journal: consuming Descriptor,
        bootID: String,
        journalCapacity: Int
    ) throws(DatastoreError) {
        let journalPath = files.path + "/" + Self.journalName
        let slots = try StoreFiles.read(journal, from: 0, count: JournalFormat.firstEntry, journalPath)
        let headers = [0, JournalFormat.page].compactMap { slot -> JournalHeader? in
            guard slot < slots.count else { return nil }
            return JournalHeader(slots[slot...]).flatMap { $0.offset == slot ? $0 : nil }
        }
        guard let header = headers.max(by: { $0.generation < $1.generation }) else {
            throw DatastoreError(.corrupt, "\(journalPath) has no valid header")
        }
        generation = header.generation
        let noteText = try StoreFiles.read(lock, from: 0, count: 512, files.path + "/" + Self.lockName)
        let note = AppliedNote(noteText)
        if let note, note.generation > header.generation {
            throw DatastoreError(
                .corrupt,
                "\(journalPath) is of generation \(header.generation), older than generation \(note.generation) that was applied"
            )
        }
        if let note, note.bootID == bootID, note.generation == header.generation,
            note.tail >= UInt64(JournalFormat.firstEntry), note.tail < UInt64(Int32.max), note.sequence >= header.base
        {
            tail = Int(note.tail)
            sequence = note.sequence
            // Did someone die between committing and applying?
            let next = try StoreFiles.read(journal, from: tail, count: JournalEntry.Head.encodedLength, journalPath)
            let head = JournalEntry.Head(next[...])
            needsRecovery = head.map { $0.generation >= header.generation } ?? false
        } else {
            tail = JournalFormat.firstEntry
            sequence = header.base
            needsRecovery = true
        }
        self.files = files
        self.lock = lock
        self.journal = journal
        self.bootID = bootID
        self.journalCapacity = journalCapacity
    }

    // MARK: Reading

    func records(_ query: RecordQuery) throws(DatastoreError) -> [Record] {
        switch query {
        case .record(let key):
            let path = try RecordPath(key)
            guard let directory = try files.openDirectory([Self.recordsName] + path.directory),
                let file = try recordFile(path, key, in: directory)
            else { return [] }
            return [Record(key: key, value: file.value, revision: Revision("\(file.revision)"))]
        case .collection(let collection):
            return try walk(collection) { (directory, path, key) throws(DatastoreError) in
                guard let file = try recordFile(path, key, in: directory) else {
                    throw DatastoreError(.failed, key, "\(files.path) changed while it was locked")
                }
                return Record(key: key, value: file.value, revision: Revision("\(file.revision)"))
            }
            .sorted { $0.key < $1.key }
        }
    }

    func keys(_ collection: RecordCollection) throws(DatastoreError) -> [RecordKey] {
        try walk(collection) { (_, _, key) in key }.sorted()
    }

    private func walk<Found>(
        _ collection: RecordCollection,
        _ visit: (borrowing Descriptor, RecordPath, RecordKey) throws(DatastoreError) -> Found
    ) throws(DatastoreError) -> [Found] {
        let parts = try RecordPath.directory(of: collection)
        guard let directory = try files.openDirectory([Self.recordsName] + parts) else { return [] }
        let shown = ([Self.recordsName] + parts).joined(separator: "/")
        var found: [Found] = []
        for (name, isDirectory) in try files.entries(directory, shown) where name != StoreFiles.newName {
            if isDirectory, case .resources = collection, let namespace = RecordPath.unescape(name) {
                guard let inner = try files.openDirectory([Self.recordsName] + parts + [name]) else { continue }
                for (innerName, _) in try files.entries(inner, shown + "/" + name) where innerName != StoreFiles.newName
                {
                    let key = try Self.key(in: collection, namespace, innerName, "\(files.path)/\(shown)/\(name)")
                    found.append(try visit(inner, RecordPath(directory: parts + [name], name: innerName), key))
                }
            } else {
                let key = try Self.key(in: collection, "", name, "\(files.path)/\(shown)")
                found.append(try visit(directory, RecordPath(directory: parts, name: name), key))
            }
        }
        return found
    }

    private static func key(
        in collection: RecordCollection,
        _ namespace: String,
        _ name: String,
        _ directory: String
    ) throws(DatastoreError) -> RecordKey {
        guard let key = RecordPath.unescape(name).flatMap({ collection.key(namespace: namespace, named: $0) }) else {
            throw DatastoreError(.corrupt, "\(directory)/\(name) is not a record of this store")
        }
        return key
    }

    private func recordFile(
        _ path: RecordPath,
        _ key: RecordKey,
        in directory: borrowing Descriptor
    ) throws(DatastoreError) -> RecordFile? {
        func shown() -> String { "\(Self.recordsName)/\(path.description)" }
        guard let text = try files.contents(path.name, in: directory, at: shown()) else { return nil }
        guard let file = RecordFile(text, at: path) else {
            throw DatastoreError(
                .corrupt,
                key,
                "\(files.path)/\(shown()) is damaged: length or checksum do not match its first line"
            )
        }
        guard file.revision <= sequence else {
            throw DatastoreError(
                .corrupt,
                key,
                "\(files.path)/\(shown()) has revision \(file.revision), but the journal ends at \(sequence)"
            )
        }
        return file
    }

    // MARK: Committing

    /// Does all of the changes or none; the lock is held exclusively.
    func commit(_ changes: [RecordChange]) throws(DatastoreError) -> [Revision?] {
        var entryChanges: [JournalEntry.Change] = []
        var seen: Set<RecordPath> = []
        for change in changes {
            let path = try RecordPath(change.key)
            guard seen.insert(path).inserted else {
                throw DatastoreError(.failed, change.key, "one commit names the record twice")
            }
            try check(change, path)
            switch change {
            case .create(_, let value), .update(_, let value, _):
                guard value.count <= Self.longestValue else {
                    throw DatastoreError(.failed, change.key, "the record is larger than \(Self.longestValue) bytes")
                }
                entryChanges.append(.put(path, value))
            case .delete:
                entryChanges.append(.remove(path))
            }
        }
        guard !changes.isEmpty else { return [] }

        let length = JournalEntry(generation: 0, sequence: 0, changes: entryChanges).encoded.count
        if tail > JournalFormat.firstEntry, tail + length > journalCapacity { try checkpoint() }
        let entry = JournalEntry(generation: generation, sequence: sequence + 1, changes: entryChanges)
        try append(entry.encoded)
        sequence += 1
        tail += length
        // From here on the commit has happened. What keeps us from applying it (a full disk, most likely) is met again,
        // and reported, by whoever opens the store next.
        if (try? apply([entry])) != nil { try? writeNote() }
        return changes.map { change in
            if case .delete = change { nil } else { Revision("\(sequence)") }
        }
    }

    /// A record is read by short-lived processes in one piece.
    private static let longestValue = 64 << 20

    private func check(_ change: RecordChange, _ path: RecordPath) throws(DatastoreError) {
        var current: RecordFile?
        if let directory = try files.openDirectory([Self.recordsName] + path.directory) {
            current = try recordFile(path, change.key, in: directory)
        }
        switch change {
        case .create:
            guard current == nil else { throw DatastoreError(.alreadyExists, change.key, "the record exists already") }
        case .update(_, _, let revision), .delete(_, let revision):
            guard let current else { throw DatastoreError(.notFound, change.key, "there is no such record") }
            guard "\(current.revision)" == revision.description else {
                throw DatastoreError(.conflict, change.key, "the record was written since it was read")
            }
        }
    }

    private func append(_ bytes: [UInt8]) throws(DatastoreError) {
        do {
            try files.overwrite(journal, Self.journalName, at: tail, bytes)
            try files.sync(journal, Self.journalName)
        } catch {
            // Whether the entry is on the disk is unknown; take it back, so that it is not applied by the next process.
            try? discardEntryAtTail()
            throw error
        }
    }

    private func discardEntryAtTail() throws(DatastoreError) {
        try files.overwrite(journal, Self.journalName, at: tail, [UInt8](repeating: 0, count: JournalFormat.page))
        try files.sync(journal, Self.journalName)
    }

    /// Brings the record files to what the entries say. Doing so again changes nothing.
    private func apply(_ entries: [JournalEntry]) throws(DatastoreError) {
        var last: [RecordPath: (UInt64, JournalEntry.Change)] = [:]
        for entry in entries {
            for change in entry.changes { last[change.path] = (entry.sequence, change) }
        }
        for (path, (sequence, change)) in last {
            let directory = [Self.recordsName] + path.directory
            switch change {
            case .put(_, let value):
                let text = RecordFile(revision: sequence, value: value).encoded(for: path)
                try files.replace(path.name, in: directory, text)
            case .remove:
                try files.remove(path.name, in: directory)
            }
        }
    }

    private func writeNote() throws(DatastoreError) {
        let note = AppliedNote(bootID: bootID, generation: generation, tail: UInt64(tail), sequence: sequence)
        try files.overwrite(lock, Self.lockName, at: 0, note.encoded)
    }

    // MARK: Recovery and checkpoints

    /// Applies what the journal has beyond the note; the lock is held exclusively.
    func recover() throws(DatastoreError) {
        guard needsRecovery else { return }
        let entries = try scan()
        if !entries.isEmpty {
            // A process that was killed may have written the last entry without having synced it.
            try files.sync(journal, Self.journalName)
            try apply(entries)
        }
        // Half an entry, whose process died while writing it, would make everyone look here again.
        if JournalEntry.Head(try peek()[...])?.generation == generation { try discardEntryAtTail() }
        try writeNote()
        needsRecovery = false
    }

    private func peek() throws(DatastoreError) -> [UInt8] {
        try StoreFiles.read(
            journal,
            from: tail,
            count: JournalEntry.Head.encodedLength,
            files.path + "/" + Self.journalName
        )
    }

    /// Reads the entries from the tail on and moves the tail behind them.
    ///
    /// A broken entry at the end is a commit that was never acknowledged. A broken entry with a good one behind it is
    /// damage: entries are synced one by one.
    private func scan() throws(DatastoreError) -> [JournalEntry] {
        let shown = files.path + "/" + Self.journalName
        var status = stat()
        guard fstat(journal.number, &status) == 0 else { throw StoreFiles.failure("stat", shown, errno) }
        let start = tail
        let bytes = try StoreFiles.read(journal, from: start, count: max(0, Int(status.st_size) - start), shown)
        var entries: [JournalEntry] = []
        while let entry = JournalEntry(bytes[(tail - start)...]), entry.generation == generation,
            entry.sequence == sequence + 1, let head = JournalEntry.Head(bytes[(tail - start)...])
        {
            entries.append(entry)
            sequence = entry.sequence
            tail += head.length
            guard tail - start < bytes.count else { break }
        }
        for offset in stride(from: tail, to: start + bytes.count, by: JournalFormat.page) {
            guard let head = JournalEntry.Head(bytes[(offset - start)...]),
                head.generation > generation || head.generation == generation && head.sequence > sequence,
                JournalEntry(bytes[(offset - start)...]) != nil
            else { continue }
            throw DatastoreError(
                .corrupt,
                "\(shown) is damaged at byte \(tail): commit \(sequence + 1) is unreadable, commit \(head.sequence) follows"
            )
        }
        return entries
    }

    /// Makes the record files durable and starts the journal afresh.
    private func checkpoint() throws(DatastoreError) {
        let end = (tail, sequence)
        tail = JournalFormat.firstEntry
        sequence = try base()
        let entries = try scan()
        guard (tail, sequence) == end else {
            throw DatastoreError(
                .corrupt,
                "\(files.path)/\(Self.journalName) ends at commit \(sequence), but \(end.1) was applied"
            )
        }
        try syncRecords(Set(entries.flatMap { $0.changes.map(\.path) }))
        let header = JournalHeader(generation: generation + 1, base: sequence)
        try files.overwrite(journal, Self.journalName, at: header.offset, header.encoded)
        try files.sync(journal, Self.journalName)
        generation = header.generation
        tail = JournalFormat.firstEntry
        try writeNote()
        try? files.truncate(journal, Self.journalName, to: journalCapacity)
    }

    private func base() throws(DatastoreError) -> UInt64 {
        let slot = JournalHeader(generation: generation, base: 0).offset
        let shown = files.path + "/" + Self.journalName
        let bytes = try StoreFiles.read(journal, from: slot, count: JournalHeader.encodedLength, shown)
        guard let header = JournalHeader(bytes[...]), header.generation == generation else {
            throw DatastoreError(.corrupt, "\(shown) lost its header")
        }
        return header.base
    }

    private func syncRecords(_ paths: Set<RecordPath>) throws(DatastoreError) {
        var directories: Set<[String]> = [[]]
        for path in paths {
            let parts = [Self.recordsName] + path.directory
            for end in 0...parts.count { directories.insert(Array(parts[..<end])) }
        }
        // Writing starts for all of them before waiting for the first: one journal transaction of the file system
        // then covers them together.
        for waits in [false, true] {
            for path in paths {
                let parts = [Self.recordsName] + path.directory
                guard let directory = try files.openDirectory(parts),
                    let file = try files.open(path.name, O_RDONLY, in: directory)
                else { continue }
                if waits {
                    try files.sync(file, (parts + [path.name]).joined(separator: "/"))
                } else {
                    // Linux starts writing what is dirty; sync_file_range is not in Glibc's module.
                    posix_fadvise(file.number, 0, 0, POSIX_FADV_DONTNEED)
                }
            }
        }
        for parts in directories { try files.syncDirectory(parts) }
    }

    /// Makes an empty store, durable before its journal has its name; the lock is held exclusively.
    static func initialize(_ files: borrowing StoreFiles, journalCapacity: Int) throws(DatastoreError) {
        try files.makeDirectories([recordsName])
        // A journal without a lock file beside it is damage.
        try files.syncDirectory([])
        let header = JournalHeader(generation: 1, base: 0)
        var bytes = [UInt8](repeating: 0, count: journalCapacity)
        bytes.replaceSubrange(header.offset..<header.offset + JournalHeader.encodedLength, with: header.encoded)
        try files.replace(journalName, in: [], bytes, sync: true)
        try files.syncDirectory([])
    }
}
