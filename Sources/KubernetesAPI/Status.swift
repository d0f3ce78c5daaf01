/// What an API server says of a request that it did not serve, or of a deletion (meta/v1 Status).
public struct Status: Hashable, Sendable, Codable {
    /// `Success` or `Failure`.
    public var status: String
    /// For a person.
    public var message: String
    /// One word, as `NotFound` or `Expired`; empty when the server gives none.
    public var reason: String
    /// The HTTP status code; 0 when absent.
    public var code: Int
    public var details: Details?

    public struct Details: Hashable, Sendable, Codable {
        public var name: String?
        public var group: String?
        /// The plural of the resource, in spite of its name.
        public var kind: String?
        public var uid: String?
        /// When to try again.
        public var retryAfterSeconds: Int?
        public var causes: [Cause]?

        public init(
            name: String? = nil,
            group: String? = nil,
            kind: String? = nil,
            uid: String? = nil,
            retryAfterSeconds: Int? = nil,
            causes: [Cause]? = nil
        ) {
            self.name = name
            self.group = group
            self.kind = kind
            self.uid = uid
            self.retryAfterSeconds = retryAfterSeconds
            self.causes = causes
        }
    }

    public struct Cause: Hashable, Sendable, Codable {
        public var reason: String?
        public var message: String?
        /// The path of the field that is to blame.
        public var field: String?

        public init(reason: String? = nil, message: String? = nil, field: String? = nil) {
            self.reason = reason
            self.message = message
            self.field = field
        }
    }

    public init(status: String, message: String, reason: String, code: Int, details: Details? = nil) {
        self.status = status
        self.message = message
        self.reason = reason
        self.code = code
        self.details = details
    }

    private enum CodingKeys: String, CodingKey { case status, message, reason, code, details }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        status = try container.decodeIfPresent(String.self, forKey: .status) ?? ""
        message = try container.decodeIfPresent(String.self, forKey: .message) ?? ""
        reason = try container.decodeIfPresent(String.self, forKey: .reason) ?? ""
        code = try container.decodeIfPresent(Int.self, forKey: .code) ?? 0
        details = try container.decodeIfPresent(Details.self, forKey: .details)
    }
}
