import Foundation
import Glibc
import Measuring

/// A process that is measured, in the namespace of this one.
final class Child {
    private let process = Process()

    init(_ words: [String]) throws {
        process.executableURL = URL(fileURLWithPath: words[0])
        process.arguments = Array(words.dropFirst())
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    /// Waits until it takes connections.
    func awaitPort(_ port: UInt16) throws {
        for _ in 0..<500 {
            if let socket = Sockets.connected(to: port) {
                close(socket)
                return
            }
            usleep(10_000)
        }
        throw BenchmarkFailure("nobody listens on port \(port)")
    }

    /// Its share of the memory, in bytes (Pss of smaps_rollup, proc(5)).
    var memory: Double {
        let text =
            (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/smaps_rollup", encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") where line.hasPrefix("Pss:") {
            return line.split(separator: " ").dropFirst().first.flatMap { Double($0) }.map { $0 * 1024 } ?? 0
        }
        return 0
    }

    func end() {
        process.terminate()
        process.waitUntilExit()
    }
}
