import CNI
import Glibc
import JSON

/// The plugin's stdin and stdout.
enum StandardStreams {
    /// Fills the places of streams that were closed, so that no file of the store gets the number of stdout. What stands
    /// there fails to be read or written, as the closed stream would.
    static func reserve() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
            // `open` takes the lowest free number.
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }

    /// Everything on stdin. Throws code 5 when it cannot be read (V7), code 6 when it is too large.
    static func readInput() throws(CNIError) -> [UInt8] {
        var input: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .systemCall("read", "the network configuration from stdin", errno) }
            guard count > 0 else { return input }
            input += chunk[..<count]
            guard input.count <= maximumConfigurationSize else {
                throw CNIError(
                    .decodingFailure,
                    "the network configuration on stdin is larger than \(maximumConfigurationSize) bytes"
                )
            }
        }
    }

    /// What comes on stdin within a second, or before its end; nothing when that is too much. For an answer that does not
    /// depend on it.
    static func readInputInPassing() -> [UInt8] {
        let end = ContinuousClock.now + .seconds(1)
        var input: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        while input.count <= maximumConfigurationSize {
            let (seconds, attoseconds) = ContinuousClock.now.duration(to: end).components
            var stream = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            let isReady = poll(
                &stream,
                1,
                Int32(clamping: max(0, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
            )
            if isReady < 0, errno == EINTR { continue }
            guard isReady > 0 else { return input }
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return input }
            input += chunk[..<count]
        }
        return []
    }

    /// Writes an answer to stdout. Throws code 5 when nobody takes it.
    static func write(_ answer: JSONValue) throws(CNIError) {
        let bytes = Array((answer.text(indentation: 4) + "\n").utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .systemCall("write", "the answer to stdout", errno) }
            written += count
        }
    }
}
