import Glibc

/// The output of the process, written at once.
enum StandardStreams {
    static func write(_ text: String, toErrors: Bool) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { bytes in
                Glibc.write(toErrors ? STDERR_FILENO : STDOUT_FILENO, bytes.baseAddress, bytes.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }  // Nobody reads; there is nobody to tell.
            rest.removeFirst(count)
        }
    }
}
