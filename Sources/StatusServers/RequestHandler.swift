import NIOCore
import NIOHTTP1

/// Closes a connection whose request grows too large. Sits before the parser, so that nothing is kept of it.
final class RequestSizeLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let bytes: Int
    private var seen = 0

    init(bytes: Int) {
        self.bytes = bytes
    }

    /// A request is complete; the next may be as large.
    func restart() { seen = 0 }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        seen += unwrapInboundIn(data).readableBytes
        guard seen <= bytes else { return context.close(promise: nil) }
        context.fireChannelRead(data)
    }
}

/// Answers one request after the other on one connection, and loses patience with a slow client.
final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let limits: StatusServerLimits
    private let sizeLimit: RequestSizeLimit
    private let answer: StatusServer.Answer
    private var head: HTTPRequestHead?
    /// As far as it came; the limit of requests is that of bodies too.
    private var body = ByteBuffer()
    private var deadline: Scheduled<Void>?

    init(limits: StatusServerLimits, sizeLimit: RequestSizeLimit, answer: @escaping StatusServer.Answer) {
        self.limits = limits
        self.sizeLimit = sizeLimit
        self.answer = answer
    }

    func handlerAdded(context: ChannelHandlerContext) { startDeadline(context) }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body.clear()
        case .body(var part): body.writeBuffer(&part)
        case .end:
            sizeLimit.restart()
            guard let head else { return }
            self.head = nil
            respond(to: head, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)  // What the client sent is no HTTP, or it is gone.
    }

    private func respond(to head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let request = StatusRequest(
            method: head.method.rawValue,
            path: String(parts[0]),
            query: parts.count > 1 ? String(parts[1]) : "",
            accept: head.headers[canonicalForm: "Accept"].joined(separator: ","),
            body: String(buffer: body)
        )
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let boundContext = NIOLoopBound(context, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let answer = answer
        startDeadline(context)
        Task {
            let result = await answer(request)
            eventLoop.execute { handler.value.write(result, to: head, boundContext.value) }
        }
    }

    private func write(_ answer: StatusAnswer, to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        var headers = HTTPHeaders()
        for (name, value) in answer.headers.sorted(by: { $0.key < $1.key })
        where !"\(name)\(value)".contains(where: \.isNewline) {
            headers.add(name: name, value: value)
        }
        headers.replaceOrAdd(name: "Content-Type", value: answer.contentType)
        headers.replaceOrAdd(name: "Content-Length", value: "\(answer.body.utf8.count)")
        if !request.isKeepAlive { headers.replaceOrAdd(name: "Connection", value: "close") }
        let head = HTTPResponseHead(
            version: request.version,
            status: HTTPResponseStatus(statusCode: answer.code),
            headers: headers
        )
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: answer.body)))),
                promise: nil
            )
        }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { result in
            guard case .success = result, request.isKeepAlive else { return bound.value.close(promise: nil) }
            handler.value.startDeadline(bound.value)
        }
    }

    private func startDeadline(_ context: ChannelHandlerContext) {
        deadline?.cancel()
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: TimeAmount(limits.patience)) { channel.close(promise: nil) }
    }
}
