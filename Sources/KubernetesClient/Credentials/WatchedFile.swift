import Glibc
import Synchronization

/// A small file that others replace now and then: read when it is first needed, and again when it changed.
struct WatchedFile: Sendable {
    let path: String
    private var bytes: [UInt8]?
    private var stamp: Stamp?
    private var checked: ContinuousClock.Instant?

    /// How long a file is taken to be as it was.
    static let interval: Duration = .seconds(2)
    private static let sizeLimit = 1 << 20

    /// What changes when a file is written or replaced, also when it is reached through links (mounted Secrets).
    private struct Stamp: Hashable {
        let device: UInt64
        let inode: UInt64
        let size: Int64
        let seconds: Int
        let nanoseconds: Int
    }

    struct Unreadable: Error {
        let reason: String
    }

    init(_ path: String) {
        self.path = path
    }

    /// The content of the file.
    ///
    /// - Parameter isForced: whether the file is read whatever it looks like.
    /// - Throws: `Unreadable` when the file cannot be read now. A content read before stays ``last``.
    mutating func read(now: ContinuousClock.Instant, isForced: Bool = false) throws(Unreadable) -> [UInt8] {
        if let bytes, let checked, !isForced, now - checked < Self.interval { return bytes }
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw Unreadable(reason: String(cString: strerror(errno))) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw Unreadable(reason: String(cString: strerror(errno))) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Unreadable(reason: "it is no file") }
        let found = Stamp(
            device: UInt64(status.st_dev),
            inode: UInt64(status.st_ino),
            size: Int64(status.st_size),
            seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec
        )
        if let bytes, stamp == found, !isForced {
            checked = now
            return bytes
        }
        let content = try Self.content(of: file)
        bytes = content
        stamp = found
        checked = now
        return content
    }

    /// What was read last.
    var last: [UInt8]? { bytes }

    private static func content(of file: CInt) throws(Unreadable) -> [UInt8] {
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Unreadable(reason: String(cString: strerror(errno))) }
            guard count > 0 else { return content }
            content += buffer[..<count]
            guard content.count <= sizeLimit else { throw Unreadable(reason: "it has more than \(sizeLimit) bytes") }
        }
    }
}
