import Glibc

/// Reads the entries of a journal where they are, one at a time: a plugin that makes up for a crash does not hold the
/// whole journal.
struct JournalReader {
    private let journal: Descriptor
    private let shownPath: String
    /// How long the file is.
    let end: Int

    init(_ journal: Descriptor, _ shownPath: String) throws(DatastoreError) {
        self.journal = journal
        self.shownPath = shownPath
        var status = stat()
        guard fstat(journal.number, &status) == 0 else { throw StoreFiles.failure("stat", shownPath, errno) }
        end = Int(status.st_size)
    }

    /// The beginning of the entry at an offset; `nil` when there is none, or the file is too short for what it promises.
    func head(at offset: Int) throws(DatastoreError) -> JournalEntry.Head? {
        let length = JournalEntry.Head.encodedLength
        let bytes = try StoreFiles.read(journal, from: offset, count: length, shownPath)
        guard let head = JournalEntry.Head(bytes[...]), offset + length + head.bodyLength <= end else { return nil }
        return head
    }

    /// The entry that `head` begins; `nil` when it is not whole.
    func entry(_ head: JournalEntry.Head, at offset: Int) throws(DatastoreError) -> JournalEntry? {
        let length = JournalEntry.Head.encodedLength + head.bodyLength
        return JournalEntry(try StoreFiles.read(journal, from: offset, count: length, shownPath)[...])
    }
}

/// What journal entries come to: of each record, the last change.
struct LatestChanges {
    private(set) var changes: [String: (sequence: UInt64, change: JournalEntry.Change)] = [:]

    /// Takes up what came after all before it.
    mutating func add(_ entry: JournalEntry) {
        for change in entry.changes { changes[change.path.description] = (entry.sequence, change) }
    }
}
