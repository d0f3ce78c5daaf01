import Foundation
import Glibc

/// A server that a test started. It ends with the process that started it, however that ends.
final class ServerProcess: Sendable {
    /// A server is not installed, or did not do what it should.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let id: pid_t
    private let shell: Process
    /// The server is killed when this is closed.
    private let lifeline: Pipe

    /// - Parameter log: the file for all that it prints.
    init(_ program: String, _ arguments: [String], log: String) throws {
        let script = """
            program="$1" log="$2"; shift 2
            "$program" "$@" >"$log" 2>&1 </dev/null &
            echo $!
            cat >/dev/null
            kill -9 $!
            wait
            """
        shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", script, "sh", program, log] + arguments
        lifeline = Pipe()
        let output = Pipe()
        // Other children of the test would keep the server alive.
        _ = fcntl(lifeline.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
        shell.standardInput = lifeline
        shell.standardOutput = output
        try shell.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let id = pid_t(line.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw Failure(description: "the shell that starts \(program) said \(line.debugDescription)")
        }
        self.id = id
    }

    var isRunning: Bool { kill(id, 0) == 0 }

    /// Kills it (SIGKILL) and waits for the end.
    func stop() {
        try? lifeline.fileHandleForWriting.close()
        shell.waitUntilExit()
    }
}
