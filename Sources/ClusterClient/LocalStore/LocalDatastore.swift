import FileLocks
import FoundationEssentials
import Glibc

/// The embedded store: a directory on the node, for any number of processes at once and without a server.
///
/// Below the data directory it keeps
///
/// ```
/// store/lock      held (flock) while the store is read or written; gone with the process that held it
/// store/journal   commits, each synced before it counts; replayed after a crash
/// store/records/  one readable file per record, under the names that Calico uses in etcd
/// store/spare/    files of removed records, to be those of new ones
/// ```
///
/// A commit costs one fdatasync. A process killed, or power lost, at any instruction leaves all of a commit or nothing.
/// Damage is reported with the name of the file and never repaired by starting over, since that would hand out
/// addresses a second time (L3).
public struct LocalDatastore: Datastore {
    public let commitsAtomically = true

    private let dataDirectory: String
    private let lockTimeout: Duration
    private let journalCapacity: Int
    private let bootID: String
    private let observer: (@Sendable (StoreEvent) -> Void)?

    /// A store in the directory `store` below `dataDirectory`, made by the first commit.
    ///
    /// - Parameter lockTimeout: how long a call waits for other processes, unless ``RequestDeadline`` comes first, before
    ///   it throws ``DatastoreError/Reason/unavailable``.
    public init(dataDirectory: String, lockTimeout: Duration = .seconds(8)) {
        self.init(dataDirectory: dataDirectory, lockTimeout: lockTimeout, journalCapacity: 4 << 20)
    }

    /// For crash tests: `observer` is told of every change to the disk before it is made, and another `bootID` is what
    /// a restart of the machine looks like.
    package init(
        dataDirectory: String,
        lockTimeout: Duration = .seconds(8),
        journalCapacity: Int,
        bootID: String? = nil,
        observer: (@Sendable (StoreEvent) -> Void)? = nil
    ) {
        self.dataDirectory = dataDirectory
        self.lockTimeout = lockTimeout
        self.journalCapacity = max(journalCapacity, JournalFormat.firstEntry + JournalFormat.page)
        self.bootID = bootID ?? Self.currentBootID
        self.observer = observer
    }

    private var path: String { dataDirectory + "/store" }

    /// How long a thread waits for the lock before it looks whether its task is cancelled, and lets others run.
    private static let turn = Duration.milliseconds(100)

    public func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        // Whether a name can be kept does not depend on whether there is a store yet.
        for case .record(let key) in queries { _ = try RecordPath(key) }
        let answers = try await withStore(writing: false) { (store) throws(DatastoreError) in
            var answers: [[Record]] = []
            for query in queries { answers.append(try store.records(query)) }
            return answers
        }
        return answers ?? queries.map { _ in [] }
    }

    public func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey] {
        try await withStore(writing: false) { (store) throws(DatastoreError) in try store.keys(collection) } ?? []
    }

    public func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        guard !changes.isEmpty else { return [] }
        let revisions = try await withStore(writing: true) { (store) throws(DatastoreError) in
            try store.commit(changes)
        }
        guard let revisions else { throw DatastoreError(.failed, "\(path) vanished while it was opened") }
        return revisions
    }

    public func watch(_ query: RecordQuery) -> RecordWatch {
        RecordWatch(
            query,
            rereading: { (query) async throws(DatastoreError) in try await read([query]).first ?? [] },
            after: StoreNotices(path: path)
        )
    }

    /// Runs `body` with the store locked and recovered; `nil` when there is no store and we do not write.
    private func withStore<Answer: Sendable>(
        writing: Bool,
        _ body: (OpenStore) throws(DatastoreError) -> Answer
    ) async throws(DatastoreError) -> Answer? {
        if writing { try makeStoreDirectory() }
        let start = ContinuousClock.now
        let deadline = min(start + lockTimeout, RequestDeadline.current ?? start + lockTimeout)
        while true {
            // The lock may be waited for here and only here: while it is held, nothing suspends. Readers take it as
            // writers do: with a shared lock, readers that follow each other would keep a writer waiting for ever.
            guard let lock = try openLock(creating: writing) else { return nil }
            while try !tryLock(lock, until: min(deadline, .now + Self.turn)) {
                guard ContinuousClock.now < deadline else {
                    throw DatastoreError(
                        .unavailable,
                        "\(path) is locked by another process for more than \(lockTimeout)"
                    )
                }
                guard !Task.isCancelled else {
                    throw DatastoreError(.unavailable, "cancelled while waiting for the lock of \(path)")
                }
                await Task.yield()
            }
            switch try use(lock, writing: writing, body) {
            case .done(let answer): return answer
            case .missing: return nil
            case .replaced: continue
            }
        }
    }

    private enum Outcome<Answer> {
        case done(Answer)
        case missing
        /// The directory was removed and made again while we waited.
        case replaced
    }

    private func use<Answer>(
        _ lock: Descriptor,
        writing: Bool,
        _ body: (OpenStore) throws(DatastoreError) -> Answer
    ) throws(DatastoreError) -> Outcome<Answer> {
        guard let files = try openFiles() else { return .missing }
        guard files.isCurrent(lock, OpenStore.lockName) else { return .replaced }
        var journal = try files.open(OpenStore.journalName, O_RDWR)
        if journal == nil {
            if let records = try files.openDirectory([OpenStore.recordsName]),
                try !files.entries(records, OpenStore.recordsName).isEmpty
            {
                throw DatastoreError(
                    .corrupt,
                    "\(path)/\(OpenStore.journalName) is missing although there are records beside it"
                )
            }
            guard writing else { return .missing }
            try OpenStore.initialize(files, journalCapacity: journalCapacity)
            journal = try files.open(OpenStore.journalName, O_RDWR)
        }
        guard let journal else { return .replaced }
        let store = try OpenStore(
            files: files,
            lock: lock,
            journal: journal,
            bootID: bootID,
            journalCapacity: journalCapacity
        )
        // Someone may have died half-way through: the store is written to before it is read.
        if store.needsRecovery { try store.recover() }
        return .done(try body(store))
    }

    // MARK: The directory and its lock

    private func openFiles() throws(DatastoreError) -> StoreFiles? {
        let root = try StoreFiles.optional(path) {
            open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        }
        guard let root else { return nil }
        let descriptor = Descriptor(root)
        var status = stat()
        guard fstat(descriptor.number, &status) == 0 else { throw StoreFiles.failure("stat", path, errno) }
        guard status.st_uid == geteuid() || geteuid() == 0, status.st_mode & 0o022 == 0 else {
            throw DatastoreError(.failed, "\(path) can be written to by other users; its mode should be 0700")
        }
        return StoreFiles(descriptor, path: path, observer: observer)
    }

    private func openLock(creating: Bool) throws(DatastoreError) -> Descriptor? {
        guard let files = try openFiles() else { return nil }
        if let lock = try files.open(OpenStore.lockName, O_RDWR) { return lock }
        if try files.exists(OpenStore.journalName) {
            throw DatastoreError(
                .corrupt,
                "\(path)/\(OpenStore.lockName) is missing although there is a journal beside it"
            )
        }
        return creating ? try files.create(OpenStore.lockName) : nil
    }

    /// `false` when others have it until then.
    private func tryLock(
        _ lock: Descriptor,
        until deadline: ContinuousClock.Instant
    ) throws(DatastoreError) -> Bool {
        do throws(FileLock.Failure) {
            try FileLock.take(lock.number, until: deadline)
            return true
        } catch {
            switch error {
            case .timedOut: return false
            case .refused(let code): throw StoreFiles.failure("lock", path + "/" + OpenStore.lockName, code)
            }
        }
    }

    /// Makes the data directory and the store's own below it, with what is missing above.
    private func makeStoreDirectory() throws(DatastoreError) {
        var missing: [String] = []
        var current = path
        while current != "/", !current.isEmpty, access(current, F_OK) != 0, errno == ENOENT {
            missing.append(current)
            guard let slash = current.utf8.lastIndex(of: UInt8(ascii: "/")), slash != current.startIndex else { break }
            current = String(current[..<slash])
        }
        for directory in missing.reversed() {
            try StoreFiles.call("create", directory) {
                let result = mkdir(directory, 0o700)
                return result != 0 && errno == EEXIST ? 0 : result
            }
        }
        // The new names are durable before anything is written below them.
        for directory in missing.reversed() {
            let above = directory.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(directory[..<$0]) } ?? "."
            let parent = above.isEmpty ? "/" : above
            let number = try StoreFiles.call("open", parent) { open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
            let descriptor = Descriptor(number)
            try StoreFiles.call("sync", parent) { fsync(descriptor.number) }
        }
    }

    /// Changes with every start of the machine (`/proc/sys/kernel/random/boot_id`). Where it cannot be read, none equals
    /// another, and every process replays the journal.
    private static let currentBootID: String = {
        var bytes = [UInt8](repeating: 0, count: 36)
        let number = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        defer { if number >= 0 { close(number) } }
        guard number >= 0, Glibc.read(number, &bytes, 36) == 36 else {
            return "unknown-\(UInt64.random(in: 0...UInt64.max))"
        }
        return String(decoding: bytes, as: UTF8.self)
    }()
}
