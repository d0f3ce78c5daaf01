import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An HTTP server on loopback whose every answer a test decides: a hostile etcd, or one in front of a real one.
final class ScriptedServer: Sendable {
    struct Request: Sendable {
        let path: String
        let headers: HTTPHeaders
        let body: ByteBuffer
        /// Counts the requests of the server, from 0.
        let number: Int
    }

    enum Reply: Sendable {
        case answer(Int, [UInt8])
        /// The head of a success and then bytes without end.
        case endless([UInt8])
        /// The connection is closed without an answer.
        case cut
        /// Nothing, for ever.
        case silence

        static func json(_ text: String, status: Int = 200) -> Reply { .answer(status, Array(text.utf8)) }
    }

    private let channel: any Channel
    private let log: Log

    private final class Log: Sendable {
        let requests = Mutex<[Request]>([])

        func add(_ path: String, _ headers: HTTPHeaders, _ body: ByteBuffer) -> Request {
            requests.withLock { requests in
                let request = Request(path: path, headers: headers, body: body, number: requests.count)
                requests.append(request)
                return request
            }
        }
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    var endpoint: String { "http://127.0.0.1:\(port)" }
    var requests: [Request] { log.requests.withLock { $0 } }

    init(_ script: @escaping @Sendable (Request) async -> Reply) async throws {
        let log = Log()
        self.log = log
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(script: script, log: log))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    deinit {
        channel.close(promise: nil)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let script: @Sendable (Request) async -> Reply
        private let log: Log
        private var head: HTTPRequestHead?
        private var body = ByteBuffer()

        init(script: @escaping @Sendable (Request) async -> Reply, log: Log) {
            self.script = script
            self.log = log
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                self.head = head
                body.clear()
            case .body(var piece): body.writeBuffer(&piece)
            case .end:
                guard let head else { return }
                let request = log.add(head.uri, head.headers, body)
                Task { [script, channel = context.channel] in try await script(request).send(on: channel) }
            }
        }
    }
}

extension ScriptedServer.Reply {
    fileprivate func send(on channel: any Channel) async throws {
        func write(_ part: HTTPServerResponsePart) async throws { try await channel.writeAndFlush(part) }
        switch self {
        case .cut: try await channel.close()
        case .silence: break
        case .answer(let status, let bytes):
            let headers = HTTPHeaders([("Content-Length", "\(bytes.count)")])
            try await write(.head(.init(version: .http1_1, status: .init(statusCode: status), headers: headers)))
            try await write(.body(.byteBuffer(ByteBuffer(bytes: bytes))))
            try await write(.end(nil))
        case .endless(let bytes):
            try await write(.head(.init(version: .http1_1, status: .ok, headers: ["Transfer-Encoding": "chunked"])))
            try await write(.body(.byteBuffer(ByteBuffer(bytes: bytes))))
            let piece = ByteBuffer(repeating: UInt8(ascii: "A"), count: 1 << 20)
            while channel.isActive { try await write(.body(.byteBuffer(piece))) }
        }
    }
}
