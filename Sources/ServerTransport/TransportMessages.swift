import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// One request, without the server it goes to.
public struct TransportRequest: Sendable {
    public var method: HTTPMethod
    /// What follows the address: a path that starts with `/`, and the query, both percent-encoded.
    public var target: String
    public var headers: HTTPHeaders
    public var body: ByteBuffer?
    /// Until the whole response is read; for a stream, until its head is there.
    public var timeout: Duration = ServerTransport.requestTimeout
    /// The most bytes that the body of a response may have.
    public var bodyLimit: Int
    /// Whether sending the request a second time does no harm, so that another address may be tried after it was sent.
    public var isIdempotent: Bool

    /// - Parameter isIdempotent: by default whether the method is GET.
    public init(
        _ method: HTTPMethod,
        _ target: String,
        headers: HTTPHeaders = [:],
        body: ByteBuffer? = nil,
        bodyLimit: Int = 64 << 20,
        isIdempotent: Bool? = nil
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.bodyLimit = bodyLimit
        self.isIdempotent = isIdempotent ?? (method == .GET)
    }
}

public struct TransportResponse: Sendable {
    public let status: Int
    public let headers: HTTPHeaders
    public let body: ByteBuffer
    /// Which address answered, for messages.
    public let server: String
}

/// A response whose body is read as it comes.
public struct StreamedResponse: Sendable {
    public let status: Int
    public let headers: HTTPHeaders
    public let body: ResponseBody
    /// Which address answered, for messages.
    public let server: String
}
