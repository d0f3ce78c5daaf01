import Glibc

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

    deinit { if descriptor != STDIN_FILENO { close(descriptor) } }

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
