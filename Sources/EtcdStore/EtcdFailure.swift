import ClusterClient
import JSON
import NIOCore
import ServerTransport

/// Why a request to etcd has no answer to work with.
struct EtcdFailure: Error, Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// No member could be connected to.
        case unreachable
        /// No answer, or one that promises that another attempt may do: no leader, time-out, too many requests. The
        /// request may have been done.
        case unavailable
        /// The answer cannot be what etcd says. The request may have been done.
        case unintelligible
        /// The token is not, or no longer, valid.
        case unauthenticated
        /// The cluster has no authentication, so there is nobody to be.
        case authenticationIsOff
        /// The revision that was asked for is not kept any more.
        case compacted
        /// The answer is larger than we take.
        case answerTooLarge
        case cancelled
        /// Anything that another attempt does not cure.
        case refused
    }

    let kind: Kind
    /// One clause for a person, with the member it is about.
    let message: String

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    var datastoreError: DatastoreError {
        switch kind {
        case .unreachable, .unavailable, .unintelligible, .cancelled, .compacted:
            DatastoreError(.unavailable, "etcd: \(message)")
        case .unauthenticated, .authenticationIsOff, .answerTooLarge, .refused:
            DatastoreError(.failed, "etcd: \(message)")
        }
    }

    /// Whether another member, or the same one later, may answer.
    var isWorthAnotherTry: Bool {
        switch kind {
        case .unreachable, .unavailable, .unintelligible: true
        case .unauthenticated, .authenticationIsOff, .compacted, .answerTooLarge, .cancelled, .refused: false
        }
    }
}

extension EtcdFailure {
    init(_ error: TransportError) {
        switch error.reason {
        case .unreachable, .handshake: self.init(.unreachable, error.description)
        case .timeout, .cut: self.init(.unavailable, error.description)
        case .malformed: self.init(.unintelligible, error.description)
        case .tooLarge: self.init(.answerTooLarge, error.description)
        case .cancelled: self.init(.cancelled, error.description)
        case .configuration: self.init(.refused, error.description)
        }
    }

    /// Judges an answer of the gateway that is none of success.
    init(status: Int, body: ByteBuffer, server: ServerAddress, hiding secrets: [String]) {
        let error = try? GatewayError(body)
        guard let error else {
            switch status {
            case 404:
                self.init(
                    .refused,
                    "\(server) has no /v3 gateway; etcd 3.4 or newer is needed, with its gateway enabled"
                )
            case 408, 429, 500...: self.init(.unavailable, "\(server) answered with HTTP status \(status)")
            case 401, 403: self.init(.refused, "\(server) refused with HTTP status \(status)")
            default: self.init(.unintelligible, "\(server) answered with HTTP status \(status), and not as etcd does")
            }
            return
        }
        self.init(error, server: server, hiding: secrets)
    }

    init(_ error: GatewayError, server: ServerAddress, hiding secrets: [String]) {
        let text = error.message
        func says(_ part: String) -> Bool { !text.ranges(of: part).isEmpty }
        let said = "\(server): \(Self.printable(text, hiding: secrets))"
        // The codes of gRPC (https://grpc.io/docs/guides/status-codes), and etcd's words where a code has several meanings.
        switch error.code {
        case 16: self.init(.unauthenticated, said)
        case 3 where says("revision in header is old"), 3 where says("user name is empty"):
            self.init(.unauthenticated, said)
        case 3 where says("authentication failed"):
            self.init(.refused, "\(said); check etcd_username and etcd_password")
        case 7: self.init(.refused, "\(said); the user needs a role with access to the prefix /calico/")
        case 9 where says("authentication is not enabled"): self.init(.authenticationIsOff, said)
        case 8 where says("space exceeded"), 8 where says("NOSPACE"):
            self.init(.refused, "\(said); compact and defragment it, then disarm its NOSPACE alarm")
        case 8 where says("larger than max"), 3 where says("too large"):
            self.init(.refused, "\(said); a commit may not exceed etcd's --max-request-bytes")
        case 11 where says("compacted"): self.init(.compacted, said)
        // Another member may lag behind the one that answered before.
        case 11 where says("future revision"): self.init(.unavailable, said)
        case 1, 2, 4, 8, 10, 13, 14: self.init(.unavailable, said)
        default: self.init(.refused, said)
        }
    }

    /// What a server said, as far as it may be shown: short, without control characters, and without what is secret,
    /// should it repeat that.
    static func printable(_ text: String, hiding secrets: [String]) -> String {
        var text = text
        for secret in secrets where !secret.isEmpty { text.replace(secret, with: "…") }
        let plain = text.unicodeScalars.prefix(300).map { $0.value < 0x20 || $0.value == 0x7f ? " " : Character($0) }
        return String(plain)
    }
}

/// How the gateway reports an error: `{"error": TEXT, "code": N}`, or inside a stream
/// `{"error": {"grpc_code": N, "message": TEXT}}`.
struct GatewayError: Hashable, Sendable {
    var code = 2
    var message = ""

    init(_ body: ByteBuffer) throws(JSONReader.Failure) {
        var found: GatewayError?
        try body.readJSON { (reader) throws(JSONReader.Failure) in
            var error = Self.none
            try reader.object { (name, reader) throws(JSONReader.Failure) in
                switch name {
                case "code": error.code = try reader.integer()
                case "message", "error":
                    error.message = try reader.string()
                    found = error
                default: try reader.skip()
                }
            }
            if found != nil { found = error }
            if found == nil { throw reader.failure("no error") }
        }
        self = found ?? .none
    }

    /// The error inside a stream.
    init(from reader: inout JSONReader) throws(JSONReader.Failure) {
        var error = Self.none
        try reader.object { (name, reader) throws(JSONReader.Failure) in
            switch name {
            case "grpc_code": error.code = try reader.integer()
            case "message": error.message = try reader.string()
            default: try reader.skip()
            }
        }
        self = error
    }

    init(code: Int, message: String) {
        self.code = code
        self.message = message
    }

    private static let none = GatewayError(code: 2, message: "")
}
