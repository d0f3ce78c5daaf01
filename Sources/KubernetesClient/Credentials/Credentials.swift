/// How we show the API server who we are.
public struct Credentials: Hashable, Sendable {
    public var certificate: Certificate?
    public var authorization: Authorization?
    public var impersonation: Impersonation?

    /// A client certificate and its private key, as PEM text.
    public struct Certificate: Hashable, Sendable {
        public var chain: BytesSource
        public var key: BytesSource

        public init(chain: BytesSource, key: BytesSource) {
            self.chain = chain
            self.key = key
        }
    }

    public enum Authorization: Hashable, Sendable {
        case token(BytesSource)
        case password(user: String, password: String)
        case plugin(ExecPlugin)
    }

    /// Whom to act as, where RBAC allows it.
    public struct Impersonation: Hashable, Sendable {
        public var user: String
        public var groups: [String]
        public var uid: String?

        public init(user: String, groups: [String] = [], uid: String? = nil) {
            self.user = user
            self.groups = groups
            self.uid = uid
        }
    }

    public init(
        certificate: Certificate? = nil,
        authorization: Authorization? = nil,
        impersonation: Impersonation? = nil
    ) {
        self.certificate = certificate
        self.authorization = authorization
        self.impersonation = impersonation
    }
}

/// Bytes that may be secret: given once, or held in a file that may change.
public enum BytesSource: Hashable, Sendable {
    case data([UInt8])
    case file(String)
}

extension BytesSource: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        switch self {
        case .data(let bytes): "\(bytes.count) bytes"
        case .file(let path): path
        }
    }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: ["": description]) }
}

extension Credentials.Authorization: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        switch self {
        case .token(let source): "token of \(source)"
        case .password(let user, _): "password of \(user)"
        case .plugin(let plugin): "plugin \(plugin.command)"
        }
    }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: ["": description]) }
}

extension Credentials: CustomStringConvertible {
    public var description: String {
        var parts: [String] = []
        if let certificate { parts.append("client certificate \(certificate.chain)") }
        if let authorization { parts.append("\(authorization)") }
        if let impersonation { parts.append("acting as \(impersonation.user)") }
        return parts.isEmpty ? "none" : parts.joined(separator: ", ")
    }
}
