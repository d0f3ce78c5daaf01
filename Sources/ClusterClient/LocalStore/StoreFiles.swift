import FoundationEssentials
import Glibc

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
final class StoreFiles {
    let root: Descriptor
    /// The path of the root, for messages.
    let path: String
    let observer: (@Sendable (StoreEvent) -> Void)?
    /// Directories that were walked through already, by their path.
    private var directories: [String: Descriptor] = [:]

    init(_ root: Descriptor, path: String, observer: (@Sendable (StoreEvent) -> Void)?) {
        self.root = root
        self.path = path
        self.observer = observer
    }

    // MARK: Reading

    func open(_ name: String, _ flags: Int32, in directory: Descriptor) throws(DatastoreError) -> Descriptor? {
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

    /// Opens a directory below the root part by part, or returns `nil` when it does not exist.
    func openDirectory(_ parts: [String]) throws(DatastoreError) -> Descriptor? {
        var current = root
        var name = ""
        for part in parts {
            name += name.isEmpty ? part : "/" + part
            if let known = directories[name] {
                current = known
                continue
            }
            let next = try Self.optional(path + "/" + name) {
                openat(current.number, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            }
            guard let next else { return nil }
            current = Descriptor(next)
            directories[name] = current
        }
        return current
    }

    /// The content of a file, or `nil` when it does not exist.
    func contents(
        _ name: String,
        in directory: Descriptor,
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
        _ file: Descriptor,
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
    func entries(_ directory: Descriptor, _ shownPath: String) throws(DatastoreError) -> [(String, Bool)] {
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
    func isCurrent(_ file: Descriptor, _ name: String) -> Bool {
        var open = stat()
        var named = stat()
        return fstat(file.number, &open) == 0 && fstatat(root.number, name, &named, AT_SYMLINK_NOFOLLOW) == 0
            && open.st_ino == named.st_ino && open.st_dev == named.st_dev
    }
}

// MARK: System calls

extension StoreFiles {
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
