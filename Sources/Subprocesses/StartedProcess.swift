import Glibc
import Synchronization

/// A program that runs, with our ends of its streams.
struct StartedProcess: ~Copyable {
    private let identifier: pid_t
    private let source: PipeEnd
    private let sink: PipeEnd

    /// One at a time: a program must not inherit the pipe of another before it is marked.
    private static let spawning = Mutex(())
    /// How long a file that is being installed is waited for.
    private static let busyPause: UInt32 = 50_000
    private static let busyPatience = Duration.seconds(1)

    init(_ program: borrowing Subprocess, _ path: String, until deadline: ContinuousClock.Instant)
        throws(Subprocess.Failure)
    {
        let patience = min(ContinuousClock.now + Self.busyPatience, deadline)
        while true {
            do throws(SpawnError) {
                (identifier, source, sink) = try Self.start(copy program, path)
                return
            } catch {
                switch error.code {
                case ETXTBSY where ContinuousClock.now < patience: usleep(Self.busyPause)
                case ENOENT: throw .notFound
                default: throw .notStarted(Subprocess.text(error.code))
                }
            }
        }
    }

    private static func start(_ program: Subprocess, _ path: String) throws(SpawnError) -> (pid_t, PipeEnd, PipeEnd) {
        try spawning.withLock { _ throws(SpawnError) in
            let (output, theirOutput) = try pipe()
            let (theirInput, input) = program.input == nil ? (nil, PipeEnd(-1)) : try pipe()
            // Theirs are open until it has them.
            defer { withExtendedLifetime((theirInput, theirOutput)) {} }
            return (try spawn(program, path, input: theirInput, output: theirOutput), input, output)
        }
    }

    private static func pipe() throws(SpawnError) -> (reading: PipeEnd, writing: PipeEnd) {
        var ends: [CInt] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw SpawnError(code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (PipeEnd(ends[0]), PipeEnd(ends[1]))
    }

    private static func spawn(
        _ program: Subprocess,
        _ path: String,
        input: PipeEnd?,
        output: PipeEnd
    ) throws(SpawnError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input.descriptor, STDIN_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, output.descriptor, STDOUT_FILENO)
        switch program.errors {
        case .discarded: posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        case .kept: posix_spawn_file_actions_adddup2(&actions, output.descriptor, STDERR_FILENO)
        case .inherited: break
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

        let words = ([path] + program.arguments).map { strdup($0) }
        let variables = program.environment.map { strdup("\($0.key)=\($0.value)") }
        defer { for text in words + variables { free(text) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, path, &actions, &attributes, words + [nil], variables + [nil])
        guard code == 0 else { throw SpawnError(code: code) }
        return process
    }

    private struct SpawnError: Error {
        let code: CInt
    }

    // MARK: Talking

    /// Writes the input and reads the output, whichever is ready, so that neither side waits for the other.
    func exchange(
        _ input: [UInt8],
        limit: Int,
        until deadline: ContinuousClock.Instant
    ) throws(Subprocess.Failure) -> [UInt8] {
        let pipeSignal = BlockedPipeSignal()
        defer { pipeSignal.unblock() }
        var written = 0
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        for end in [source, sink] { _ = fcntl(end.descriptor, F_SETFL, O_NONBLOCK) }
        if input.isEmpty { source.close() }
        while true {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw .timeout }
            var ends = [
                pollfd(fd: sink.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: source.descriptor, events: Int16(POLLOUT), revents: 0),
            ]
            let ready = poll(&ends, 2, CInt(min(left / .milliseconds(1) + 1, 1_000_000)))
            guard ready > 0 else { continue }
            if ends[1].revents != 0 {
                let count = input[written...].withUnsafeBytes { write(source.descriptor, $0.baseAddress, $0.count) }
                if count > 0 { written += count }
                // What it does not read it does not want; how it ends says why.
                if written == input.count || count < 0 && errno != EAGAIN && errno != EINTR { source.close() }
            }
            guard ends[0].revents != 0 else { continue }
            let count = buffer.withUnsafeMutableBytes { read(sink.descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EAGAIN || errno == EINTR { continue }
            guard count > 0 else { return output }
            output += buffer[..<count]
            guard output.count <= limit else { throw .tooMuchOutput }
        }
    }

    /// Its exit status.
    func wait(until deadline: ContinuousClock.Instant) throws(Subprocess.Failure) -> Int32 {
        // It may still read, and has closed its output, so that it is about to end.
        source.close()
        var status: CInt = 0
        var pause: UInt32 = 50
        while true {
            let ended = waitpid(identifier, &status, WNOHANG)
            if ended == identifier { break }
            if ended < 0, errno != EINTR { throw .notStarted(Subprocess.text(errno)) }
            guard ContinuousClock.now < deadline else { throw .timeout }
            usleep(pause)
            pause = min(pause * 2, 2_000)
        }
        if status & 0x7f != 0 { throw .signal(status & 0x7f) }
        return status >> 8 & 0xff
    }

    /// Ends it with all that it started: they are of its group, whose number nobody else gets before it is waited for.
    func kill() {
        Glibc.kill(-identifier, SIGKILL)
        Glibc.kill(identifier, SIGKILL)
        var status: CInt = 0
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
    }
}

extension Subprocess {
    static func text(_ error: CInt) -> String { String(cString: strerror(error)) }
}

/// One end of a pipe; closed at the latest when it is forgotten.
private final class PipeEnd {
    /// Negative when it is closed, which poll(2) passes over.
    private(set) var descriptor: CInt

    init(_ descriptor: CInt) {
        self.descriptor = descriptor
    }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    deinit { close() }
}

/// Keeps SIGPIPE, which comes of writing to a program that reads no more, from this thread, whatever the process does
/// with it.
private struct BlockedPipeSignal {
    private var signals = sigset_t()
    private var former = sigset_t()
    private let wasPending: Bool

    init() {
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        var pending = sigset_t()
        sigpending(&pending)
        wasPending = sigismember(&pending, SIGPIPE) == 1
        pthread_sigmask(SIG_BLOCK, &signals, &former)
    }

    /// With the signal that came meanwhile taken away.
    func unblock() {
        var (signals, former) = (signals, former)
        var noTime = timespec()
        if !wasPending { while sigtimedwait(&signals, nil, &noTime) < 0, errno == EINTR {} }
        pthread_sigmask(SIG_SETMASK, &former, nil)
    }
}
