import JSON
import NIOHTTP1

/// What a request is answered with.
enum Reply: Sendable {
    case whole(WholeReply)
    case watch(WatchPlan)
}

/// A response with a body that is known.
struct WholeReply: Sendable {
    var status = 200
    var contentType = "application/json"
    var headers: [(String, String)] = []
    var cacheControl = "no-cache, private"
    var body: [UInt8]

    init(status: Int = 200, contentType: String = "application/json", body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    static func json(_ object: JSONObject, status: Int = 200) -> WholeReply {
        WholeReply(status: status, body: Array((JSONValue.object(object).text() + "\n").utf8))
    }

    static func text(_ text: String, status: Int = 200) -> WholeReply {
        var reply = WholeReply(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
        reply.headers.append(("X-Content-Type-Options", "nosniff"))
        return reply
    }

    static func error(_ error: APIError, _ representation: Representation = .json) -> WholeReply {
        var reply: WholeReply
        if let text = error.plainText {
            reply = .text(text + "\n", status: error.code)
        } else if representation.encoding == .protobuf {
            let message = ProtobufWriter.message(error.status, .status)
            reply = WholeReply(
                status: error.code,
                contentType: representation.contentType,
                body: ProtobufWriter.envelope(message, apiVersion: "v1", kind: "Status")
            )
        } else {
            reply = .json(error.status, status: error.code)
        }
        if error.code == 403 { reply.headers.append(("X-Content-Type-Options", "nosniff")) }
        if let seconds = error.retryAfter { reply.headers.append(("Retry-After", String(seconds))) }
        return reply
    }
}
