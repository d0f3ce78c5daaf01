import ServiceProxy
import StatusServers

extension HealthCheckPorts {
    /// Answers over HTTP (2.8).
    static let http: Listen = { socket, answer in
        HTTPListener(
            server: try await StatusServer.start(
                host: "\(socket.address)",
                port: Int(socket.port),
                reach: .family
            ) { _ in
                let answer = answer()
                return .json(
                    answer.code,
                    headers: [HealthCheckAnswer.weightHeader: "\(answer.weight)"],
                    body: answer.body
                )
            }
        )
    }

    private struct HTTPListener: HealthCheckListener {
        let server: StatusServer

        func stop() async { await server.stop() }
    }
}
