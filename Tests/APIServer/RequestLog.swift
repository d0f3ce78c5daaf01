/// A request that a server has seen.
public struct LoggedRequest: Hashable, Sendable {
    public let method: String
    /// Without the query.
    public let path: String
    /// After percent-decoding, in the order of the request.
    public let query: [String: String]
    /// By lower-case name. Of `authorization` only the scheme is kept.
    public let headers: [String: String]
    public let user: User
    /// Counts connections, so that a test can tell whether one was used again.
    public let connection: Int
    /// How many bytes of body came with it.
    public let bodyBytes: Int

    public var isWatch: Bool { ["1", "true"].contains(query["watch"] ?? "") || path.contains("/watch/") }
}

extension TestAPIServer {
    /// What a server is doing, and what it has done.
    public struct Metrics: Hashable, Sendable {
        /// Connections that are open now.
        public var connections = 0
        /// Connections that were ever accepted.
        public var acceptedConnections = 0
        /// Watches that are open now.
        public var watches = 0
        /// Bytes of responses, before encryption.
        public var sentBytes = 0
    }
}
