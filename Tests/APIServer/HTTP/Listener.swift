import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// The socket on which a server listens.
final class Listener: Sendable {
    private struct State {
        var channel: (any Channel)?
        var port: Int
        var tls: NIOSSLContext?
    }

    private let options: TestAPIServer.Options
    private let server: ServerState
    private let authority: CertificateAuthority?
    private let threads: MultiThreadedEventLoopGroup
    private let state: Mutex<State>

    init(_ options: TestAPIServer.Options, _ server: ServerState, _ authority: CertificateAuthority?) throws {
        self.options = options
        self.server = server
        self.authority = authority
        state = Mutex(State(port: options.port, tls: try authority.map(Self.context)))
        threads = MultiThreadedEventLoopGroup(numberOfThreads: max(1, options.threads))
    }

    var port: Int { state.withLock { $0.port } }

    func rotateCertificate() throws {
        guard let authority else { throw TestAPIServerError("there are no certificates with plain HTTP") }
        let context = try Self.context(authority)
        state.withLock { $0.tls = context }
    }

    private static func context(_ authority: CertificateAuthority) throws -> NIOSSLContext {
        let issued = try authority.serverCertificate()
        let certificates = try NIOSSLCertificate.fromPEMBytes(Array(issued.certificatePEM.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(issued.keyPEM.utf8), format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificates.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.applicationProtocols = ["http/1.1"]
        configuration.certificateVerification = .optionalVerification
        configuration.trustRoots = .certificates(
            try NIOSSLCertificate.fromPEMBytes(Array(authority.certificatePEM.utf8))
        )
        return try NIOSSLContext(configuration: configuration)
    }

    func listen() async throws {
        let server = server
        let bootstrap = ServerBootstrap(group: threads)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls = state.withLock({ $0.tls }) {
                        try pipeline.addHandler(NIOSSLServerHandler(context: tls))
                    }
                    try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
                    try pipeline.addHandler(ConnectionHandler(server))
                }
            }
        let channel = try await bootstrap.bind(host: options.host, port: port).get()
        state.withLock { state in
            state.channel = channel
            state.port = channel.localAddress?.port ?? state.port
        }
    }

    func close() async {
        let channel = state.withLock { state in
            defer { state.channel = nil }
            return state.channel
        }
        // It fails only when it is closed already.
        try? await channel?.close().get()
    }

    func stop() async {
        await close()
        for connection in server.connections {
            try? await connection.eventLoop.submit { connection.handler.value.end(.close) }.get()
        }
        try? await threads.shutdownGracefully()
    }
}

extension ClientCertificate {
    /// The certificate as it goes over the wire.
    var derBytes: [UInt8] {
        get throws {
            guard let certificate = try NIOSSLCertificate.fromPEMBytes(Array(certificatePEM.utf8)).first else {
                throw TestAPIServerError("no certificate in the PEM text of \(user.name)")
            }
            return try certificate.toDERBytes()
        }
    }
}
