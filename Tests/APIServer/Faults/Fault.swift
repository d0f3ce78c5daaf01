/// What goes wrong with a request.
public enum Fault: Hashable, Sendable {
    /// The request is served, but only after a while.
    case delay(Duration)
    /// The request is not served; an error comes instead.
    case status(FailedStatus)
    /// 200 with these bytes as the whole body, whatever was asked for.
    case body([UInt8], contentType: String = "application/json")
    /// The request is served, but the connection ends after so many bytes of the response, its head included.
    case cut(afterBytes: Int, Ending = .reset)
    /// The request is served, but after so many bytes of the response nothing more is sent; the connection stays open.
    case stall(afterBytes: Int = 0)
    /// The request is served, but the response comes a few bytes at a time.
    case drip(bytes: Int, every: Duration)
    /// The request is served, a write is done, but the connection ends before the first byte of the response.
    case loseReply(Ending = .reset)
    /// The connection ends before the request is served.
    case refuse(Ending = .reset)
    /// 200 with a body that never ends: these bytes over and over, as fast as they are taken.
    case endless([UInt8], contentType: String = "application/json")
    /// 200 with a body of so many bytes, all the same.
    case giant(bytes: Int, of: UInt8 = 0x61, contentType: String = "application/json")

    /// How a connection ends.
    public enum Ending: Hashable, Sendable {
        /// With a TCP reset: the peer sees an error.
        case reset
        /// With FIN, in order as far as TCP knows; a chunked body lacks its last chunk, TLS its close_notify.
        case close
    }

    /// 429 as priority and fairness answer it: plain text and Retry-After in seconds.
    public static func tooManyRequests(retryAfter: Int = 1) -> Fault {
        .status(FailedStatus(429, form: .text("Too many requests, please try again later."), retryAfter: retryAfter))
    }

    /// An error in the form of a Status.
    public static func status(_ code: Int, retryAfter: Int? = nil) -> Fault {
        .status(FailedStatus(code, retryAfter: retryAfter))
    }
}

/// An error response.
public struct FailedStatus: Hashable, Sendable {
    public enum Form: Hashable, Sendable {
        /// A Status with the reason and message that a server gives this code.
        case status
        case text(String)
    }

    public var code: Int
    public var form: Form
    /// In seconds.
    public var retryAfter: Int?

    public init(_ code: Int, form: Form = .status, retryAfter: Int? = nil) {
        self.code = code
        self.form = form
        self.retryAfter = retryAfter
    }
}

/// Which requests a fault hits.
public struct FaultRule: Sendable {
    /// `nil` for any.
    public var method: String?
    /// What the path starts with, such as `/api/v1/services`.
    public var path: String
    /// What the query contains, such as `watch=1`; after percent-decoding.
    public var query: String?
    /// Whether only watches are hit, or only others; `nil` for both.
    public var watch: Bool?
    /// How many matching requests go by unharmed first.
    public var skip: Int
    /// How many are hit; `nil` for all from then on.
    public var count: Int?
    public var fault: Fault

    public init(
        _ fault: Fault,
        method: String? = nil,
        path: String = "/",
        query: String? = nil,
        watch: Bool? = nil,
        skip: Int = 0,
        count: Int? = 1
    ) {
        self.fault = fault
        self.method = method
        self.path = path
        self.query = query
        self.watch = watch
        self.skip = skip
        self.count = count
    }
}
