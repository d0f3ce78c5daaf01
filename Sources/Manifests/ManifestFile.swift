import FoundationEssentials
import Glibc

/// A file of the directory, as far as reading it goes.
enum ManifestFile {
    /// Larger files are refused: nothing that a person or a tool writes for one node gets near.
    static let sizeLimit = 64 << 20

    /// Tells versions of a file apart.
    struct Signature: Hashable {
        let device: UInt
        let inode: UInt
        let size: Int
        let modifiedSeconds: Int
        let modifiedNanoseconds: Int

        init(_ status: stat) {
            device = UInt(status.st_dev)
            inode = UInt(status.st_ino)
            size = Int(status.st_size)
            modifiedSeconds = status.st_mtim.tv_sec
            modifiedNanoseconds = status.st_mtim.tv_nsec
        }
    }

    enum Content {
        case bytes([UInt8], Signature)
        /// The path leads to no file (any more).
        case missing
        /// It is not a regular file, and nobody expects it to be read.
        case notAFile
    }

    static func isManifestName(_ name: String) -> Bool {
        !name.hasPrefix(".") && [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) }
    }

    /// Whether a name was made for content that exists already, so that nobody will write it now.
    static func isLink(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && (status.st_mode & S_IFMT == S_IFLNK || status.st_nlink > 1)
    }

    /// `nil` when the path leads to no regular file.
    static func signature(_ path: String) -> Signature? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Signature(status)
    }

    static func read(_ path: String) throws(ManifestError) -> Content {
        // A FIFO must not block us, and a device not be woken.
        var status = stat()
        guard stat(path, &status) == 0 else { return try missingOrFailure() }
        guard status.st_mode & S_IFMT == S_IFREG else { return .notAFile }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return try missingOrFailure() }
        defer { close(descriptor) }
        guard fstat(descriptor, &status) == 0 else { throw failure(errno) }
        let size = Int(status.st_size)
        guard size <= sizeLimit else {
            throw ManifestError(line: nil, reason: "larger than \(sizeLimit >> 20) MiB (\(size) bytes)")
        }
        var bytes = [UInt8](repeating: 0, count: size + 1)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress.map { $0 + length }, buffer.count - length)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(errno) }
            if count == 0 { break }
            length += count
        }
        // One byte more than there should be was asked for: someone is writing.
        guard length <= size else { throw ManifestError(line: nil, reason: "is growing while it is read") }
        bytes.removeLast(bytes.count - length)
        return .bytes(bytes, Signature(status))
    }

    private static func missingOrFailure() throws(ManifestError) -> Content {
        let code = errno
        guard code == ENOENT || code == ENOTDIR else { throw failure(code) }
        return .missing
    }

    private static func failure(_ code: CInt) -> ManifestError {
        ManifestError(line: nil, reason: "cannot be read: \(String(cString: strerror(code)))")
    }
}
