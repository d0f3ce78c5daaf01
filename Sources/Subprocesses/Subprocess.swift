import Dispatch
import Glibc
import Synchronization

// Subprocesses: one program at a time, started, fed and waited for. What it is for is not known here.

/// One run of a program that prints something: without a shell, for a limited time, with a limited output.
public struct Subprocess: Sendable {
    /// A path, or a name that is looked up in PATH of the environment.
    let command: String
    let arguments: [String]
    let environment: [String: String]
    /// What it can read; `nil` for nothing.
    let input: [UInt8]?
    let timeout: Duration
    let outputLimit: Int
    let keepsErrors: Bool

    /// - Parameters:
    ///   - command: a path, or a name that is looked up in PATH of the environment.
    ///   - input: what it can read; `nil` for nothing.
    ///   - outputLimit: in bytes.
    ///   - keepsErrors: whether the error output counts as output; else it is thrown away, as it could hold secrets.
    public init(
        command: String,
        arguments: [String],
        environment: [String: String],
        input: [UInt8]? = nil,
        timeout: Duration,
        outputLimit: Int,
        keepsErrors: Bool = false
    ) {
        self.command = command
        self.arguments = arguments
        self.environment = environment
        self.input = input
        self.timeout = timeout
        self.outputLimit = outputLimit
        self.keepsErrors = keepsErrors
    }

    /// How a program ended that was not killed.
    public struct Ending: Hashable, Sendable {
        public let status: Int32
        public let output: [UInt8]
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
            return .success(try block())
        } catch {
            return .failure(error)
        }
    }

    private func block() throws(Failure) -> Ending {
        guard let path = executable else { throw .notFound }
        let (process, output) = try Self.spawning.withLock { _ throws(Failure) in try start(path) }
        defer { close(output) }
        do throws(Failure) {
            let deadline = ContinuousClock.now + timeout
            let text = try read(output, until: deadline)
            return Ending(status: try wait(for: process, until: deadline), output: text)
        } catch {
            if error == .timeout || error == .tooMuchOutput {
                // Its children too: they are of its group.
                kill(-process, SIGKILL)
                var status: CInt = 0
                while waitpid(process, &status, 0) < 0, errno == EINTR {}
            }
            throw error
        }
    }

    /// One at a time: a program must not inherit the pipe of another before it is marked.
    private static let spawning = Mutex(())

    private func start(_ path: String) throws(Failure) -> (process: pid_t, output: CInt) {
        var ends: [CInt] = [0, 0]
        guard pipe(&ends) == 0 else { throw .notStarted(Self.text(errno)) }
        defer { close(ends[1]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        do throws(Failure) {
            guard let input else { return (try spawn(path, input: nil, output: ends[1]), ends[0]) }
            let (source, ours) = try Self.socketPair()
            defer { close(source) }
            do throws(Failure) {
                let process = try spawn(path, input: source, output: ends[1])
                // On a thread of its own: it may print before it has read all.
                DispatchQueue.global().async { Self.write(input, to: ours) }
                return (process, ends[0])
            } catch {
                close(ours)
                throw error
            }
        } catch {
            close(ends[0])
            throw error
        }
    }

    /// A socket, as one can be written to without a signal when nobody reads.
    private static func socketPair() throws(Failure) -> (CInt, CInt) {
        var ends: [CInt] = [0, 0]
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw .notStarted(text(errno))
        }
        return (ends[0], ends[1])
    }

    private static func write(_ input: [UInt8], to socket: CInt) {
        defer { close(socket) }
        var rest = input[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }  // It reads no more; how it ends says why.
            rest.removeFirst(count)
        }
    }

    private var executable: String? {
        if command.contains("/") { return access(command, F_OK) == 0 ? command : nil }
        let directories = (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
        return directories.lazy.map { "\($0)/\(command)" }.first { access($0, X_OK) == 0 }
    }

    private func spawn(_ path: String, input: CInt?, output: CInt) throws(Failure) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        if keepsErrors {
            posix_spawn_file_actions_adddup2(&actions, output, 2)
        } else {
            // What it says there could be secret, and would end in the log of whoever runs us.
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own, so that all of it can be ended; and no signal blocked or ignored as we may have them.
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))

        let words = ([path] + arguments).map { strdup($0) }
        let variables = environment.map { strdup("\($0.key)=\($0.value)") }
        defer { for text in words + variables { free(text) } }
        var process: pid_t = 0
        let result = posix_spawn(&process, path, &actions, &attributes, words + [nil], variables + [nil])
        guard result == 0 else { throw result == ENOENT ? .notFound : .notStarted(Self.text(result)) }
        return process
    }

    private func read(_ output: CInt, until deadline: ContinuousClock.Instant) throws(Failure) -> [UInt8] {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw .timeout }
            var waited = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            let ready = poll(&waited, 1, CInt(min(left / .milliseconds(1) + 1, 1_000_000)))
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else { throw .timeout }
            let count = buffer.withUnsafeMutableBytes { Glibc.read(output, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return text }
            text += buffer[..<count]
            guard text.count <= outputLimit else { throw .tooMuchOutput }
        }
    }

    private func wait(for process: pid_t, until deadline: ContinuousClock.Instant) throws(Failure) -> Int32 {
        var status: CInt = 0
        var pause: UInt32 = 50
        while true {
            let ended = waitpid(process, &status, WNOHANG)
            if ended == process { break }
            if ended < 0, errno != EINTR { throw .notStarted(Self.text(errno)) }
            guard ContinuousClock.now < deadline else { throw .timeout }
            // It has closed its output, so that it is about to end.
            usleep(pause)
            pause = min(pause * 2, 2_000)
        }
        if status & 0x7f != 0 { throw .signal(status & 0x7f) }
        return status >> 8 & 0xff
    }

    private static func text(_ error: CInt) -> String { String(cString: strerror(error)) }
}
