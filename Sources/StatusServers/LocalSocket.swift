import Glibc

/// A Unix socket in the file system that a server listens on, for its owner alone to connect to.
struct LocalSocket: Sendable {
    let path: String
    /// Bound, not listening yet; whoever takes it closes it.
    let descriptor: CInt
    /// Which file it is, so that nobody else's is removed later.
    private let inode: UInt

    /// - Throws: ``LocalSocketError``
    init(path: String) throws(LocalSocketError) {
        try Self.makeDirectory(of: path)
        try Self.removeStale(path)
        let descriptor = try Self.open(path)
        // The file gets the mode of the socket, so that it is never open to others, not even for a moment.
        let code = fchmod(descriptor, 0o600) == 0 ? Self.withAddress(path) { bind(descriptor, $0, $1) } : errno
        guard code == 0 else {
            close(descriptor)
            throw LocalSocketError(path, code == EADDRINUSE ? "another process has just taken it" : Self.text(code))
        }
        self.path = path
        self.descriptor = descriptor
        inode = Self.inode(of: path) ?? 0
    }

    /// Takes the file away, unless it is another one by now.
    func remove() {
        if Self.inode(of: path) == inode { unlink(path) }
    }

    private static func open(_ path: String) throws(LocalSocketError) -> CInt {
        let descriptor = socket(
            AF_UNIX,
            CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue),
            0
        )
        guard descriptor >= 0 else { throw LocalSocketError(path, text(errno)) }
        return descriptor
    }

    private static func makeDirectory(of path: String) throws(LocalSocketError) {
        guard path.utf8.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path) else {
            throw LocalSocketError(path, "the path is longer than the 107 bytes that Unix sockets have")
        }
        guard path.hasPrefix("/"), let end = path.lastIndex(of: "/"), path.index(after: end) < path.endIndex else {
            throw LocalSocketError(path, "it is no absolute path of a file")
        }
        let directory = String(path[..<end])
        guard !directory.isEmpty, mkdir(directory, 0o755) != 0, errno != EEXIST else { return }
        throw LocalSocketError(path, "cannot make \(directory): \(text(errno))")
    }

    /// A process that was killed leaves its file behind; nobody listens there.
    private static func removeStale(_ path: String) throws(LocalSocketError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw LocalSocketError(path, "something that is no socket is there; remove it, or name another path")
        }
        let probe = try open(path)
        defer { close(probe) }
        switch withAddress(path, { connect(probe, $0, $1) }) {
        case ECONNREFUSED:
            guard unlink(path) == 0 || errno == ENOENT else { throw LocalSocketError(path, text(errno)) }
        case ENOENT: return
        // EAGAIN: it listens, and its queue is full.
        case 0, EAGAIN: throw LocalSocketError(path, "another process listens there")
        case let code: throw LocalSocketError(path, text(code))
        }
    }

    private static func inode(of path: String) -> UInt? {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt(status.st_ino) : nil
    }

    private static func text(_ code: CInt) -> String { String(cString: strerror(code)) }

    /// - Returns: 0 or an error number.
    private static func withAddress(
        _ path: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 ? 0 : errno
            }
        }
    }
}

/// Why a server cannot listen on a Unix socket.
public struct LocalSocketError: Error, Hashable, Sendable, CustomStringConvertible {
    public let path: String
    public let reason: String

    init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    public var description: String { "\(path): \(reason)" }
}
