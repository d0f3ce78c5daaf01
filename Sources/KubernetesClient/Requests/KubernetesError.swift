import KubernetesAPI
import ServerTransport

/// Why the API server did not do what it was asked.
public struct KubernetesError: Error, Hashable, Sendable {
    public enum Reason: Hashable, Sendable {
        /// 400
        case badRequest
        /// 401: the server does not know our credentials.
        case unauthorized
        /// 403: the server knows us, and we may not.
        case forbidden
        /// 404: of an object, or of a kind that the server does not serve; ``KubernetesError/status`` tells which.
        case notFound
        /// 405
        case methodNotAllowed
        /// 406: the server cannot answer in the form that was asked for.
        case notAcceptable
        /// 409 of a creation.
        case alreadyExists
        /// 409: the object is not in the state that the request was for.
        case conflict
        /// 410: the version that was asked for is forgotten.
        case expired
        /// 415
        case unsupportedMediaType
        /// 422, or 400 of a kind that means the same.
        case invalid
        /// 429, still so after the tries that the time allowed.
        case tooManyRequests
        /// 5xx
        case unavailable
        /// Any other status.
        case unexpected
        /// Credentials cannot be had: a file is unreadable, a plugin failed. Nothing was sent.
        case credentials
        /// No answer, or not all of it.
        case transport(TransportError.Reason)
    }

    public let reason: Reason
    /// What the server said, where it said it in a form that can be read.
    public let status: Status?
    /// When the server wants to be asked again.
    public let retryAfter: Duration?
    /// The HTTP status; `nil` when there was no answer.
    public let code: Int?
    /// One clause for a person: what was asked of which server, and what it said. Holds nothing secret.
    public let message: String

    public init(
        _ reason: Reason,
        _ message: String,
        status: Status? = nil,
        retryAfter: Duration? = nil,
        code: Int? = nil
    ) {
        self.reason = reason
        self.status = status
        self.retryAfter = retryAfter
        self.code = code
        self.message = message
    }

    init(_ error: TransportError, _ request: ResourceRequest) {
        self.init(.transport(error.reason), "\(request.summary): \(error)")
    }
}

extension KubernetesError: CustomStringConvertible {
    public var description: String { message }
}
