import FoundationEssentials
import Logging
import ProxyAPI
import ServiceLifecycle
import ServiceProxy
import StatusServers

/// The answers on the local socket (``ProxyAPI``).
struct ExplainPages: Sendable {
    let explainer: ProxyExplainer

    func answer(_ request: StatusRequest) async -> StatusAnswer {
        guard request.method == "GET" || request.method == "HEAD" else {
            return problem(405, "\(request.method) is not answered; use GET")
        }
        guard let query = ProxyQuery(request.query) else { return problem(400, "the query has a broken escape") }
        do {
            switch request.path {
            case ProxyAPI.servicesPath:
                let limit = try query["limit"].map { text in
                    guard let limit = Int(text), limit > 0 else {
                        throw Malformed("limit: \"\(text)\" is no number above 0")
                    }
                    return limit
                }
                return try json(
                    await explainer.services(
                        namespace: query["namespace"],
                        name: query["name"],
                        after: query["after"],
                        limit: limit
                    )
                )
            case ProxyAPI.tracePath:
                guard let from = query["from"], let to = query["to"] else {
                    throw Malformed("from and to are needed")
                }
                return try json(await explainer.trace(from: from, to: to, interface: query["interface"]))
            default:
                return problem(
                    404,
                    "\(request.path) does not exist; see \(ProxyAPI.servicesPath), \(ProxyAPI.tracePath)"
                )
            }
        } catch let error as ProxyExplainer.Problem {
            switch error.kind {
            case .malformed: return problem(400, error.description)
            case .notFound: return problem(404, error.description)
            case .notReady: return problem(503, error.description)
            }
        } catch let error as Malformed {
            return problem(400, error.text)
        } catch {
            return problem(500, "\(error)")
        }
    }

    private struct Malformed: Error {
        let text: String

        init(_ text: String) {
            self.text = text
        }
    }

    private func json(_ value: some Encodable, code: Int = 200) throws -> StatusAnswer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return .json(code, body: String(decoding: try encoder.encode(value), as: UTF8.self) + "\n")
    }

    private func problem(_ code: Int, _ message: String) -> StatusAnswer {
        (try? json(ProxyAPI.Problem(message), code: code)) ?? StatusAnswer(code, body: message)
    }
}

/// A server on a Unix socket. Without it the proxy works as well, so that nothing about it ends the process.
struct LocalSocketService: ServiceLifecycle.Service, CustomStringConvertible {
    let description = "local socket"
    let path: String
    let logger: Logger
    let answer: StatusServer.Answer

    init(path: String, logger: Logger, answer: @escaping StatusServer.Answer) {
        self.path = path
        self.logger = logger
        self.answer = answer
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var reported = ""
            while !Task.isCancelled {
                do {
                    let server = try await StatusServer.start(socket: path, answer: answer)
                    logger.info("listening", metadata: ["server": "\(description)", "address": "\(path)"])
                    try? await Task.sleep(for: .seconds(Int32.max))  // Until it is cancelled.
                    await server.stop()
                } catch {
                    let reason = "\(error)"
                    if reason != reported {
                        logger.warning(
                            "swiftletctl proxy will not work; trying again",
                            metadata: ["socket": "\(path)", "reason": "\(reason)"]
                        )
                        reported = reason
                    }
                    try? await Task.sleep(for: .seconds(5))  // Ends early when cancelled, and so does the loop.
                }
            }
        }
    }
}
