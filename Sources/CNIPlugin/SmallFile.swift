import CNI
import Glibc

/// Reads the one-line files that a node's agent leaves for the plugin: the node's name, the MTU.
enum SmallFile {
    /// No such file is longer; whatever is, is not one of them.
    private static let maximumSize = 4096

    /// The content without the white space around it, or `nil` when there is no such file.
    ///
    /// Throws code 5 when it is there and cannot be read, code 6 when it is no short text file.
    static func contents(_ path: String) throws(CNIError) -> String? {
        guard !path.utf8.contains(0) else {
            throw CNIError(.invalidConfiguration, "a path has a NUL byte", details: path.quoted)
        }
        // Not blocking, in case that somebody put a FIFO there.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw .systemCall("open", path, errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .systemCall("stat", path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= maximumSize else {
            throw CNIError(.decodingFailure, "\(path) is not a short text file")
        }
        var bytes = [UInt8](repeating: 0, count: maximumSize)
        let count = read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw .systemCall("read", path, errno) }
        var (start, end) = (0, count)
        while start < end, isSpace(bytes[start]) { start += 1 }
        while start < end, isSpace(bytes[end - 1]) { end -= 1 }
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
}

extension CNIError {
    /// Code 5 with what the operating system said.
    static func systemCall(_ call: String, _ path: String, _ code: Int32) -> CNIError {
        CNIError(.ioFailure, "cannot \(call) \(path): \(String(cString: strerror(code)))")
    }
}
