import Foundation
import Logging
import Synchronization
import TestAPIServer
import TestSupport

@testable import KubernetesClient

/// Keeps what is logged, for tests of what is said and of what must not be.
final class LogRecord: Sendable {
    private let lines = Mutex<[String]>([])

    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    func logger() -> Logger {
        var logger = Logger(label: "test") { _ in Handler(record: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let record: LogRecord
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            record.lines.withLock { $0.append("\(event.level) \(event.message) \(event.metadata ?? [:])") }
        }
    }
}

func kubernetesClient(
    _ server: TestAPIServer,
    _ credential: Credential? = nil,
    rateLimit: RateLimit? = nil,
    log: LogRecord = LogRecord(),
    observe: (@Sendable (RequestOutcome) -> Void)? = nil
) throws -> KubernetesClient {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/config"
    try server.writeKubeconfig(to: path, credential)
    let configuration = try KubernetesConfiguration.load(kubeconfig: path, master: nil, environment: [:])
    return try KubernetesClient(
        configuration,
        userAgent: "test/1",
        rateLimit: rateLimit,
        observe: observe,
        logger: log.logger()
    )
}

/// The error that something ends with.
func failure(_ body: () async throws -> some Any) async -> KubernetesError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? KubernetesError
    }
}
