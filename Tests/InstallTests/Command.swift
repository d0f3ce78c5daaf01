import Foundation
import TestSupport
import Testing

/// A program that a test runs to its end.
struct Command {
    typealias Outcome = ProgramOutcome

    /// The top of this repository.
    static let repository: String = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()

    static func path(_ name: String) -> String? {
        guard !name.contains("/") else { return name }
        return ["/usr/local/bin/", "/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"].map { $0 + name }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }

    /// Starts a process that hears signals: one that is started from a thread of a pool inherits that they are blocked.
    static func start(_ process: Process) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            Thread {
                var none = sigset_t()
                sigemptyset(&none)
                pthread_sigmask(SIG_SETMASK, &none, nil)
                continuation.resume(with: Result { try process.run() })
            }.start()
        }
    }

    static func run(
        _ name: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        input: String = ""
    ) async throws -> Outcome {
        let program = try #require(path(name), "\(name) is not installed")
        return try await ProgramOutcome.run(
            program,
            arguments,
            environment: ["PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"].merging(environment) { $1 },
            input: input
        )
    }
}

/// Looks again and again until it is so, or for too long.
func eventually(_ limit: Duration = .seconds(30), _ isSo: () async throws -> Bool) async throws -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if try await isSo() { return true }
        try await Task.sleep(for: .milliseconds(50))
    }
    return try await isSo()
}
