import FoundationEssentials
import KubernetesAPI
import Logging
import ServerTransport

/// The present credentials, and the transport that uses them.
///
/// A certificate that changed makes another transport; responses that still come over the old one keep it.
actor Session {
    /// With what one request is made.
    struct Access: Sendable {
        let transport: ServerTransport
        let headers: [(name: String, value: String)]
        fileprivate let identity: Identity
    }

    /// What a server judges us by.
    fileprivate struct Identity: Hashable, Sendable {
        let tls: TLSSettings
        let authorization: String?
    }

    private let configuration: KubernetesConfiguration
    private let logger: Logger
    private var files: [String: WatchedFile] = [:]
    /// Files of which it was said that they cannot be read.
    private var unreadable: Set<String> = []
    private var plugin: PluginCache?
    private var transport: (tls: TLSSettings, transport: ServerTransport)?
    private var isShutDown = false

    init(_ configuration: KubernetesConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        if case .plugin(let plugin)? = configuration.credentials.authorization {
            self.plugin = PluginCache(plugin, configuration)
        }
    }

    func access(_ request: ResourceRequest, _ deadline: Deadline) async throws(KubernetesError) -> Access {
        let identity = try await identity(isForced: false, request, deadline)
        return try access(identity, request)
    }

    /// Looks for other credentials after a 401.
    ///
    /// - Returns: whether there are others than those that were refused.
    func renew(
        _ refused: Access,
        _ request: ResourceRequest,
        _ deadline: Deadline
    ) async throws(KubernetesError) -> Bool {
        plugin?.forget(refused.identity.authorization, refused.identity.tls.clientIdentity)
        return try await identity(isForced: true, request, deadline) != refused.identity
    }

    func shutdown() async {
        isShutDown = true
        await transport?.transport.shutdown()
    }

    private func access(_ identity: Identity, _ request: ResourceRequest) throws(KubernetesError) -> Access {
        guard !isShutDown else {
            throw KubernetesError(.transport(.cancelled), "\(request.summary): the client was shut down")
        }
        var headers: [(name: String, value: String)] = []
        if let authorization = identity.authorization { headers.append(("Authorization", authorization)) }
        if let impersonation = configuration.credentials.impersonation {
            headers.append(("Impersonate-User", impersonation.user))
            for group in impersonation.groups { headers.append(("Impersonate-Group", group)) }
            if let uid = impersonation.uid { headers.append(("Impersonate-Uid", uid)) }
        }
        return Access(transport: try transport(identity.tls, request), headers: headers, identity: identity)
    }

    private func transport(_ tls: TLSSettings, _ request: ResourceRequest) throws(KubernetesError) -> ServerTransport {
        if let transport, transport.tls == tls { return transport.transport }
        do throws(TransportError) {
            let made = try ServerTransport(
                addresses: configuration.servers,
                tls: tls,
                proxy: configuration.proxy,
                logger: logger
            )
            transport = (tls, made)
            return made
        } catch {
            // While files are being replaced one after the other, what was good a moment ago still is.
            if let transport { return transport.transport }
            throw KubernetesError(.transport(error.reason), "\(request.summary): \(configuration.origin): \(error)")
        }
    }

    // MARK: What we show

    private func identity(
        isForced: Bool,
        _ request: ResourceRequest,
        _ deadline: Deadline
    ) async throws(KubernetesError) -> Identity {
        var tls = TLSSettings(
            certificateAuthorities: try configuration.certificateAuthority.map { (source) throws(KubernetesError) in
                try bytes(source, "certificate authority", isForced: isForced, request)
            },
            serverName: configuration.serverName,
            verifiesServer: configuration.verifiesServer
        )
        if let certificate = configuration.credentials.certificate {
            tls.clientIdentity = TLSSettings.ClientIdentity(
                certificateChain: try bytes(certificate.chain, "client certificate", isForced: isForced, request),
                privateKey: try bytes(certificate.key, "client key", isForced: isForced, request)
            )
        }
        var authorization: String?
        switch configuration.credentials.authorization {
        case nil: break
        case .token(let source):
            let text = try bytes(source, "token", isForced: isForced, request)
            guard let token = BearerToken(text) else {
                throw failure("the token of \(source) is empty or holds characters that no token has", request)
            }
            authorization = token.header
        case .password(let user, let password):
            authorization = "Basic \(Data("\(user):\(password)".utf8).base64EncodedString())"
        case .plugin:
            guard let plugin else { break }
            let credential: PluginCredential
            do throws(PluginFailure) {
                credential = try await plugin.credential(within: deadline.left)
            } catch {
                throw failure(error.reason, request)
            }
            authorization = credential.token?.header
            if let identity = credential.identity { tls.clientIdentity = identity }
        }
        return Identity(tls: tls, authorization: authorization)
    }

    private func failure(_ reason: String, _ request: ResourceRequest) -> KubernetesError {
        KubernetesError(.credentials, "\(request.summary): \(configuration.origin): \(reason)")
    }

    private func bytes(
        _ source: BytesSource,
        _ what: String,
        isForced: Bool,
        _ request: ResourceRequest
    ) throws(KubernetesError) -> [UInt8] {
        switch source {
        case .data(let bytes): return bytes
        case .file(let path):
            var file = files[path] ?? WatchedFile(path)
            defer { files[path] = file }
            do throws(WatchedFile.Unreadable) {
                let bytes = try file.read(now: .now, isForced: isForced)
                unreadable.remove(path)
                return bytes
            } catch {
                guard let last = file.last else {
                    throw failure("the \(what) file \(path) cannot be read: \(error.reason)", request)
                }
                if unreadable.insert(path).inserted {
                    logger.warning("the \(what) file \(path) cannot be read again: \(error.reason)")
                }
                return last
            }
        }
    }
}
