import CNI
import FileLocks
import Glibc

/// The releases that a store has yet to hear of, as one file each in a directory beside the local store (D6).
///
/// An entry is there as a whole or not at all, however a plugin ends, and what it asks for may be done twice. Who carries
/// an entry out has its file locked, so that an ADD of the same attachment waits for the end of it.
struct ReleaseJournal: Sendable {
    private let directory: String
    private let dataDirectory: String

    /// More are not taken: whoever lets it come to this has to hear of it.
    static let capacity = 2048
    private static let suffix = ".json"
    /// An entry is a few hundred bytes.
    private static let maximumSize = 64 << 10

    init(dataDirectory: String) {
        self.dataDirectory = dataDirectory
        directory = dataDirectory + "/pending-releases"
    }

    private func path(_ name: String) -> String { "\(directory)/\(name)" }

    // MARK: Writing

    /// Adds an entry; it survives whatever happens from then on. Another DEL's entry for the same attachment is as good.
    ///
    /// Throws code 5 when it cannot be written, 11 when the journal is full.
    func add(_ entry: PendingRelease) throws(CNIError) {
        try make(directory)
        guard names().count < Self.capacity else {
            throw CNIError(.tryAgainLater, "the journal \(directory) is full", details: "\(Self.capacity) entries")
        }
        let temporary = path("\(getpid()).new")
        unlink(temporary)
        defer { unlink(temporary) }
        try write(entry.json.text(), to: temporary)
        let file = path(entry.fileName)
        if link(temporary, file) != 0 {
            guard errno == EEXIST else { throw .systemCall("make", file, errno) }
            if (try? PendingRelease(Self.contents(file))) == nil {
                guard rename(temporary, file) == 0 else { throw .systemCall("make", file, errno) }
            }
        }
        // Also for an entry that was there: whoever made it may have been killed before it came to this.
        for path in [directory, dataDirectory] { try synchronize(path) }
    }

    /// Makes a directory and those that it is in, so that they survive.
    private func make(_ path: String) throws(CNIError) {
        if mkdir(path, 0o700) == 0 { return try synchronizeParent(of: path) }
        if errno == ENOENT, let parent = Self.parent(of: path) {
            try make(parent)
            if mkdir(path, 0o700) == 0 { return try synchronizeParent(of: path) }
        }
        guard errno == EEXIST else { throw .systemCall("make", path, errno) }
    }

    private static func parent(of path: String) -> String? {
        let parts = path.split(separator: "/")
        return parts.count > 1 ? "/" + parts.dropLast().joined(separator: "/") : nil
    }

    private func synchronizeParent(of path: String) throws(CNIError) {
        try synchronize(Self.parent(of: path) ?? "/")
    }

    private func write(_ text: String, to path: String) throws(CNIError) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let descriptor = open(path, flags, 0o600 as mode_t)
        guard descriptor >= 0 else { throw .systemCall("make", path, errno) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .systemCall("write", path, errno) }
            written += count
        }
        guard fsync(descriptor) == 0 else { throw .systemCall("write", path, errno) }
    }

    private func synchronize(_ path: String) throws(CNIError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .systemCall("open", path, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .systemCall("write", path, errno) }
    }

    // MARK: Reading

    /// The entries' file names, in no order. What plugins that were killed left half-written is removed.
    func names() -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name.hasSuffix(Self.suffix) { names.append(name) }
            if name.hasSuffix(".new"), let process = pid_t(name.dropLast(4)), kill(process, 0) != 0, errno == ESRCH {
                unlink(path(name))
            }
        }
        return names
    }

    /// Carries one entry out and removes it; what is there no more is done.
    ///
    /// - Parameters:
    ///   - waiting: until when another process that is at it is waited for; `nil` leaves the entry to that one.
    ///   - body: does what the entry is about, or gives `false` for an entry that is not its business.
    /// - Throws: What `body` throws; the entry stays then. Code 11 when the other process takes too long, 6 when the
    ///   entry cannot be read; it is put aside then.
    func settle(
        _ name: String,
        waiting: Deadline?,
        _ body: (PendingRelease) async throws(CNIError) -> Bool
    ) async throws(CNIError) {
        let file = path(name)
        let descriptor = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return }
            throw .systemCall("open", file, errno)
        }
        defer { close(descriptor) }
        do throws(FileLock.Failure) {
            if let waiting {
                try FileLock.take(descriptor, until: waiting.instant)
            } else {
                guard try FileLock.isTaken(descriptor) else { return }
            }
        } catch {
            guard case .refused(let code) = error else {
                throw CNIError(.tryAgainLater, "out of time before another call was done with \(file)")
            }
            throw .systemCall("lock", file, code)
        }
        var (opened, named) = (stat(), stat())
        guard fstat(descriptor, &opened) == 0, lstat(file, &named) == 0, opened.st_ino == named.st_ino else { return }
        let entry: PendingRelease
        do throws(CNIError) {
            entry = try PendingRelease(Self.contents(of: descriptor))
        } catch {
            rename(file, file + ".damaged")
            throw CNIError(error.code, "\(file) is damaged and was put aside", details: error.description)
        }
        if try await body(entry) { unlink(file) }
    }

    private static func contents(_ path: String) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        return contents(of: descriptor)
    }

    private static func contents(of descriptor: Int32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: maximumSize)
        let count = read(descriptor, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }
}
