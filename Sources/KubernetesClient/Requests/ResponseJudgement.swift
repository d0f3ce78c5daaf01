import KubernetesAPI
import NIOCore
import NIOHTTP1

extension KubernetesError {
    /// What a response that is no success means.
    init(_ request: ResourceRequest, server: String, code: Int, headers: HTTPHeaders, body: ByteBuffer) {
        let status = Status(body: body, contentType: headers.first(name: "Content-Type") ?? "")
        let said = status.flatMap { $0.message.isEmpty ? nil : $0.message } ?? Self.plainText(body)
        var message = "\(request.summary) at \(server): \(code)"
        if let said { message += ": \(said)" }
        self.init(
            Self.reason(code, status, request),
            message,
            status: status,
            retryAfter: Self.retryAfter(headers, status),
            code: code
        )
    }

    private static func reason(_ code: Int, _ status: Status?, _ request: ResourceRequest) -> Reason {
        switch code {
        case 400: return status?.reason == "Invalid" ? .invalid : .badRequest
        case 401: return .unauthorized
        case 403: return .forbidden
        case 404: return .notFound
        case 405: return .methodNotAllowed
        case 406: return .notAcceptable
        case 409:
            if let reason = status?.reason, !reason.isEmpty {
                return reason == "AlreadyExists" ? .alreadyExists : .conflict
            }
            return request.method == .POST ? .alreadyExists : .conflict
        case 410: return .expired
        case 415: return .unsupportedMediaType
        case 422: return .invalid
        case 429: return .tooManyRequests
        case 500...599: return .unavailable
        default: return .unexpected
        }
    }

    private static func retryAfter(_ headers: HTTPHeaders, _ status: Status?) -> Duration? {
        let header = headers.first(name: "Retry-After").flatMap { Int($0) }
        return (header ?? status?.details?.retryAfterSeconds).flatMap { $0 >= 0 ? .seconds(min($0, 86_400)) : nil }
    }

    /// The first line of a body that is no Status, cut short and without control characters.
    private static func plainText(_ body: ByteBuffer) -> String? {
        let text = String(decoding: body.readableBytesView.prefix(512), as: UTF8.self)
        let line = text.split(whereSeparator: \.isNewline).first { !$0.allSatisfy(\.isWhitespace) }
        guard let line, !line.hasPrefix("<"), !line.hasPrefix("{") else { return nil }
        return String(line.prefix(200).filter { !($0.unicodeScalars.first?.properties.generalCategory == .control) })
    }
}
