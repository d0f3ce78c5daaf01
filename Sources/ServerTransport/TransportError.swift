import AsyncHTTPClient
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Why no response came, or not all of it.
public struct TransportError: Error, Hashable, Sendable {
    public enum Reason: Hashable, Sendable {
        /// An address, certificate or key cannot be used; trying again is of no use.
        case configuration
        /// No connection: refused, unreachable, name unknown, time-out. The request was not sent.
        case unreachable
        /// The TLS handshake failed: a certificate that is not trusted, or that the server refuses.
        case handshake
        /// The time was up. The request may have been done.
        case timeout
        /// The connection ended before the response did. The request may have been done.
        case cut
        /// The response has more bytes than the request allows.
        case tooLarge
        /// What came is no HTTP.
        case malformed
        /// The task was cancelled.
        case cancelled
    }

    public let reason: Reason
    /// The address, as a URL; empty when none was reached yet.
    public let server: String
    /// One clause for a person; holds nothing secret.
    public let message: String

    public init(_ reason: Reason, server: String, _ message: String) {
        self.reason = reason
        self.server = server
        self.message = message
    }

    /// Translates what the HTTP library throws, also from the body of a ``StreamedResponse``.
    public init(_ error: any Error, server: String) {
        self.init(error, server: server, limit: nil, wasSent: true)
    }

    init(_ error: any Error, server: String, limit: Int?, wasSent: Bool) {
        if let error = error as? TransportError {
            self = error
            return
        }
        let (reason, message) = Self.translate(error, limit: limit, wasSent: wasSent)
        self.init(reason, server: server, message)
    }

    private static func translate(_ error: any Error, limit: Int?, wasSent: Bool) -> (Reason, String) {
        switch error {
        case is CancellationError: (.cancelled, "cancelled")
        case is DeadlineExceeded: (.timeout, "did not answer in time")
        case is NIOTooManyBytesError: (.tooLarge, "the response is larger than \(limit ?? 0) bytes")
        case let error as HTTPClientError:
            switch error {
            case .cancelled: (.cancelled, "cancelled")
            case .connectTimeout, .getConnectionFromPoolTimeout: (.unreachable, "cannot be reached: time-out")
            case .tlsHandshakeTimeout: (.unreachable, "the TLS handshake took too long")
            case .httpProxyHandshakeTimeout, .socksHandshakeTimeout, .invalidProxyResponse:
                (.unreachable, "the proxy does not connect")
            case .proxyAuthenticationRequired: (.unreachable, "the proxy wants other credentials")
            case .deadlineExceeded, .readTimeout, .writeTimeout: (.timeout, "did not answer in time")
            case .remoteConnectionClosed: (.cut, "closed the connection in the middle")
            case .alreadyShutdown: (.cancelled, "the transport was shut down")
            case .invalidURL, .emptyHost, .emptyScheme: (.configuration, "the address is not valid")
            default: (.malformed, "\(error.shortDescription)")
            }
        case let error as NIOSSLError:
            switch error {
            case .handshakeFailed(let cause): (.handshake, "the TLS handshake failed: \(Self.plain("\(cause)"))")
            case .uncleanShutdown: (.cut, "closed the connection in the middle")
            default: (wasSent ? .cut : .handshake, "TLS failed: \(Self.plain("\(error)"))")
            }
        case let error as BoringSSLError: (.handshake, "TLS failed: \(Self.plain("\(error)"))")
        case let error as NIOConnectionError:
            (.unreachable, "cannot be reached: \(Self.cause(of: error))")
        case let error as IOError where Self.isOfConnecting(error):
            (.unreachable, "cannot be reached: \(Self.reason(of: error))")
        case let error as IOError: (.cut, "broke the connection: \(Self.reason(of: error))")
        case ChannelError.connectTimeout: (.unreachable, "cannot be reached: time-out")
        case is ChannelError: (.cut, "closed the connection in the middle")
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            (.handshake, "the server's certificate is not for this name or address; see tls-server-name")
        case HTTPParserError.invalidEOFState: (.cut, "closed the connection in the middle")
        case is HTTPParserError: (.malformed, "what came is no HTTP: \(error)")
        default: (wasSent ? .cut : .malformed, "\(type(of: error)): \(error)")
        }
    }

    private static func cause(of error: NIOConnectionError) -> String {
        if let cause = error.connectionErrors.first?.error {
            return (cause as? IOError).map { reason(of: $0) } ?? "\(cause)"
        }
        return error.dnsAError != nil || error.dnsAAAAError != nil
            ? "the name \(error.host) has no address" : "no address of \(error.host) answers"
    }

    /// Whether no connection came about, so that nothing was sent. A reset may also come after a request.
    private static func isOfConnecting(_ error: IOError) -> Bool {
        let text = "\(error)"
        return error.errnoCode == ECONNREFUSED || text.contains("connect(") || text.contains("non-blocking connect")
    }

    private static func reason(of error: IOError) -> String {
        String(cString: strerror(error.errnoCode))
    }

    /// Without the line numbers of the TLS library's own sources.
    private static func plain(_ text: String) -> String {
        guard text.contains("CERTIFICATE_VERIFY_FAILED") else { return text }
        return "the server's certificate is not trusted (CERTIFICATE_VERIFY_FAILED)"
    }

    /// Whether another address of the server may be tried with this request.
    func isWorthAnotherAddress(_ request: TransportRequest) -> Bool {
        switch reason {
        case .unreachable, .handshake: true
        case .timeout, .cut, .malformed: request.isIdempotent
        case .configuration, .tooLarge, .cancelled: false
        }
    }
}

extension TransportError: CustomStringConvertible {
    public var description: String { server.isEmpty ? message : "\(server): \(message)" }
}
