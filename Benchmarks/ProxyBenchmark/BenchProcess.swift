import Foundation
import Glibc
import Measuring
import Netlink

/// A program that is measured, or serves what is measured, in a network namespace.
final class BenchProcess: Sendable {
    private let process = Process()
    private let input = Pipe()
    private let logPath: String

    var id: pid_t { process.processIdentifier }
    var isRunning: Bool { process.isRunning }
    var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    /// - Parameters:
    ///   - words: the program and its arguments. It replaces what starts it, so that it has the process ID.
    ///   - log: the file that gets what it prints.
    init(_ words: [String], in namespace: NetworkNamespace, log: String) throws {
        logPath = log
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        process.arguments = BenchNetwork.entering(namespace) + words
        let output = FileHandle(forWritingAtPath: log)
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
    }

    deinit { kill() }

    /// Writes a line to its standard input.
    func write(_ line: String) {
        let bytes = Array(line.utf8) + [10]
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(
                    input.fileHandleForWriting.fileDescriptor,
                    $0.baseAddress.map { $0 + sent },
                    bytes.count - sent
                )
            }
            if count < 0 && errno != EINTR { return }  // It has ended; whoever waits for an effect notices.
            sent += max(0, count)
        }
    }

    func kill() {
        guard process.isRunning else { return }
        Glibc.kill(id, SIGKILL)
        process.waitUntilExit()
    }

    /// Waits until its log has a text.
    func awaitLog(_ text: String, seconds: Double) throws {
        let deadline = monotonicMilliseconds() + seconds * 1e3
        while !log.contains(text) {
            guard isRunning, monotonicMilliseconds() < deadline else {
                throw BenchmarkFailure("no \"\(text)\" from a program that says:\n\(log.suffix(2000))")
            }
            usleep(5000)
        }
    }

    /// Processor time of the process, kernel included, and of its children that have ended; in milliseconds.
    var cpu: Double {
        var clock = clockid_t()
        var time = timespec()
        guard clock_getcpuclockid(id, &clock) == 0, clock_gettime(clock, &time) == 0 else { return 0 }
        return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6 + childrenCPU
    }

    private var childrenCPU: Double {
        guard let text = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return 0 }
        // Behind the name comes field 3; cutime and cstime are fields 16 and 17, in ticks of 10 ms.
        let fields = text[end...].split(separator: " ").dropFirst()
        return fields.dropFirst(13).prefix(2).compactMap { Double($0) }.reduce(0, +) * 1000
            / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}

/// Processor time of the kernel's own threads so far, in milliseconds: what commits leave to be done later.
func kernelThreadsCPU() -> Double {
    let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return processes.reduce(0) { sum, name in
        guard Int(name) != nil, let status = try? String(contentsOfFile: "/proc/\(name)/stat", encoding: .utf8),
            let end = status.lastIndex(of: ")"), status[end...].split(separator: " ").dropFirst(2).first == "2",
            let times = try? String(contentsOfFile: "/proc/\(name)/schedstat", encoding: .utf8),
            let nanoseconds = times.split(separator: " ").first.flatMap({ Double($0) })
        else { return sum }
        return sum + nanoseconds / 1e6
    }
}
