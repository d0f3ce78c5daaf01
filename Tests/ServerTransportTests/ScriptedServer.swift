import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// A server that answers each request with bytes that a test chose, good HTTP or not.
final class ScriptedServer: Sendable {
    enum Step: Sendable {
        case send(String)
        case close
        /// Says nothing, and keeps the connection.
        case hang
    }

    /// What arrived: the number of its connection, counted from 0, and the request's text.
    struct Arrival: Sendable {
        let connection: Int
        let text: String
    }

    private let channel: any Channel

    /// - Parameter answer: is told the number of the request, counted from 0, and what arrived.
    init(
        host: String = "127.0.0.1",
        _ answer: @escaping @Sendable (Int, Arrival) -> [Step]
    ) async throws {
        let log = Log()
        self.shared = log
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Handler(connection: log.nextConnection(), log: log, answer: answer)
                    )
                }
            }
            .bind(host: host, port: 0).get()
    }

    private let shared: Log

    var port: Int { channel.localAddress?.port ?? 0 }
    var arrivals: [Arrival] { shared.arrivals.withLock { $0 } }

    func stop() async { try? await channel.close() }

    static func response(_ body: String, status: String = "200 OK", headers: String = "") -> String {
        "HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\(headers)\r\n\(body)"
    }

    fileprivate final class Log: Sendable {
        let arrivals = Mutex<[Arrival]>([])
        private let connections = Mutex(0)

        func nextConnection() -> Int {
            connections.withLock { number in
                defer { number += 1 }
                return number
            }
        }

        func add(_ arrival: Arrival) -> Int {
            arrivals.withLock { list in
                list.append(arrival)
                return list.count - 1
            }
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let connection: Int
        private let log: Log
        private let answer: @Sendable (Int, Arrival) -> [Step]
        private var text = ""

        init(connection: Int, log: Log, answer: @escaping @Sendable (Int, Arrival) -> [Step]) {
            self.connection = connection
            self.log = log
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            guard let end = text.range(of: "\r\n\r\n") else { return }
            let head = text[..<end.lowerBound].lowercased()
            let length =
                head.split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
                .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) } ?? 0
            guard text[end.upperBound...].utf8.count >= length else { return }
            let arrival = Arrival(connection: connection, text: text)
            text = ""
            for step in answer(log.add(arrival), arrival) {
                switch step {
                case .send(let text):
                    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
                case .close: context.close(promise: nil)
                case .hang: break
                }
            }
        }
    }
}
