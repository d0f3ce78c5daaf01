internal import CLinux
import Glibc

/// Why a network namespace cannot be used.
public enum NetworkNamespaceError: Error, Hashable, Sendable {
    /// Nothing is at the path.
    case missing(path: String)
    /// Something is at the path, but it is not a network namespace; `reason` says what it is instead.
    case notANamespace(path: String, reason: String)
    /// A system call failed.
    case systemCall(String, path: String, code: Int32)

    /// Whether the caller lacks the rights.
    public var isPermission: Bool {
        if case .systemCall(_, _, let code) = self { code == EPERM || code == EACCES } else { false }
    }
}

extension NetworkNamespaceError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missing(let path): "network namespace \(path): does not exist"
        case .notANamespace(let path, let reason): "\(path) is not a network namespace: \(reason)"
        case .systemCall(let call, let path, let code): "network namespace \(path): \(call): \(errorText(code))"
        }
    }
}

/// An open network namespace. It exists at least as long as this object does, with or without a path.
public final class NetworkNamespace: Sendable {
    /// What tells one namespace from another, whatever path it was opened by.
    public struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }

    /// The file that keeps the namespace, for IFLA_NET_NS_FD; valid as long as this object lives.
    public let descriptor: Int32
    /// The path by which it was opened, for messages.
    public let path: String
    public let identity: Identity

    private static let ofThisThread = "/proc/thread-self/ns/net"

    /// Opens the namespace at a path, as `/run/netns/NAME` or `/proc/PID/ns/net`.
    public convenience init(path: String) throws(NetworkNamespaceError) {
        guard !path.isEmpty, !path.utf8.contains(0) else { throw .missing(path: path) }
        // Whatever the path is, opening it must neither block (a FIFO) nor change anything (a terminal, a device).
        let descriptor = Glibc.open(path, Self.openPathOnly | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            // ESRCH: a path through /proc, whose process has ended.
            throw [ENOENT, ENOTDIR, ESRCH].contains(code)
                ? .missing(path: path) : .systemCall("open", path: path, code: code)
        }
        defer { close(descriptor) }
        var file = statfs()
        guard fstatfs(descriptor, &file) == 0 else { throw .systemCall("fstatfs", path: path, code: errno) }
        guard file.f_type == Self.nsfsMagic else {
            throw .notANamespace(path: path, reason: Self.kindOfFile(descriptor))
        }
        try self.init(opening: path)
    }

    /// Opens a path that is known to be on nsfs.
    private init(opening path: String) throws(NetworkNamespaceError) {
        descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        self.path = path
        guard descriptor >= 0 else {
            identity = Identity(device: 0, inode: 0)
            throw errno == ENOENT ? .missing(path: path) : .systemCall("open", path: path, code: errno)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            identity = Identity(device: 0, inode: 0)
            throw .systemCall("fstat", path: path, code: errno)
        }
        identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        let type = ioctl(descriptor, Self.getNamespaceType)
        guard type == Self.cloneNewNetwork else {
            throw .notANamespace(path: path, reason: "it is a namespace of another kind")
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// The network namespace of the calling thread.
    public static func current() throws(NetworkNamespaceError) -> NetworkNamespace {
        try NetworkNamespace(opening: ofThisThread)
    }

    /// Makes a new namespace, with nothing but a loopback interface that is down. It goes with the last object,
    /// process or mount that refers to it.
    public static func create() throws -> NetworkNamespace {
        try NamespaceThread.run {
            guard unshare(cloneNewNetwork) == 0 else {
                throw NetworkNamespaceError.systemCall("unshare", path: "(new)", code: errno)
            }
            return try NetworkNamespace(opening: ofThisThread)
        }
    }

    /// Runs `body` on a thread of its own inside this namespace, and waits for it. The thread ends with it, so that
    /// neither the calling thread nor any other ever is in the wrong namespace.
    ///
    /// The calling thread is blocked meanwhile: in asynchronous code use the form with `await`. `body` is `@Sendable`
    /// because it must not belong to an actor, which would trap when it finds itself on this thread.
    /// - Throws: What `body` throws, or ``NetworkNamespaceError`` when the namespace cannot be entered.
    public func run<Value: Sendable>(_ body: @Sendable () throws -> Value) throws -> Value {
        try NamespaceThread.run {
            try self.enter()
            return try body()
        }
    }

    /// Runs `body` on a thread of its own inside this namespace, without blocking the caller's.
    ///
    /// - Throws: What `body` throws, or ``NetworkNamespaceError`` when the namespace cannot be entered.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            // Two threads: whoever resumes a task may make Swift's pool start a thread, which is in the namespace of the
            // one that starts it, and stays there.
            NamespaceThread.start {
                continuation.resume(with: Result { try self.run(body) })
            } onFailure: { error in
                continuation.resume(throwing: error)
            }
        }
    }

    private func enter() throws(NetworkNamespaceError) {
        guard setns(descriptor, Self.cloneNewNetwork) == 0 else {
            throw .systemCall("setns", path: path, code: errno)
        }
    }

    private static func kindOfFile(_ descriptor: Int32) -> String {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return "it is something else" }
        return switch status.st_mode & S_IFMT {
        case S_IFDIR: "it is a directory"
        case S_IFREG: "it is an ordinary file"
        case S_IFIFO: "it is a pipe"
        case S_IFSOCK: "it is a socket"
        default: "it is a device"
        }
    }

    private static let cloneNewNetwork: Int32 = 0x4000_0000  // CLONE_NEWNET, linux/sched.h
    private static let openPathOnly: Int32 = 0o10000000  // O_PATH, asm-generic/fcntl.h
    private static let getNamespaceType: UInt = 0xb703  // NS_GET_NSTYPE, linux/nsfs.h
    private static let nsfsMagic = 0x6e73_6673  // NSFS_MAGIC, linux/magic.h
}

extension NetworkNamespace: Equatable {
    /// Whether both are the same namespace of the kernel.
    public static func == (left: NetworkNamespace, right: NetworkNamespace) -> Bool {
        left.identity == right.identity
    }
}
