import Foundation

/// A program of the machine that a test runs.
enum Program {
    static func path(_ name: String) -> String? {
        let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        return directories.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    struct Outcome {
        let output: String
        let status: Int32
    }

    static func start(
        _ name: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        output: FileHandle
    ) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path(name) ?? name)
        process.arguments = arguments
        process.environment = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? ""].merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        return process
    }

    /// Runs a program to its end; its output goes through a file, which cannot fill up.
    static func run(
        _ name: String,
        _ arguments: [String],
        environment: [String: String] = [:]
    ) async throws -> Outcome {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("output-\(UUID().uuidString)")
        try Data().write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        let handle = try FileHandle(forWritingTo: url)
        let process = try start(name, arguments, environment: environment, output: handle)
        _ = try await eventually { !process.isRunning }
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
        try handle.close()
        return Outcome(
            output: String(decoding: try Data(contentsOf: url), as: UTF8.self),
            status: process.terminationStatus
        )
    }
}
