import JSON
import Logging
import ServiceLifecycle
import ServiceProxy
import StatusServers
import Version

/// The answers of the health server (2.9) and the status server (2.10).
struct StatusPages: Sendable {
    let status: ProxyStatus
    let values: ProxyCommandLine.Values
    /// Lines about the connections to each Service, where they are counted.
    let connectionMetrics: @Sendable () async -> String

    func health(_ request: StatusRequest) -> StatusAnswer {
        switch request.path {
        case "/healthz": answer(status.healthz())
        case "/livez": answer(status.livez())
        default: .notFound  // HZ-1
        }
    }

    private func answer(_ answer: (code: Int, body: String)) -> StatusAnswer {
        .json(answer.code, body: answer.body)
    }

    func status(_ request: StatusRequest) async -> StatusAnswer {
        switch request.path {
        case "/healthz": return StatusAnswer(headers: ["X-Content-Type-Options": "nosniff"], body: "ok")
        case "/metrics":
            return StatusAnswer(
                contentType: "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
                body: status.metrics() + (await connectionMetrics())
            )
        case "/proxyMode":
            return StatusAnswer(headers: ["X-Content-Type-Options": "nosniff"], body: "nftables")
        case "/configz":
            let page = JSONObject([("kubeproxy.config.k8s.io", values.configuration.withDefaults.json)])
            return .json(200, body: JSONValue.object(page).text())
        case "/flagz":
            let flags = ProxyCommandLine.effective(values).map { "\($0.name)=\($0.value)\n" }.joined()
            return StatusAnswer(
                body: "kube-proxy flagz\nWarning: This endpoint is not meant to be machine parseable.\n\n" + flags
            )
        case "/statusz":
            return StatusAnswer(
                body: """
                    kube-proxy statusz
                    Warning: This endpoint is not meant to be machine parseable.

                    Started: \(status.started)
                    Version: swiftlet-proxy \(swiftletVersion)
                    Paths: /configz /flagz /healthz /metrics /proxyMode /statusz

                    """
            )
        default: return .notFound
        }
    }
}

/// A server that keeps trying to have its address (HZ-6).
struct ListeningService: ServiceLifecycle.Service, CustomStringConvertible {
    let description: String
    let address: BindAddress
    let failsHard: Bool
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
                guard !failsHard else { throw error }
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
