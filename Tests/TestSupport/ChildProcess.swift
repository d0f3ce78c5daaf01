import Dispatch
import Foundation
import Glibc
import Synchronization

/// A program that a test started, by its process id; killed when the value is let go while it runs.
public final class ChildProcess: Sendable {
    public let id: pid_t
    private let output: Int32

    /// Starts a program; its standard output can be read, its error output is the test's.
    public init(_ path: String, _ arguments: [String]) throws {
        (id, output) = try Self.spawning.withLock { _ in try Self.spawn(path, arguments) }
    }

    /// One at a time: a child must not inherit the pipe of another before it is marked.
    private static let spawning = Mutex(())

    private static func spawn(_ path: String, _ arguments: [String]) throws -> (pid_t, Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        var child: pid_t = 0
        let words = ([path] + arguments).map { strdup($0) }
        defer { words.forEach { free($0) } }
        let result = posix_spawn(&child, path, &actions, nil, words + [nil], environ)
        close(ends[1])
        guard result == 0 else {
            close(ends[0])
            throw POSIXError(.init(rawValue: result) ?? .EIO)
        }
        return (child, ends[0])
    }

    deinit {
        close(output)
    }

    public func kill() { Glibc.kill(id, SIGKILL) }

    /// Waits for the end; the lines that were printed, and the signal or exit status.
    public func wait() async -> (lines: [String], status: ExitStatus) {
        // On a thread of its own, so that tests beside this one go on.
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: self.block()) }
        }
    }

    private func block() -> (lines: [String], status: ExitStatus) {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(output, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes += buffer[..<count]
        }
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        return (lines, status & 0x7f == 0 ? .exited(status >> 8 & 0xff) : .killed(status & 0x7f))
    }

    public enum ExitStatus: Equatable, Sendable {
        case exited(Int32)
        case killed(Int32)
    }

    /// A program of this package: the one in the directory that the environment variable `SWIFTLET_PROGRAMS` names, as that
    /// of a release build, else the one built beside the tests.
    public static func sibling(_ name: String) throws -> String {
        if let directory = ProcessInfo.processInfo.environment["SWIFTLET_PROGRAMS"] {
            let path = URL(fileURLWithPath: directory).appendingPathComponent(name).path
            if access(path, X_OK) == 0 { return path }
        }
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent(name).path
    }
}
