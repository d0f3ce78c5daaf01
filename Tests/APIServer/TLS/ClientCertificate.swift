/// A client's certificate and key.
public struct ClientCertificate: Hashable, Sendable {
    /// The common name is the user's name, the organizations are its groups.
    public let user: User
    public let certificatePEM: String
    public let keyPEM: String
}

extension ClientCertificate: CustomStringConvertible, CustomDebugStringConvertible {
    public var description: String { "certificate of \(user.name)" }
    public var debugDescription: String { description }
}

/// How somebody says who he is.
public enum Credential: Hashable, Sendable {
    case certificate(ClientCertificate)
    case token(String)
    case none
}
