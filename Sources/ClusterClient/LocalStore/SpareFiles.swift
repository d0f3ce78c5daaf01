import Glibc

/// Files of removed records, kept to be the files of new ones.
///
/// Pods come and go, and with each a few small files. To rename one and write it anew spares the file system what making
/// and removing files costs: where an ext4 has no journal, it looks past every file that was removed in the last minutes
/// to make one, 0.5 ms for a hundred of them.
///
/// They are `spare/1`, `spare/2` and so on. How many there are is noted with what is applied; when that note does not
/// hold, they are removed, and none is used while the journal is replayed: after a power loss a file may have two names,
/// the one that it was to lose and the one that it was to get.
struct SpareFiles {
    private(set) var count: Int
    private let limit: Int

    /// As many as the pods of a large node have.
    init(count: Int) {
        self.count = count
        limit = 512
    }

    private init() {
        count = 0
        limit = 0
    }

    /// Has none and takes none.
    static let none = SpareFiles()
    static let directory = "spare"
    /// In bytes; a longer file would keep more room than it is worth.
    static let longest: off_t = 64 << 10

    /// The name of the file to use next.
    mutating func pop() -> String? {
        guard count > 0 else { return nil }
        defer { count -= 1 }
        return "\(count)"
    }

    /// The name for one more.
    mutating func push() -> String? {
        guard count < limit else { return nil }
        count += 1
        return "\(count)"
    }
}

extension StoreFiles {
    /// Renames a spare file, content and all.
    ///
    /// - Returns: `false` when there is none.
    func takeSpare(
        _ spares: inout SpareFiles,
        as name: String,
        in directory: Descriptor,
        _ shown: String
    ) throws(DatastoreError) -> Bool {
        guard let spare = spares.pop(), let store = try openDirectory([SpareFiles.directory]) else { return false }
        observer?(.rename("\(SpareFiles.directory)/\(spare)", to: shown))
        while renameat(store.number, spare, directory.number, name) != 0 {
            if errno == ENOENT { return false }
            guard errno == EINTR else { throw Self.failure("rename", path + "/" + shown, errno) }
        }
        return true
    }

    /// Removes a file, or makes it a spare one; succeeds when it does not exist.
    func remove(_ name: String, in parts: [String], _ spares: inout SpareFiles) throws(DatastoreError) {
        guard let directory = try openDirectory(parts) else { return }
        let shown = RecordPath.join(parts + [name])
        var status = stat()
        if fstatat(directory.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_size <= SpareFiles.longest,
            let spare = spares.push()
        {
            var store = try openDirectory([SpareFiles.directory])
            if store == nil {
                try makeDirectories([SpareFiles.directory])
                store = try openDirectory([SpareFiles.directory])
            }
            if let store {
                observer?(.rename(shown, to: "\(SpareFiles.directory)/\(spare)"))
                let result = try Self.optional(path + "/" + shown) {
                    renameat(directory.number, name, store.number, spare)
                }
                if result == nil { _ = spares.pop() }
                return
            }
        }
        observer?(.remove(shown))
        try Self.call("remove", path + "/" + shown) {
            let result = unlinkat(directory.number, name, 0)
            return result != 0 && errno == ENOENT ? 0 : result
        }
    }

    /// Removes all spare files.
    func removeSpares() throws(DatastoreError) {
        guard let store = try openDirectory([SpareFiles.directory]) else { return }
        for (name, isDirectory) in try entries(store, SpareFiles.directory) where !isDirectory {
            let shown = "\(SpareFiles.directory)/\(name)"
            observer?(.remove(shown))
            try Self.call("remove", path + "/" + shown) { unlinkat(store.number, name, 0) }
        }
    }
}
