import ServerTransport

/// How to reach the API server, and who we are there.
public struct KubernetesConfiguration: Sendable {
    /// The same cluster at one or more addresses; the first that answers is used.
    public var servers: [ServerAddress]
    /// Whom to trust; `nil` for the authorities of the system.
    public var certificateAuthority: BytesSource?
    /// The name that the server's certificate must have, when it is not the host of its address.
    public var serverName: String?
    /// `false` accepts any server.
    public var verifiesServer: Bool
    public var proxy: ProxyAddress?
    public var credentials: Credentials
    /// The namespace of those who name none.
    public var namespace: String
    /// Where all this comes from, for messages: `context "lab" of /etc/kubernetes/admin.conf`.
    public var origin: String

    public init(
        servers: [ServerAddress],
        certificateAuthority: BytesSource? = nil,
        serverName: String? = nil,
        verifiesServer: Bool = true,
        proxy: ProxyAddress? = nil,
        credentials: Credentials = Credentials(),
        namespace: String = "default",
        origin: String = "the program"
    ) {
        self.servers = servers
        self.certificateAuthority = certificateAuthority
        self.serverName = serverName
        self.verifiesServer = verifiesServer
        self.proxy = proxy
        self.credentials = credentials
        self.namespace = namespace
        self.origin = origin
    }
}
