// StatusServers: a small HTTP/1.1 server for what probes, scrapers and load balancers ask a daemon. Requests without
// bodies, answers that fit in memory; no TLS, no routing beyond a function. What is answered is its callers' business.

/// What a client asks. Its body, if any, is not kept.
public struct StatusRequest: Hashable, Sendable {
    public let method: String
    /// Without the query; not decoded.
    public let path: String
    /// Behind the question mark, not decoded; empty without one.
    public let query: String

    public init(method: String, path: String, query: String = "") {
        self.method = method
        self.path = path
        self.query = query
    }
}

/// What a client is told.
public struct StatusAnswer: Hashable, Sendable {
    public var code: Int
    public var contentType: String
    /// Besides the content type and length. Names with `\r` or `\n` in name or value are never sent.
    public var headers: [String: String]
    public var body: String

    public init(
        _ code: Int = 200,
        contentType: String = "text/plain; charset=utf-8",
        headers: [String: String] = [:],
        body: String
    ) {
        self.code = code
        self.contentType = contentType
        self.headers = headers
        self.body = body
    }

    /// As Go's `http.NotFound` has it.
    public static let notFound = StatusAnswer(
        404,
        headers: ["X-Content-Type-Options": "nosniff"],
        body: "404 page not found\n"
    )

    /// JSON in the way of kube-proxy's health servers.
    public static func json(_ code: Int, headers: [String: String] = [:], body: String) -> StatusAnswer {
        StatusAnswer(
            code,
            contentType: "application/json",
            headers: headers.merging(["X-Content-Type-Options": "nosniff"]) { given, _ in given },
            body: body
        )
    }
}

/// What one client may cost.
public struct StatusServerLimits: Hashable, Sendable {
    /// Bytes of one request, body included.
    public var requestSize = 16 << 10
    /// Connections at a time; more are closed at once.
    public var connections = 64
    /// How long a client may take to send a request or to take an answer; idle connections end after it too.
    public var patience = Duration.seconds(30)

    public init() {}
}
