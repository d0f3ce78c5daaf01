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
