import Logging
import ServiceLifecycle
import ServiceProxy
import StatusServers

/// A server that keeps trying to have its address (HZ-6).
struct ListeningService: ServiceLifecycle.Service, CustomStringConvertible {
    let description: String
    let address: BindAddress
    /// Is told why the address cannot be had, before the process ends for it; `nil` when it does not.
    var failHard: (@Sendable (any Error) async -> Void)?
    let logger: Logger
    let answer: StatusServer.Answer

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            guard let server = try await start() else { return }
            logger.info("listening", metadata: ["server": "\(description)", "address": "\(address)"])
            try? await Task.sleep(for: .seconds(Int32.max))  // Until it is cancelled.
            await server.stop()
        }
    }

    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// `nil` when the end came before the address was free.
    private func start() async throws -> StatusServer? {
        while !Task.isCancelled {
            do {
                return try await StatusServer.start(
                    host: "\(address.address)",
                    port: Int(address.port),
                    answer: answer
                )
            } catch {
                if let failHard {
                    await failHard(error)
                    throw Failure(description: "\(description): cannot listen on \(address): \(error)")
                }
                logger.error(
                    "cannot listen; trying again",
                    metadata: ["server": "\(description)", "address": "\(address)", "error": "\(error)"]
                )
                try? await Task.sleep(for: .seconds(5))  // Ends early when cancelled, and so does the loop.
            }
        }
        return nil
    }
}
