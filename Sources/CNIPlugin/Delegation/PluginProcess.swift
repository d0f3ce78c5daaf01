import CNI
import Glibc

/// Another plugin, run once: its stdin and stdout are ours, its stderr goes where ours goes.
struct PluginProcess {
    let file: String
    /// For messages.
    let name: String

    struct Outcome: Sendable {
        /// The exit status; 128 and more for a signal.
        let status: Int32
        let output: [UInt8]
    }

    /// No result is longer.
    private static let maximumOutput = 4 << 20
    /// A file that is being installed is busy for a moment (V10).
    private static let busyAttempts = 10

    /// Throws code 5 when it cannot be run, 11 when it has not ended in time; then it is ended, with all that it started.
    func run(
        environment: [String: String],
        input: [UInt8],
        until deadline: ContinuousClock.Instant
    ) throws(CNIError) -> Outcome {
        let (theirInput, ourInput) = try pipe()
        defer { close(theirInput) }
        let source = OpenEnd(ourInput)
        let (ourOutput, theirOutput) = try pipe()
        let sink = OpenEnd(ourOutput)
        let process: pid_t
        do {
            defer { close(theirOutput) }
            process = try spawn(environment, input: theirInput, output: theirOutput)
        }
        do throws(CNIError) {
            let output = try exchange(input, source, sink, until: deadline)
            return Outcome(status: try wait(for: process, until: deadline), output: output)
        } catch {
            // It leads a group, so that a script's children go with it.
            kill(-process, SIGKILL)
            kill(process, SIGKILL)
            var status: Int32 = 0
            while waitpid(process, &status, 0) < 0, errno == EINTR {}
            throw error
        }
    }

    // MARK: Starting

    private func pipe() throws(CNIError) -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw .systemCall("make", "a pipe to \(name)", errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private func spawn(
        _ environment: [String: String],
        input: Int32,
        output: Int32
    ) throws(CNIError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // What we ignore would stay ignored over there.
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for signal in [SIGPIPE, SIGTERM] { sigaddset(&defaults, signal) }
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETPGROUP))

        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(file), nil]
        var variables: [UnsafeMutablePointer<CChar>?] =
            environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var process: pid_t = 0
        for attempt in 1... {
            let code = posix_spawn(&process, file, &actions, &attributes, &arguments, &variables)
            if code == 0 { break }
            guard code == ETXTBSY, attempt < Self.busyAttempts else { throw .systemCall("start", file, code) }
            usleep(100_000)
        }
        return process
    }

    // MARK: Talking

    /// Writes the input and reads the output, whichever is ready, so that neither side waits for the other.
    private func exchange(
        _ input: [UInt8],
        _ source: OpenEnd,
        _ sink: OpenEnd,
        until deadline: ContinuousClock.Instant
    ) throws(CNIError) -> [UInt8] {
        var written = 0
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        for end in [source, sink] { _ = fcntl(end.descriptor, F_SETFL, O_NONBLOCK) }
        if input.isEmpty { source.close() }
        while true {
            var ends = [
                pollfd(fd: sink.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: source.descriptor, events: Int16(POLLOUT), revents: 0),
            ]
            let left = ContinuousClock.now.duration(to: deadline).components
            let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
            guard milliseconds > 0 else { throw tooLate }
            guard poll(&ends, 2, Int32(min(milliseconds, 60_000))) >= 0 || errno == EINTR else {
                throw .systemCall("wait for", name, errno)
            }
            if ends[1].revents != 0 {
                let count = input[written...].withUnsafeBytes { write(source.descriptor, $0.baseAddress, $0.count) }
                if count > 0 { written += count }
                // A plugin that does not read it all has its reasons.
                if written == input.count || count < 0 && errno != EAGAIN && errno != EINTR { source.close() }
            }
            guard ends[0].revents != 0 else { continue }
            let count = read(sink.descriptor, &chunk, chunk.count)
            if count == 0 { return output }
            if count < 0 {
                guard errno == EAGAIN || errno == EINTR else { throw .systemCall("read the answer of", name, errno) }
                continue
            }
            output += chunk[..<count]
            guard output.count <= Self.maximumOutput else {
                throw CNIError(.decodingFailure, "\(name) answers more than \(Self.maximumOutput) bytes")
            }
        }
    }

    private func wait(for process: pid_t, until deadline: ContinuousClock.Instant) throws(CNIError) -> Int32 {
        while true {
            var status: Int32 = 0
            let ended = waitpid(process, &status, WNOHANG)
            if ended == process {
                let signal = status & 0x7f
                return signal == 0 ? (status >> 8) & 0xff : 128 + signal
            }
            guard ended == 0 || errno == EINTR else { throw .systemCall("wait for", name, errno) }
            guard ContinuousClock.now < deadline else { throw tooLate }
            usleep(500)
        }
    }

    private var tooLate: CNIError {
        CNIError(.tryAgainLater, "the plugin \(name.quoted) did not answer in time", details: file)
    }
}

/// One end of a pipe; closed at the latest when it is forgotten.
private final class OpenEnd {
    /// Negative when it is closed, which poll(2) passes over.
    private(set) var descriptor: Int32

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    deinit { close() }
}

/// The variables of this process.
enum ProcessEnvironment {
    /// As the kernel has them: nobody here changes them, and C's own list is no place for several threads.
    static func own() -> [String: String] {
        guard let file = fopen("/proc/self/environ", "re") else { return [:] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        var variables: [String: String] = [:]
        for pair in bytes.split(separator: 0) {
            guard let middle = pair.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = String(decoding: pair[..<middle], as: UTF8.self)
            variables[name] = String(decoding: pair[(middle + 1)...], as: UTF8.self)
        }
        return variables
    }
}
