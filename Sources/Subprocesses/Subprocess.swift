import Dispatch
import Glibc

// Subprocesses: one program at a time, started, fed and waited for. What it is for is not known here.

/// One run of a program that prints something: without a shell, for a limited time, with a limited output.
public struct Subprocess: Sendable {
    /// A path, or a name that is looked up in PATH of the environment.
    let command: String
    let arguments: [String]
    let environment: [String: String]
    let input: [UInt8]?
    let timeout: Duration
    let outputLimit: Int
    let errors: Errors

    /// What becomes of the error output.
    public enum Errors: Sendable {
        /// Thrown away: it could hold secrets, and would end in the log of whoever runs us.
        case discarded
        /// Counts as output.
        case kept
        /// Goes where our own goes.
        case inherited
    }

    /// - Parameters:
    ///   - command: a path, or a name that is looked up in PATH of the environment.
    ///   - input: what it can read, from a pipe; `nil` for nothing.
    ///   - timeout: when that is over, the program is killed with all that it started.
    ///   - outputLimit: in bytes.
    public init(
        command: String,
        arguments: [String] = [],
        environment: [String: String],
        input: [UInt8]? = nil,
        timeout: Duration,
        outputLimit: Int,
        errors: Errors = .discarded
    ) {
        self.command = command
        self.arguments = arguments
        self.environment = environment
        self.input = input
        self.timeout = timeout
        self.outputLimit = outputLimit
        self.errors = errors
    }

    /// How a program ended that was not killed.
    public struct Ending: Hashable, Sendable {
        public let status: Int32
        public let output: [UInt8]

        public init(status: Int32, output: [UInt8]) {
            self.status = status
            self.output = output
        }
    }

    public enum Failure: Error, Hashable {
        case notFound
        case notStarted(String)
        case timeout
        case tooMuchOutput
        case status(Int32)
        case signal(Int32)
    }

    /// What the program printed.
    ///
    /// - Throws: also when it ended with another status than 0.
    public func run() async throws(Failure) -> [UInt8] {
        let ending = try await end()
        guard ending.status == 0 else { throw .status(ending.status) }
        return ending.output
    }

    /// Runs it to its end, whatever its status.
    public func end() async throws(Failure) -> Ending {
        // On a thread that may wait, since there is nothing here that tells of the end of a process.
        let result: Result<Ending, Failure> = await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: self.result()) }
        }
        return try result.get()
    }

    private func result() -> Result<Ending, Failure> {
        do throws(Failure) {
            return .success(try endOnCallingThread())
        } catch {
            return .failure(error)
        }
    }

    /// As ``end()``, for a caller whose thread has nothing else to do.
    public func endOnCallingThread() throws(Failure) -> Ending {
        guard let path = executable else { throw .notFound }
        let deadline = ContinuousClock.now + timeout
        let process = try StartedProcess(self, path, until: deadline)
        do throws(Failure) {
            let output = try process.exchange(input ?? [], limit: outputLimit, until: deadline)
            return Ending(status: try process.wait(until: deadline), output: output)
        } catch {
            if error == .timeout || error == .tooMuchOutput { process.kill() }
            throw error
        }
    }

    private var executable: String? {
        if command.contains("/") { return access(command, F_OK) == 0 ? command : nil }
        let directories = (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
        return directories.lazy.map { "\($0)/\(command)" }.first { access($0, X_OK) == 0 }
    }
}
