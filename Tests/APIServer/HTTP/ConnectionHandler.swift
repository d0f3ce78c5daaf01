import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One connection: requests come in one after the other, bytes of responses go out.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    private struct Incoming {
        let head: HTTPRequestHead
        var body: [UInt8] = []
    }

    static let bodyLimit = 64 << 20

    let server: ServerState
    var context: ChannelHandlerContext?
    private var number = 0
    private var certified: User?
    private var isCertificateKnown = false
    private var incoming: Incoming?
    /// Requests that came while another one was served.
    private var waiting: [Incoming] = []
    private var isBusy = false
    private var isKeepAlive = true
    private var isHTTP10 = false
    private var isHeadRequest = false
    var shaper = OutputShaper()
    private var isFinished = false
    var watch: OpenWatch?
    /// What goes on being written as long as it is taken; `nil` for the end.
    private var filler: (() -> [UInt8]?)?
    private var sent = 0

    init(_ server: ServerState) {
        self.server = server
    }

    func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    private func start(_ context: ChannelHandlerContext) {
        guard self.context == nil else { return }
        self.context = context
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        number = server.add(ServerState.Connection(eventLoop: context.eventLoop, handler: handler))
    }

    func channelInactive(context: ChannelHandlerContext) {
        closeWatch()
        filler = nil
        server.remove(number)
        server.countSent(sent)
        self.context = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Broken HTTP, a failed handshake, a reset by the peer: in any case this connection is of no more use.
        if error is HTTPParserError, !isBusy {
            isKeepAlive = false
            send(.text("400 Bad Request", status: 400))
        } else {
            context.close(promise: nil)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            pumpWatch()
            pumpFiller()
        }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            incoming = Incoming(head: head)
            if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
                context.writeAndFlush(
                    wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")),
                    promise: nil
                )
            }
        case .body(let buffer):
            incoming?.body += buffer.readableBytesView
            if let count = incoming?.body.count, count > Self.bodyLimit {
                incoming = nil
                isKeepAlive = false
                send(.text("request entity too large", status: 413))
            }
        case .end:
            guard let incoming else { return }
            self.incoming = nil
            waiting.append(incoming)
            serveNext()
        }
    }

    private func serveNext() {
        guard !isBusy, context != nil, !waiting.isEmpty else { return }
        isBusy = true
        isFinished = false
        let incoming = waiting.removeFirst()
        let head = incoming.head
        isKeepAlive = head.isKeepAlive
        isHTTP10 = head.version == .http1_0
        isHeadRequest = head.method == .HEAD
        shaper = OutputShaper()

        guard let (path, query) = Request.split(head.uri) else {
            return send(.error(.badRequest("malformed request target")))
        }
        let user: User
        do throws(APIError) {
            user = try server.service.access.authenticate(
                authorization: head.headers.first(name: "authorization"),
                certified: certifiedUser()
            )
        } catch {
            let logged = logged(incoming, path, query, User(""))
            server.log(logged)
            if let fault = server.faults.fault(for: logged) { return apply(fault, nil) }
            let encoding = Representation(accept: head.headers["accept"].joined(separator: ","), protobuf: true)
            return send(.error(error, Representation(encoding: encoding?.encoding ?? .json)))
        }
        let logged = logged(incoming, path, query, user)
        server.log(logged)
        let request = Request(
            method: head.method == .HEAD ? "GET" : head.method.rawValue,
            path: path,
            query: query,
            headers: head.headers,
            body: incoming.body,
            user: user
        )
        if let fault = server.faults.fault(for: logged) { return apply(fault, request) }
        send(server.service.reply(to: request))
    }

    private func logged(
        _ incoming: Incoming,
        _ path: String,
        _ query: [String: String],
        _ user: User
    ) -> LoggedRequest {
        var headers: [String: String] = [:]
        for (name, value) in incoming.head.headers {
            let name = name.lowercased()
            headers[name] = name == "authorization" ? String(value.prefix { $0 != " " }) : value
        }
        return LoggedRequest(
            method: incoming.head.method.rawValue,
            path: path,
            query: query,
            headers: headers,
            user: user,
            connection: number,
            bodyBytes: incoming.body.count
        )
    }

    private func certifiedUser() -> User? {
        if !isCertificateKnown, let context {
            isCertificateKnown = true
            // There is no such handler with plain HTTP, and no certificate when the client has sent none.
            let tls = try? context.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)
            if let bytes = try? tls?.peerCertificate?.toDERBytes() {
                certified = server.service.access.user(ofCertificate: bytes)
            }
        }
        return certified
    }

    // MARK: Faults

    /// - Parameter request: `nil` for one that fails anyway, for want of authentication.
    private func apply(_ fault: Fault, _ request: Request?) {
        func reply() -> Reply { request.map(server.service.reply) ?? .whole(.error(.unauthorized)) }

        switch fault {
        case .delay(let time):
            guard let context else { return }
            context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) {
                // The client may have lost patience.
                if self.context != nil { self.send(reply()) }
            }
        case .status(let failure):
            var whole: WholeReply
            switch failure.form {
            case .text(let text): whole = .text(text + "\n", status: failure.code)
            case .status: whole = .error(.of(failure.code))
            }
            if let seconds = failure.retryAfter { whole.headers.append(("Retry-After", String(seconds))) }
            send(whole)
        case .body(let bytes, let contentType):
            send(WholeReply(contentType: contentType, body: bytes))
        case .cut, .stall, .drip:
            shaper = OutputShaper(fault)
            send(reply())
        case .loseReply(let ending):
            _ = reply()
            end(ending)
        case .refuse(let ending): end(ending)
        case .endless(let bytes, let contentType):
            let count = max(1, 65536 / max(1, bytes.count))
            let piece = [UInt8]((0..<count).map { _ in bytes }.joined())
            fill(contentType) { piece }
        case .giant(let bytes, let byte, let contentType):
            var rest = bytes
            fill(contentType) {
                guard rest > 0 else { return nil }
                let piece = [UInt8](repeating: byte, count: min(rest, 65536))
                rest -= piece.count
                return piece
            }
        }
    }

    /// Ends the connection without a word, not even of TLS.
    func end(_ ending: Fault.Ending) {
        guard let context else { return }
        if ending == .reset, let socket = context.channel as? any SocketOptionProvider {
            // With a linger time of 0 the kernel sends a reset and drops what is not sent.
            socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenFailure { _ in }
        }
        // Skips the TLS handler, which would say good-bye.
        if let tls = try? context.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self) {
            tls.close(promise: nil)
        } else {
            context.close(promise: nil)
        }
    }

    // MARK: Responses

    private func send(_ reply: Reply) {
        switch reply {
        case .whole(let reply): send(reply)
        case .watch(let plan): open(plan)
        }
    }

    private func send(_ reply: WholeReply) {
        // Go counts what fits its buffer, and sends the rest in chunks.
        let isChunked = reply.body.count > 2048 && !isHTTP10
        writeHead(
            reply.status,
            reply.contentType,
            reply.headers,
            cacheControl: reply.cacheControl,
            contentLength: isChunked ? nil : reply.body.count
        )
        if !isHeadRequest {
            var body = ByteBuffer(bytes: reply.body)
            if isChunked {
                while let piece = body.readSlice(length: min(65536, body.readableBytes)), piece.readableBytes > 0 {
                    write(chunk: piece)
                }
                write(Array("0\r\n\r\n".utf8))
            } else {
                write(body)
            }
        }
        context?.flush()
        finish()
    }

    func writeHead(
        _ status: Int,
        _ contentType: String,
        _ headers: [(String, String)] = [],
        cacheControl: String = "no-cache, private",
        contentLength: Int?
    ) {
        if isHTTP10 { isKeepAlive = false }
        let head = ResponseHead(
            status: status,
            contentType: contentType,
            headers: headers,
            cacheControl: cacheControl,
            contentLength: contentLength,
            isKeepAlive: isKeepAlive,
            isHTTP10: isHTTP10
        )
        write(head.bytes)
    }

    /// Writes a piece of a body in chunks.
    func write(chunk: ByteBuffer) {
        if isHTTP10 { return write(chunk) }
        write(Array("\(String(chunk.readableBytes, radix: 16))\r\n".utf8))
        write(chunk)
        write(Array("\r\n".utf8))
    }

    func writeLastChunk() {
        if !isHTTP10 { write(Array("0\r\n\r\n".utf8)) }
        context?.flush()
    }

    private func write(_ bytes: [UInt8]) { write(ByteBuffer(bytes: bytes)) }

    private func write(_ buffer: ByteBuffer) {
        guard let context, !shaper.isStalled, buffer.readableBytes > 0 else { return }
        let isFirstDrop = shaper.queue.readableBytes == 0
        let (out, outcome) = shaper.pass(buffer)
        if let out {
            sent += out.readableBytes
            context.write(wrapOutboundOut(out), promise: nil)
        } else if isFirstDrop {
            scheduleDrop()
        }
        if case .end(let ending) = outcome {
            shaper.stall()
            context.flush()
            end(ending)
        }
    }

    private func scheduleDrop() {
        guard let context, case .drip(_, let interval) = shaper.shape else { return }
        context.eventLoop.assumeIsolated().scheduleTask(in: interval) {
            guard let context = self.context, let drop = self.shaper.drop() else { return }
            self.sent += drop.readableBytes
            context.writeAndFlush(self.wrapOutboundOut(drop), promise: nil)
            if self.shaper.queue.readableBytes > 0 {
                self.scheduleDrop()
            } else if self.isFinished {
                self.complete()
            } else {
                self.pumpWatch()
                self.pumpFiller()
            }
        }
    }

    /// Whether more may be written now.
    var isWritable: Bool {
        guard let context else { return false }
        return context.channel.isWritable && shaper.queue.readableBytes == 0
    }

    private func fill(_ contentType: String, _ next: @escaping () -> [UInt8]?) {
        writeHead(200, contentType, contentLength: nil)
        filler = next
        pumpFiller()
    }

    private func pumpFiller() {
        guard let filler else { return }
        while isWritable {
            guard let piece = filler() else {
                self.filler = nil
                writeLastChunk()
                return finish()
            }
            write(chunk: ByteBuffer(bytes: piece))
            context?.flush()
        }
    }

    /// The response is written, though maybe it still drips.
    func finish() {
        isFinished = true
        if shaper.queue.readableBytes == 0 { complete() }
    }

    private func complete() {
        // A stalled response never ends.
        guard let context, !shaper.isStalled else { return }
        server.countSent(sent)
        sent = 0
        isBusy = false
        guard isKeepAlive else { return context.close(promise: nil) }
        serveNext()
    }
}

extension TimeAmount {
    init(_ duration: Duration) {
        let parts = duration.components
        self = .nanoseconds(parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
    }
}
