import Glibc
import Stores

/// Where an export goes: a file that appears when it is complete, or stdout.
final class RecordOutput {
    private let descriptor: Int32
    private let paths: (temporary: String, final: String)?
    private var pending: [UInt8] = []

    init(_ path: String) throws {
        guard path != "-" else {
            descriptor = STDOUT_FILENO
            paths = nil
            return
        }
        let temporary = path + ".part"
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Failure.systemCall("write", temporary) }
        paths = (temporary, path)
    }

    func write(_ bytes: [UInt8]) throws {
        pending += bytes
        if pending.count >= 1 << 16 { try flush() }
    }

    func finish() throws {
        try flush()
        guard let paths else { return }
        guard fsync(descriptor) == 0, close(descriptor) == 0, rename(paths.temporary, paths.final) == 0 else {
            throw Failure.systemCall("write", paths.final)
        }
    }

    private func flush() throws {
        var rest = pending[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure.systemCall("write", paths?.temporary ?? "stdout") }
            rest = rest.dropFirst(count)
        }
        pending = []
    }
}

/// The lines of an export, from a file or stdin.
final class RecordInput {
    /// A record is up to some hundred kilobytes.
    private static let longestLine = 16 << 20

    private static let largestFile = 256 << 20

    private let descriptor: Int32
    private let name: String
    private var pending: [UInt8] = []
    private var start = 0
    private var hasEnded = false

    init(_ path: String) throws {
        name = path == "-" ? "stdin" : path
        descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure.systemCall("read", path) }
    }

    /// Everything that is left, up to some hundred megabytes.
    func all() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let line = try next() {
            bytes += line
            bytes.append(UInt8(ascii: "\n"))
            guard bytes.count <= Self.largestFile else {
                throw Failure(status: .error, message: "\(name) is larger than 256 MiB")
            }
        }
        return bytes
    }

    /// The next line without its end.
    func next() throws -> [UInt8]? {
        var searched = start
        while true {
            if let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return Array(pending[start..<end])
            }
            if hasEnded {
                defer { start = pending.count }
                return start < pending.count ? Array(pending[start...]) : nil
            }
            pending.removeFirst(start)
            start = 0
            searched = pending.count
            guard searched <= Self.longestLine else {
                throw Failure(status: .error, message: "\(name) has a line of more than 16 MiB; it is no export")
            }
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure.systemCall("read", name) }
            hasEnded = count == 0
            pending += buffer[..<count]
        }
    }
}

extension Failure {
    static func systemCall(_ verb: String, _ path: String) -> Failure {
        Failure(status: .error, message: "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}
