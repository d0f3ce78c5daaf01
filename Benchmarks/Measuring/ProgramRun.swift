import Glibc

/// A program that is run to its end: what it took, and what it said.
///
/// Several can run at once. One thread starts and finishes them all, so that no program inherits the pipes of another.
public struct ProgramRun: Sendable {
    public struct Outcome: Sendable {
        /// From before the program was started until it was reaped.
        public let milliseconds: Double
        /// Processor time, kernel included, of the process and of what it has waited for; hardly moved by what else runs.
        public let cpu: Double
        /// As `wait4` tells it; 0 for a program that ended with exit code 0.
        public let status: Int32
        public let output: String
        /// The largest resident set of the process, in MiB; 0 when it was not watched.
        public let peakResident: Double

        public var cost: Cost { Cost(wall: milliseconds, cpu: cpu) }
    }

    private let process: pid_t
    private let output: Int32
    private let start: Double

    /// Starts a program in the network namespace of the calling thread. What it says on standard error is thrown away.
    ///
    /// - Parameters:
    ///   - environment: all its variables, each as `NAME=VALUE`.
    ///   - input: what it can read; at most as much as a pipe holds, so that nobody has to wait.
    public init(_ path: String, _ arguments: [String] = [], environment: [String], input: String = "") throws {
        let (reader, writer) = try Self.pipe()
        defer { close(reader) }
        let bytes = Array(input.utf8)
        let written = write(writer, bytes, bytes.count)
        close(writer)
        guard written == bytes.count else { throw BenchmarkFailure("the input of \(path) does not fit into a pipe") }

        let answer = try Self.pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, reader, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, answer.writer, STDOUT_FILENO)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        let words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        let variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { (words + variables).forEach { free($0) } }

        var process = pid_t()
        start = monotonicMilliseconds()
        let status = posix_spawn(&process, path, &actions, nil, words, variables)
        close(answer.writer)
        guard status == 0 else {
            close(answer.reader)
            throw BenchmarkFailure(call: "posix_spawn of \(path)", status)
        }
        self.process = process
        output = answer.reader
    }

    /// Reads all that the program prints and waits for its end; to be called once.
    ///
    /// With `watchingMemory` its memory is read all the time it runs, which makes the time worthless: the resident set that
    /// `wait4` reports is that of this process when it is larger, as the program starts as its copy.
    public func finish(watchingMemory: Bool = false) throws -> Outcome {
        defer { close(output) }
        var bytes: [UInt8] = []
        let peakResident = watchingMemory ? watchMemory(reading: &bytes) : 0
        drain(into: &bytes)
        var status: Int32 = 0
        var usage = rusage()
        while wait4(process, &status, 0, &usage) < 0 {
            guard errno == EINTR else { throw BenchmarkFailure(call: "wait4") }
        }
        return Outcome(
            milliseconds: monotonicMilliseconds() - start,
            cpu: usage.processorTime,
            status: status,
            output: String(decoding: bytes, as: UTF8.self),
            peakResident: peakResident
        )
    }

    /// Reads VmHWM until the process has no memory any more, and what it prints meanwhile, so that it never waits.
    private func watchMemory(reading bytes: inout [UInt8]) -> Double {
        _ = fcntl(output, F_SETFL, O_NONBLOCK)
        defer { _ = fcntl(output, F_SETFL, 0) }
        var peak = 0.0
        while true {
            let now = memory("VmHWM", of: process)
            guard now > 0 else { return peak }
            peak = max(peak, now)
            drain(into: &bytes)
        }
    }

    /// Reads until there is no more, or no more yet.
    private func drain(into bytes: inout [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(output, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes += buffer[..<count]
        }
    }

    private static func pipe() throws -> (reader: Int32, writer: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw BenchmarkFailure(call: "pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }
}
