import Foundation

/// How a program ended, and what it printed.
public struct ProgramOutcome: Sendable {
    public let status: Int32
    public let output: String
    public let errors: String

    /// Runs a program to its end.
    ///
    /// - Parameters:
    ///   - environment: all of its variables.
    ///   - input: what it can read.
    public static func run(
        _ path: String,
        _ arguments: [String],
        environment: [String: String],
        input: String = ""
    ) async throws -> ProgramOutcome {
        // On a thread of its own, so that tests beside this one go on.
        try await withCheckedThrowingContinuation { continuation in
            Thread {
                continuation.resume(
                    with: Result {
                        let process = Process()
                        process.executableURL = URL(fileURLWithPath: path)
                        process.arguments = arguments
                        process.environment = environment
                        let (stdin, output, errors) = (Pipe(), Pipe(), Pipe())
                        process.standardInput = stdin
                        process.standardOutput = output
                        process.standardError = errors
                        try process.run()
                        try? stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
                        try? stdin.fileHandleForWriting.close()
                        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                        let other = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                        process.waitUntilExit()
                        return ProgramOutcome(status: process.terminationStatus, output: text, errors: other)
                    }
                )
            }.start()
        }
    }
}
