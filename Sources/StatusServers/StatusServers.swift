// StatusServers: a small HTTP/1.1 server for what probes, scrapers and load balancers ask a daemon. Requests and answers
// that fit in memory; no TLS, no routing beyond a function. What is answered is its callers' business, but for the pages
// that all components of Kubernetes have alike (Pages/).

/// What a client asks.
public struct StatusRequest: Hashable, Sendable {
    public let method: String
    /// Without the query; not decoded.
    public let path: String
    /// Behind the question mark, not decoded; empty without one.
    public let query: String
    /// The forms of an answer that the client can read; empty when it does not say.
    public let accept: String
    /// Within ``StatusServerLimits/requestSize``.
    public let body: String

    public init(method: String, path: String, query: String = "", accept: String = "", body: String = "") {
        self.method = method
        self.path = path
        self.query = query
        self.accept = accept
        self.body = body
    }

    /// What the query says for a name, decoded; one without a value is empty.
    public func values(of name: String) -> [String] {
        query.split(separator: "&").compactMap { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.first.map(Self.decoded) == name else { return nil }
            return parts.count > 1 ? Self.decoded(parts[1]) : ""
        }
    }

    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { fallthrough }
                bytes.append(value)
                rest.removeFirst(2)
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
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

    /// As Go's `http.Error` has it.
    public static func failure(_ code: Int, _ message: String) -> StatusAnswer {
        StatusAnswer(code, headers: ["X-Content-Type-Options": "nosniff"], body: message + "\n")
    }

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
