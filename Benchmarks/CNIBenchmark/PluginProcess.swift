import Glibc

/// One call of a CNI plugin, as a runtime makes it: a process with a request on stdin and an answer on stdout.
struct PluginProcess {
    /// This process, whose open descriptors the plugins reach through /proc.
    static let ownID = getpid()

    /// What a call took and said.
    struct Outcome {
        /// From before the process was started until it was reaped, in milliseconds.
        let milliseconds: Double
        let output: String
        /// The largest resident set of the process, in KiB; 0 when it was not watched.
        let peakResident: Int
    }

    enum Failure: Error, CustomStringConvertible {
        case systemCall(String, Int32)
        /// The plugin ended otherwise than with exit code 0.
        case refused(plugin: String, command: String, status: Int32, output: String)

        var description: String {
            switch self {
            case .systemCall(let call, let code): "\(call): \(String(cString: strerror(code)))"
            case .refused(let plugin, let command, let status, let output):
                "\(command) of \(plugin) ended with wait status \(status): \(output)"
            }
        }
    }

    let path: String
    /// CNI_PATH.
    let searchPath: String

    /// Calls the plugin in the network namespace of the calling thread.
    ///
    /// With `watchingMemory` its memory is read all the time it runs, which makes the time worthless: the resident set
    /// that `wait4` reports is that of this process when it is larger, as the plugin starts as its copy.
    func call(
        _ command: String,
        container: String = "",
        namespace: String = "",
        configuration: String,
        watchingMemory: Bool = false
    ) throws -> Outcome {
        let request = try Self.pipe(holding: configuration)
        defer { close(request) }
        let answer = try Self.pipe()
        defer { close(answer.reader) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, request, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, answer.writer, STDOUT_FILENO)
        // Errors come on stdout; what a plugin logs goes where a runtime's log would be.
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)

        let variables = [
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "CNI_COMMAND=\(command)", "CNI_CONTAINERID=\(container)",
            "CNI_NETNS=\(namespace)", "CNI_IFNAME=eth0", "CNI_PATH=\(searchPath)",
        ]
        let arguments: [UnsafeMutablePointer<CChar>?] = [strdup(path), nil]
        let environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
        defer { (arguments + environment).forEach { free($0) } }

        var process = pid_t()
        let start = Self.now()
        let status = posix_spawn(&process, path, &actions, nil, arguments, environment)
        close(answer.writer)
        guard status == 0 else { throw Failure.systemCall("posix_spawn of \(path)", status) }
        let peakResident = watchingMemory ? Self.watchMemory(of: process) : 0
        let output = Self.readAll(answer.reader)
        var waitStatus: Int32 = 0
        while waitpid(process, &waitStatus, 0) < 0 {
            guard errno == EINTR else { throw Failure.systemCall("waitpid", errno) }
        }
        let milliseconds = Self.now() - start
        guard waitStatus == 0 else {
            throw Failure.refused(plugin: path, command: command, status: waitStatus, output: output)
        }
        return Outcome(milliseconds: milliseconds, output: output, peakResident: peakResident)
    }

    /// Reads VmHWM until the process has no memory any more, in KiB.
    private static func watchMemory(of process: pid_t) -> Int {
        var peak = 0
        while true {
            let descriptor = open("/proc/\(process)/status", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return peak }
            defer { close(descriptor) }
            let lines = readAll(descriptor).split(separator: "\n")
            guard let line = lines.first(where: { $0.hasPrefix("VmHWM:") }),
                let number = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({
                    Int($0)
                })
            else { return peak }
            peak = max(peak, number)
        }
    }

    /// A pipe that the text was written to. A request is far smaller than what a pipe holds, so that nobody waits.
    private static func pipe(holding text: String) throws -> Int32 {
        let (reader, writer) = try pipe()
        defer { close(writer) }
        let bytes = Array(text.utf8)
        guard write(writer, bytes, bytes.count) == bytes.count else {
            close(reader)
            throw Failure.systemCall("write", errno)
        }
        return reader
    }

    private static func pipe() throws -> (reader: Int32, writer: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw Failure.systemCall("pipe", errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func readAll(_ descriptor: Int32) -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
    }
}
