import FoundationEssentials
import Glibc

/// The local store while its lock is held: reads and commits, and brings the record files up to date with the journal.
///
/// A commit is durable once its journal entry is synced; applying it to the record files comes after that and is
/// repeated by whoever opens the store next, when this process dies in between.
final class OpenStore {
    let files: StoreFiles
    let lock: Descriptor
    let journal: Descriptor
    private let bootID: String
    /// How far the journal grows before a checkpoint empties it, in bytes.
    let journalCapacity: Int

    var generation: UInt64
    /// Where the next entry goes.
    var tail: Int
    /// The number of the last commit.
    var sequence: UInt64
    var spares: SpareFiles
    /// Whether the record files lag behind the journal, or may.
    var needsRecovery: Bool
    /// The last commit of this generation that was applied, as far as it was noted, be it before the machine stopped.
    let notedSequence: UInt64

    static let lockName = "lock"
    static let journalName = "journal"
    static let recordsName = "records"

    /// Opens the journal of a store that is locked.
    init(
        files: StoreFiles,
        lock: Descriptor,
        journal: Descriptor,
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
        notedSequence = note.map { $0.generation == header.generation ? $0.sequence : 0 } ?? 0
        if let note, note.bootID == bootID, note.generation == header.generation,
            note.tail >= UInt64(JournalFormat.firstEntry), note.tail < UInt64(Int32.max), note.sequence >= header.base
        {
            tail = Int(note.tail)
            sequence = note.sequence
            spares = SpareFiles(count: note.spareFiles)
            // Did someone die between committing and applying?
            let next = try StoreFiles.read(journal, from: tail, count: JournalEntry.Head.encodedLength, journalPath)
            let head = JournalEntry.Head(next[...])
            needsRecovery = head.map { $0.generation >= header.generation } ?? false
        } else {
            tail = JournalFormat.firstEntry
            sequence = header.base
            spares = .none
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
        _ visit: (Descriptor, RecordPath, RecordKey) throws(DatastoreError) -> Found
    ) throws(DatastoreError) -> [Found] {
        let parts = try RecordPath.directory(of: collection)
        guard let directory = try files.openDirectory([Self.recordsName] + parts) else { return [] }
        let shown = RecordPath.join([Self.recordsName] + parts)
        var found: [Found] = []
        for (name, isDirectory) in try files.entries(directory, shown) {
            if isDirectory, case .resources = collection, let namespace = RecordPath.unescape(name) {
                guard let inner = try files.openDirectory([Self.recordsName] + parts + [name]) else { continue }
                for (innerName, _) in try files.entries(inner, shown + "/" + name) {
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
        _ directory: @autoclosure () -> String
    ) throws(DatastoreError) -> RecordKey {
        guard let key = RecordPath.unescape(name).flatMap({ collection.key(namespace: namespace, named: $0) }) else {
            throw DatastoreError(.corrupt, "\(directory())/\(name) is not a record of this store")
        }
        return key
    }

    private func recordFile(
        _ path: RecordPath,
        _ key: RecordKey,
        in directory: Descriptor
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
        var seen: Set<String> = []
        for change in changes {
            let path = try RecordPath(change.key)
            guard seen.insert(path.description).inserted else {
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
        let length = JournalEntry(generation: 0, sequence: 0, changes: entryChanges).encoded.count
        if tail > JournalFormat.firstEntry, tail + length > journalCapacity { try checkpoint() }
        let entry = JournalEntry(generation: generation, sequence: sequence + 1, changes: entryChanges)
        try append(entry.encoded)
        sequence += 1
        tail += length
        // From here on the commit has happened. What keeps us from applying it (a full disk, most likely) is met again,
        // and reported, by whoever opens the store next.
        var latest = LatestChanges()
        latest.add(entry)
        if (try? apply(latest)) != nil { try? writeNote() }
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

    func discardEntryAtTail() throws(DatastoreError) {
        try files.overwrite(journal, Self.journalName, at: tail, [UInt8](repeating: 0, count: JournalFormat.page))
        try files.sync(journal, Self.journalName)
    }

    /// Brings the record files to what the journal says. Doing so again changes nothing.
    func apply(_ latest: LatestChanges) throws(DatastoreError) {
        for (sequence, change) in latest.changes.values {
            let path = change.path
            let directory = [Self.recordsName] + path.directory
            switch change {
            case .put(_, let value):
                let text = RecordFile(revision: sequence, value: value).encoded(for: path)
                try files.write(path.name, in: directory, text, &spares)
            case .remove:
                try files.remove(path.name, in: directory, &spares)
            }
        }
    }

    func writeNote() throws(DatastoreError) {
        let note = AppliedNote(
            bootID: bootID,
            generation: generation,
            tail: UInt64(tail),
            sequence: sequence,
            spareFiles: spares.count
        )
        try files.overwrite(lock, Self.lockName, at: 0, note.encoded)
    }
}
