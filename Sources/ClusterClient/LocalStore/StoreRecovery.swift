import FoundationEssentials
import Glibc

// What happens beside reading and committing: catching up with the journal, and emptying it.

extension OpenStore {
    /// Applies what the journal has beyond the note; the lock is held exclusively.
    func recover() throws(DatastoreError) {
        guard needsRecovery else { return }
        var latest = LatestChanges()
        try scan { latest.add($0) }
        try requireNothingNewer(than: latest)
        // A process that was killed may have written the last entry, or the header of a checkpoint, without having
        // synced it. What is noted as applied, and what is written behind it, must not outlive it on the disk.
        try files.sync(journal, Self.journalName)
        try files.removeSpares()
        spares = .none
        try apply(latest)
        spares = SpareFiles(count: 0)
        // Half an entry, whose process died while writing it, would make everyone look here again.
        if JournalEntry.Head(try peek()[...])?.generation == generation { try discardEntryAtTail() }
        try writeNote()
        needsRecovery = false
    }

    /// A commit is synced before it is applied. So when what was noted, or a record that the entries would overwrite, is
    /// newer than the last entry that can be read, that one is no commit which was interrupted: the journal is damaged.
    private func requireNothingNewer(than latest: LatestChanges) throws(DatastoreError) {
        var newest = notedSequence
        for path in latest.changes.values.map(\.change.path) {
            let shown = "\(Self.recordsName)/\(path.description)"
            guard let directory = try files.openDirectory([Self.recordsName] + path.directory),
                let text = try files.contents(path.name, in: directory, at: shown),
                let file = RecordFile(text, at: path)
            else { continue }
            newest = max(newest, file.revision)
        }
        guard newest <= sequence else {
            throw DatastoreError(
                .corrupt,
                "\(files.path)/\(Self.journalName) ends at commit \(sequence), but commit \(newest) was applied"
            )
        }
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
    private func scan(_ visit: (JournalEntry) -> Void) throws(DatastoreError) {
        let shown = files.path + "/" + Self.journalName
        let reader = try JournalReader(journal, shown)
        while let head = try reader.head(at: tail), head.generation == generation, head.sequence == sequence + 1,
            let entry = try reader.entry(head, at: tail)
        {
            visit(entry)
            sequence = entry.sequence
            tail += head.length
        }
        for offset in stride(from: tail, to: reader.end, by: JournalFormat.page) {
            guard let head = try reader.head(at: offset),
                head.generation > generation || head.generation == generation && head.sequence > sequence,
                try reader.entry(head, at: offset) != nil
            else { continue }
            throw DatastoreError(
                .corrupt,
                "\(shown) is damaged at byte \(tail): commit \(sequence + 1) is unreadable, commit \(head.sequence) follows"
            )
        }
    }

    /// Makes the record files durable and starts the journal afresh.
    func checkpoint() throws(DatastoreError) {
        let end = (tail, sequence)
        tail = JournalFormat.firstEntry
        sequence = try base()
        var paths: Set<RecordPath> = []
        try scan { paths.formUnion($0.changes.map(\.path)) }
        guard (tail, sequence) == end else {
            throw DatastoreError(
                .corrupt,
                "\(files.path)/\(Self.journalName) ends at commit \(sequence), but \(end.1) was applied"
            )
        }
        try syncRecords(paths)
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
        try files.syncFiles(paths.sorted { $0.description < $1.description }, below: Self.recordsName)
        for parts in directories { try files.syncDirectory(parts) }
    }

    /// Makes an empty store, durable before its journal has its name; the lock is held exclusively.
    static func initialize(_ files: StoreFiles, journalCapacity: Int) throws(DatastoreError) {
        try files.makeDirectories([recordsName])
        // A journal without a lock file beside it is damage.
        try files.syncDirectory([])
        let header = JournalHeader(generation: 1, base: 0)
        var bytes = [UInt8](repeating: 0, count: JournalFormat.firstEntry)
        bytes.replaceSubrange(header.offset..<header.offset + JournalHeader.encodedLength, with: header.encoded)
        try files.publish(journalName, bytes, filledTo: journalCapacity)
    }
}
