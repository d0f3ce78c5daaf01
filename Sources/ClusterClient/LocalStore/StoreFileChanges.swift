import FoundationEssentials
import Glibc

extension StoreFiles {
    /// Makes the directories that are missing.
    func makeDirectories(_ parts: [String]) throws(DatastoreError) {
        for end in parts.indices {
            let name = RecordPath.join(Array(parts[...end]))
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

    /// Gives a file its content, in place; not synced, and no one but the holder of the lock may read it meanwhile.
    ///
    /// - Parameter spares: what a file is made from when there is none of this name.
    func write(
        _ name: String,
        in parts: [String],
        _ bytes: [UInt8],
        _ spares: inout SpareFiles
    ) throws(DatastoreError) {
        var directory = try openDirectory(parts)
        if directory == nil {
            try makeDirectories(parts)
            directory = try openDirectory(parts)
        }
        let shown = RecordPath.join(parts + [name])
        guard let directory else {
            throw DatastoreError(.failed, "\(path)/\(shown): its directory vanished while it was written to")
        }
        let (file, length) = try openForWriting(name, in: directory, shown, &spares)
        observer?(.create(shown, bytes))
        try Self.write(file, bytes, at: 0, path + "/" + shown)
        if length > bytes.count { try truncate(file, shown, to: bytes.count) }
    }

    /// Opens the file of that name, or one that gets it, and tells how long it is.
    private func openForWriting(
        _ name: String,
        in directory: Descriptor,
        _ shown: String,
        _ spares: inout SpareFiles
    ) throws(DatastoreError) -> (Descriptor, length: Int) {
        var existing = try open(name, O_WRONLY, in: directory)
        if existing == nil, try takeSpare(&spares, as: name, in: directory, shown) {
            existing = try open(name, O_WRONLY, in: directory)
        }
        if let existing {
            var status = stat()
            guard fstat(existing.number, &status) == 0 else { throw Self.failure("stat", path + "/" + shown, errno) }
            if status.st_nlink == 1 { return (existing, Int(status.st_size)) }
            // It is the file of another record, too, which a power loss can leave behind.
            observer?(.remove(shown))
            try Self.call("remove", path + "/" + shown) { unlinkat(directory.number, name, 0) }
        }
        let made = try Self.call("create", path + "/" + shown) {
            openat(directory.number, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600 as mode_t)
        }
        return (Descriptor(made), 0)
    }

    /// Makes a file that appears with all of its content, on the disk, or not at all.
    ///
    /// - Parameter length: with zeros behind `bytes` up to there. They are written, so that the file system has nothing to
    ///   note when they are overwritten.
    func publish(_ name: String, _ bytes: [UInt8], filledTo length: Int) throws(DatastoreError) {
        let beside = "." + name
        observer?(.create(beside, bytes + [UInt8](repeating: 0, count: max(0, length - bytes.count))))
        let file = Descriptor(
            try Self.call("create", path + "/" + beside) {
                openat(root.number, beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600 as mode_t)
            }
        )
        try Self.write(file, bytes, at: 0, path + "/" + beside)
        let zeros = [UInt8](repeating: 0, count: 64 << 10)
        for offset in stride(from: bytes.count, to: length, by: zeros.count) {
            let piece = zeros.prefix(length - offset)
            try Self.write(file, piece.count == zeros.count ? zeros : Array(piece), at: offset, path + "/" + beside)
        }
        try sync(file, beside)
        observer?(.rename(beside, to: name))
        try Self.call("rename", path + "/" + beside) { renameat(root.number, beside, root.number, name) }
        try syncDirectory([])
    }

    func overwrite(
        _ file: Descriptor,
        _ name: String,
        at offset: Int,
        _ bytes: [UInt8]
    ) throws(DatastoreError) {
        observer?(.overwrite(name, offset: offset, bytes))
        try Self.write(file, bytes, at: offset, path + "/" + name)
    }

    func truncate(_ file: Descriptor, _ name: String, to length: Int) throws(DatastoreError) {
        observer?(.truncate(name, length: length))
        let number = file.number
        try Self.call("truncate", path + "/" + name) { ftruncate(number, off_t(length)) }
    }

    func sync(_ file: Descriptor, _ name: String) throws(DatastoreError) {
        observer?(.sync(name))
        let number = file.number
        try Self.call("sync", path + "/" + name) { fdatasync(number) }
    }

    /// Makes the content of the files that exist of these durable.
    func syncFiles(_ paths: [RecordPath], below top: String) throws(DatastoreError) {
        // Few enough at a time for the limit on open files.
        var rest = paths[...]
        while !rest.isEmpty {
            var open: [Int32] = []
            defer { for number in open { close(number) } }
            for path in rest.prefix(256) {
                guard let directory = try openDirectory([top] + path.directory) else { continue }
                let shown = "\(top)/\(path.description)"
                let number = try Self.optional(self.path + "/" + shown) {
                    openat(directory.number, path.name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
                }
                guard let number else { continue }
                open.append(number)
                observer?(.sync(shown))
                // Linux starts writing what is dirty, without waiting; sync_file_range is not in Glibc's module.
                posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED)
            }
            let code = ConcurrentSync.run(open)
            guard code == 0 else { throw Self.failure("sync", path + "/" + top, code) }
            rest = rest.dropFirst(256)
        }
    }

    /// Makes the names in a directory below the root durable; succeeds when it does not exist.
    func syncDirectory(_ parts: [String]) throws(DatastoreError) {
        guard let directory = try openDirectory(parts) else { return }
        let shown = RecordPath.join(parts)
        observer?(.syncDirectory(shown))
        let number = directory.number
        try Self.call("sync", path + "/" + shown) { fsync(number) }
    }

    private static func write(
        _ file: Descriptor,
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
}
