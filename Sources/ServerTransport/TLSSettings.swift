import NIOSSL

/// Whom to trust, and who we are.
public struct TLSSettings: Hashable, Sendable {
    /// The authorities that may vouch for the server, as PEM text; `nil` for those of the system.
    public var certificateAuthorities: [UInt8]?
    /// The certificate chain and private key of this client, as PEM text.
    public var clientIdentity: ClientIdentity?
    /// The name that the server's certificate must have, when that is not the host of its address. One that names the
    /// IP address that is connected to is as good.
    public var serverName: String?
    /// `false` accepts any certificate of the server.
    public var verifiesServer: Bool

    public struct ClientIdentity: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
        CustomReflectable
    {
        public var certificateChain: [UInt8]
        public var privateKey: [UInt8]

        public init(certificateChain: [UInt8], privateKey: [UInt8]) {
            self.certificateChain = certificateChain
            self.privateKey = privateKey
        }

        /// Says nothing of the key.
        public var description: String { "client certificate of \(certificateChain.count) bytes" }

        public var debugDescription: String { description }

        public var customMirror: Mirror { Mirror(self, children: ["": description]) }
    }

    public init(
        certificateAuthorities: [UInt8]? = nil,
        clientIdentity: ClientIdentity? = nil,
        serverName: String? = nil,
        verifiesServer: Bool = true
    ) {
        self.certificateAuthorities = certificateAuthorities
        self.clientIdentity = clientIdentity
        self.serverName = serverName
        self.verifiesServer = verifiesServer
    }

    func configuration() throws(TransportError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if !verifiesServer { configuration.certificateVerification = .none }
        do {
            if let certificateAuthorities {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(certificateAuthorities))
            }
        } catch {
            throw TransportError(.configuration, server: "", "the certificate authority data holds no PEM certificate")
        }
        guard let clientIdentity else { return configuration }
        do {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(clientIdentity.certificateChain)
                .map { .certificate($0) }
        } catch {
            throw TransportError(.configuration, server: "", "the client certificate data holds no PEM certificate")
        }
        do {
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: clientIdentity.privateKey, format: .pem))
        } catch {
            throw TransportError(.configuration, server: "", "the client key data holds no PEM private key")
        }
        do {
            // The library looks at the pair when a context is made, and else only while it connects.
            _ = try NIOSSLContext(configuration: configuration)
        } catch {
            throw TransportError(.configuration, server: "", "the client key does not belong to the client certificate")
        }
        return configuration
    }
}
