import Glibc

/// Where an export or a report goes: a file of mode 0600 that appears when it is complete, or stdout. What is no regular
/// file, such as a pipe or /dev/stdout, is written to as it is.
final class RecordOutput {
    private let descriptor: Int32
    private let path: String
    /// What is written before it gets its name; `nil` when nothing is renamed.
    private let temporary: String?
    private var pending: [UInt8] = []
    private var isFinished = false

    init(_ path: String) throws {
        self.path = path == "-" ? "stdout" : path
        guard path != "-" else {
            descriptor = STDOUT_FILENO
            temporary = nil
            return
        }
        var status = stat()
        guard stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG else {
            descriptor = open(path, O_WRONLY | O_CLOEXEC)
            temporary = nil
            guard descriptor >= 0 else { throw Failure.systemCall("write", path) }
            return
        }
        let temporary = path + ".part"
        // One that was left over may have another mode, or be a link.
        unlink(temporary)
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Failure.systemCall("write", temporary) }
        self.temporary = temporary
    }

    deinit {
        guard !isFinished, let temporary else { return }
        close(descriptor)
        unlink(temporary)
    }

    func write(_ bytes: [UInt8]) throws {
        pending += bytes
        if pending.count >= 1 << 16 { try flush() }
    }

    func finish() throws {
        try flush()
        guard let temporary else { return }
        guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw Failure.systemCall("write", path) }
        isFinished = true
        close(descriptor)
    }

    private func flush() throws {
        var rest = pending[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure.systemCall("write", path) }
            rest = rest.dropFirst(count)
        }
        pending = []
    }
}
