/// How an API server writes objects.
public enum WireEncoding: Hashable, Sendable, CaseIterable {
    /// Kubernetes' own envelope around protobuf messages.
    case protobuf
    case json

    /// The media type of one object or list.
    public var contentType: String {
        switch self {
        case .protobuf: "application/vnd.kubernetes.protobuf"
        case .json: "application/json"
        }
    }

    /// The media type of a watch stream.
    public var watchContentType: String {
        switch self {
        case .protobuf: "application/vnd.kubernetes.protobuf;stream=watch"
        case .json: "application/json"
        }
    }

    /// What to ask for in an `Accept` header. JSON is always taken, as custom resources and errors may come in it.
    public var accept: String {
        switch self {
        case .protobuf: "\(contentType),application/json"
        case .json: contentType
        }
    }

    /// The same for a watch.
    public var acceptForWatch: String {
        switch self {
        case .protobuf: "\(watchContentType),application/json"
        case .json: watchContentType
        }
    }

    /// The encoding that a `Content-Type` header names, parameters left aside; `nil` for any other.
    public init?(contentType: String) {
        let type = contentType.prefix { $0 != ";" && $0 != " " }.lowercased()
        guard let encoding = Self.allCases.first(where: { $0.contentType == type }) else { return nil }
        self = encoding
    }
}
