import Glibc
import IPAM

/// Text on the standard streams.
enum Output {
    /// Whether stdout is a terminal that shows colours, and its user wants them (https://no-color.org).
    static var isColoured: Bool {
        func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }
        return isTerminal && variable("NO_COLOR").isEmpty && variable("TERM") != "dumb"
    }

    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// What the last system call that failed says.
    static var systemError: String { String(cString: strerror(errno)) }

    /// Prints text that ends with its own newline, or adds one. Ends the program when stdout takes no more, as a full
    /// disk or a reader that went away.
    static func print(_ text: String) {
        write(text.hasSuffix("\n") ? text : text + "\n", to: STDOUT_FILENO)
    }

    /// Prints a part of a line.
    static func printPart(_ text: String) { write(text, to: STDOUT_FILENO) }

    static func error(_ text: String) {
        guard !text.isEmpty else { return }
        write(text.hasSuffix("\n") ? text : text + "\n", to: STDERR_FILENO)
    }

    /// Says that a record is missing from what is printed.
    static func leaveOut(_ record: UnreadableRecord) {
        error("warning: left out, as it cannot be read: \(record)")
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                // Nobody reads any more, which SIGPIPE usually says; or the disk is full, which has to be known.
                let reason = systemError
                if descriptor == STDOUT_FILENO, errno != EPIPE { error("cannot write to stdout: \(reason)") }
                Glibc.exit(Failure.Status.error.rawValue)
            }
            rest = rest.dropFirst(count)
        }
    }
}
