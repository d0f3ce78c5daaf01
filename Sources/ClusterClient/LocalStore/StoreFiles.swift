import FoundationEssentials
import Glibc

/// An open file or directory, closed when the value goes.
struct Descriptor: ~Copyable {
    let number: Int32

    init(_ number: Int32) {
        self.number = number
    }

    deinit {
        close(number)
    }
}

/// Something the local store is about to do to the disk. Crash tests stop at each, or replay some and drop others.
package enum StoreEvent: Sendable {
    case makeDirectory(String)
    /// The whole content of a new file.
    case create(String, [UInt8])
    case overwrite(String, offset: Int, [UInt8])
    case truncate(String, length: Int)
    case rename(String, to: String)
    case remove(String)
    case sync(String)
    case syncDirectory(String)
}

/// The system calls of the local store: every file is named by a path below one directory that is held open.
///
/// No symbolic link is followed, files are made 0600 and directories 0700, nothing is inherited by child processes (L5).
struct StoreFiles: ~Copyable {
    private let root: Descriptor
    /// The path of the root, for messages.
    let path: String
    private let observer: (@Sendable (StoreEvent) -> Void)?

    init(_ root: consuming Descriptor, path: String, observer: (@Sendable (StoreEvent) -> Void)?) {
        self.root = root
        self.path = path
        self.observer = observer
    }

    // MARK: Reading

    func open(_ name: String, _ flags: Int32, in directory: borrowing Descriptor) throws(DatastoreError) -> Descriptor?
    {
        try Self.optional(path + "/" + name) {
            openat(directory.number, name, flags | O_NOFOLLOW | O_CLOEXEC, 0o600 as mode_t)
        }
        .map { Descriptor($0) }
    }

    func open(_ name: String, _ flags: Int32) throws(DatastoreError) -> Descriptor? {
        try Self.optional(path + "/" + name) {
            openat(root.number, name, flags | O_NOFOLLOW | O_CLOEXEC, 0o600 as mode_t)
        }
        .map { Descriptor($0) }
    }

    /// Opens a directory below the root, or returns `nil` when it does not exist.
    func openDirectory(_ parts: [String]) throws(DatastoreError) -> Descriptor? {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        guard var current = try Self.optional(path, { openat(root.number, ".", flags) }).map({ Descriptor($0) })
        else { return nil }
        for (index, part) in parts.enumerated() {
            let next = try Self.optional(path + "/" + parts[...index].joined(separator: "/")) {
                openat(current.number, part, flags)
            }
            guard let next else { return nil }
            current = Descriptor(next)
        }
        return current
    }

    /// The content of a file, or `nil` when it does not exist.
    func contents(
        _ name: String,
        in directory: borrowing Descriptor,
        at shownPath: @autoclosure () -> String
    ) throws(DatastoreError) -> [UInt8]? {
        let number = openat(directory.number, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard number >= 0 else {
            if errno == ENOENT { return nil }
            throw Self.failure("open", path + "/" + shownPath(), errno)
        }
        let file = Descriptor(number)
        var status = stat()
        guard fstat(file.number, &status) == 0 else { throw Self.failure("stat", path + "/" + shownPath(), errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw DatastoreError(.corrupt, "\(path)/\(shownPath()) is not a regular file")
        }
        return try Self.read(file, from: 0, count: Int(status.st_size), path + "/" + shownPath())
    }

    /// Up to `count` bytes; fewer where the file ends.
    static func read(
        _ file: borrowing Descriptor,
        from offset: Int,
        count: Int,
        _ shownPath: @autoclosure () -> String
    ) throws(DatastoreError) -> [UInt8] {
        let number = file.number
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(
                    number,
                    buffer.baseAddress.map { $0 + filled },
                    count - filled,
                    off_t(offset + filled)
                )
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = errno }
                if got <= 0 { break }
                filled += got
            }
        }
        guard failure == 0 else { throw Self.failure("read", shownPath(), failure) }
        return bytes
    }

    /// The names in a directory, without `.` and `..`, each with whether it is a directory itself.
    func entries(_ directory: borrowing Descriptor, _ shownPath: String) throws(DatastoreError) -> [(String, Bool)] {
        let copy = try Self.call("open", path + "/" + shownPath) {
            openat(directory.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        guard let stream = fdopendir(copy) else {
            close(copy)
            throw Self.failure("read", path + "/" + shownPath, errno)
        }
        defer { closedir(stream) }
        var entries: [(String, Bool)] = []
        errno = 0
        while let entry = readdir(stream) {
            let isDirectory = entry.pointee.d_type == UInt8(DT_DIR)
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { entries.append((name, isDirectory)) }
            errno = 0
        }
        guard errno == 0 else { throw Self.failure("read", path + "/" + shownPath, errno) }
        return entries
    }

    func exists(_ name: String) throws(DatastoreError) -> Bool {
        var status = stat()
        guard fstatat(root.number, name, &status, AT_SYMLINK_NOFOLLOW) != 0 else { return true }
        if errno == ENOENT { return false }
        throw Self.failure("stat", path + "/" + name, errno)
    }

    /// Whether the open file is still the one that has this name.
    func isCurrent(_ file: borrowing Descriptor, _ name: String) -> Bool {
        var open = stat()
        var named = stat()
        return fstat(file.number, &open) == 0 && fstatat(root.number, name, &named, AT_SYMLINK_NOFOLLOW) == 0
            && open.st_ino == named.st_ino && open.st_dev == named.st_dev
    }

    // MARK: Writing

    /// Makes the directories that are missing.
    func makeDirectories(_ parts: [String]) throws(DatastoreError) {
        for end in parts.indices {
            let name = parts[...end].joined(separator: "/")
            guard try !exists(name) else { continue }
            observer?(.makeDirectory(name))
            try Self.call("create", path + "/" + name) {
                let result = mkdirat(root.number, name, 0o700)
                return result != 0 && errno == EEXIST ? 0 : result
            }
        }
    }

    /// Opens a file for writing that is made when it does not exist.
    func create(_ name: String) throws(DatastoreError) -> Descriptor? {
        observer?(.create(name, []))
        return try open(name, O_RDWR | O_CREAT)
    }

    /// Writes a new file beside and renames it, so that a reader without lock sees the old or the new one. Not synced.
    func replace(_ name: String, in parts: [String], _ bytes: [UInt8], sync: Bool = false) throws(DatastoreError) {
        if parts.isEmpty {
            try replace(name, in: root, "", bytes, sync: sync)
            return
        }
        var directory = try openDirectory(parts)
        if directory == nil {
            try makeDirectories(parts)
            directory = try openDirectory(parts)
        }
        guard let directory else {
            throw DatastoreError(.failed, "\(path)/\(parts.joined(separator: "/")) vanished while it was written to")
        }
        try replace(name, in: directory, parts.joined(separator: "/") + "/", bytes, sync: sync)
    }

    private func replace(
        _ name: String,
        in directory: borrowing Descriptor,
        _ prefix: String,
        _ bytes: [UInt8],
        sync: Bool
    ) throws(DatastoreError) {
        let beside = prefix + Self.newName
        observer?(.create(beside, bytes))
        let number = try Self.call("create", path + "/" + beside) {
            openat(
                directory.number,
                Self.newName,
                O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                0o600 as mode_t
            )
        }
        let file = Descriptor(number)
        try Self.write(file, bytes, at: 0, path + "/" + beside)
        if sync { try self.sync(file, beside) }
        observer?(.rename(beside, to: prefix + name))
        try Self.call("rename", path + "/" + beside) {
            renameat(directory.number, Self.newName, directory.number, name)
        }
    }

    /// What a file is called until it is complete; no record has a name with a leading dot.
    static let newName = ".new"

    func overwrite(
        _ file: borrowing Descriptor,
        _ name: String,
        at offset: Int,
        _ bytes: [UInt8]
    ) throws(DatastoreError) {
        observer?(.overwrite(name, offset: offset, bytes))
        try Self.write(file, bytes, at: offset, path + "/" + name)
    }

    func truncate(_ file: borrowing Descriptor, _ name: String, to length: Int) throws(DatastoreError) {
        observer?(.truncate(name, length: length))
        let number = file.number
        try Self.call("truncate", path + "/" + name) { ftruncate(number, off_t(length)) }
    }

    /// Succeeds when the file does not exist.
    func remove(_ name: String, in parts: [String]) throws(DatastoreError) {
        guard let directory = try openDirectory(parts) else { return }
        let shown = (parts + [name]).joined(separator: "/")
        observer?(.remove(shown))
        try Self.call("remove", path + "/" + shown) {
            let result = unlinkat(directory.number, name, 0)
            return result != 0 && errno == ENOENT ? 0 : result
        }
    }

    func sync(_ file: borrowing Descriptor, _ name: String) throws(DatastoreError) {
        observer?(.sync(name))
        let number = file.number
        try Self.call("sync", path + "/" + name) { fdatasync(number) }
    }

    /// Makes the names in a directory below the root durable; succeeds when it does not exist.
    func syncDirectory(_ parts: [String]) throws(DatastoreError) {
        guard let directory = try openDirectory(parts) else { return }
        let shown = parts.joined(separator: "/")
        observer?(.syncDirectory(shown))
        let number = directory.number
        try Self.call("sync", path + "/" + shown) { fsync(number) }
    }

    // MARK: System calls

    private static func write(
        _ file: borrowing Descriptor,
        _ bytes: [UInt8],
        at offset: Int,
        _ shownPath: @autoclosure () -> String
    ) throws(DatastoreError) {
        let number = file.number
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                pwrite(
                    number,
                    buffer.baseAddress.map { $0 + written },
                    bytes.count - written,
                    off_t(offset + written)
                )
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("write", shownPath(), count == 0 ? ENOSPC : errno) }
            written += count
        }
    }

    /// Runs a call that answers -1 for an error; repeats it when a signal came in between.
    @discardableResult
    static func call(
        _ verb: String,
        _ path: @autoclosure () -> String,
        _ body: () -> Int32
    ) throws(DatastoreError) -> Int32 {
        while true {
            let result = body()
            if result >= 0 { return result }
            guard errno == EINTR else { throw failure(verb, path(), errno) }
        }
    }

    /// As ``call(_:_:_:)`` for opening, with `nil` when there is no such file.
    static func optional(_ path: @autoclosure () -> String, _ body: () -> Int32) throws(DatastoreError) -> Int32? {
        while true {
            let result = body()
            if result >= 0 { return result }
            if errno == ENOENT { return nil }
            guard errno == EINTR else { throw failure("open", path(), errno) }
        }
    }

    static func failure(_ verb: String, _ path: String, _ code: Int32) -> DatastoreError {
        let reason: DatastoreError.Reason =
            switch code {
            case ELOOP, ENOTDIR, EISDIR: .corrupt
            case EMFILE, ENFILE, ENOMEM: .unavailable
            default: .failed
            }
        let text = code == ELOOP ? "it is a symbolic link" : String(cString: strerror(code))
        return DatastoreError(reason, "cannot \(verb) \(path): \(text)")
    }
}
