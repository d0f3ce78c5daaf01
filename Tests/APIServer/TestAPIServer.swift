// TestAPIServer: a Kubernetes API server in memory, for tests, the benchmark and the demo; never in the product.
//
// What belongs here: what a client can observe of a kube-apiserver 1.36, over real TCP and TLS, and the faults that a
// client has to survive. It has no controllers, no admission, no conversion between versions, and shares no code with
// the client under test but JSON.

import FoundationEssentials
import NIOCore
import NIOPosix
import Synchronization

/// A Kubernetes API server that holds its objects in memory.
///
/// It listens when it has been made. All methods may be called from any task.
public final class TestAPIServer: Sendable {
    let options: Options
    let state: ServerState
    private let listener: Listener
    private let authority: CertificateAuthority?
    private let administrator: Credential

    /// Starts to listen.
    public init(_ options: Options = Options()) async throws {
        self.options = options
        let access = AccessControl(options)
        let service = APIService(
            options: options,
            store: ObjectStore(revision: options.resourceVersion, historyLimit: options.historyLimit),
            registry: ResourceRegistry(
                (ResourceType.builtIn + options.customResources).filter { !options.missingResources.contains($0) }
            ),
            access: access
        )
        state = ServerState(service)
        if options.security == .tls {
            let authority = try CertificateAuthority()
            self.authority = authority
            let certificate = try authority.clientCertificate(.administrator)
            access.add(certificate: try certificate.derBytes, .administrator)
            administrator = .certificate(certificate)
        } else {
            authority = nil
            administrator = .none
        }
        listener = try Listener(options, state, authority)
        try await listener.listen()
    }

    /// Ends all connections and frees the port.
    public func stop() async {
        await listener.stop()
    }

    // MARK: Where it is, and who may enter

    public var host: String { options.host }
    public var port: Int { listener.port }

    /// `https://127.0.0.1:PORT`.
    public var url: String {
        let host = options.host.contains(":") ? "[\(options.host)]" : options.host
        return "\(options.security == .tls ? "https" : "http")://\(host):\(port)"
    }

    /// The certificate of the authority that signs the server's and the clients' certificates; empty with plain HTTP.
    public var certificateAuthorityPEM: String { authority?.certificatePEM ?? "" }

    /// The text of a kubeconfig.
    ///
    /// - Parameters:
    ///   - credential: by default a certificate of the administrator.
    ///   - servers: URLs in place of ``url``; each becomes a cluster and a context, the first one the current context.
    public func kubeconfig(
        _ credential: Credential? = nil,
        namespace: String? = nil,
        servers: [String] = []
    ) -> String {
        Kubeconfig.text(
            servers: servers.isEmpty ? [url] : servers,
            authorityPEM: certificateAuthorityPEM,
            credential: credential ?? administrator,
            namespace: namespace
        )
    }

    /// Writes a kubeconfig, which only its owner can read.
    public func writeKubeconfig(to path: String, _ credential: Credential? = nil, namespace: String? = nil) throws {
        let data = Data(kubeconfig(credential, namespace: namespace).utf8)
        guard FileManager.default.createFile(atPath: path, contents: data, attributes: [.posixPermissions: 0o600])
        else {
            throw TestAPIServerError("cannot write \(path)")
        }
    }

    /// Issues a certificate; takes some 20 ms.
    public func clientCertificate(_ user: User) throws -> ClientCertificate {
        guard let authority else { throw TestAPIServerError("there are no certificates with plain HTTP") }
        let certificate = try authority.clientCertificate(user)
        state.service.access.add(certificate: try certificate.derBytes, user)
        return certificate
    }

    /// Takes a certificate away: connections that are made with it from now on are anonymous.
    public func revoke(_ certificate: ClientCertificate) throws {
        state.service.access.remove(certificate: try certificate.derBytes)
    }

    /// Gives new connections a new certificate of the same authority.
    public func rotateServerCertificate() throws {
        try listener.rotateCertificate()
    }

    /// Accepts a bearer token from now on; `nil` revokes it.
    public func setToken(_ token: String, user: User?) {
        state.service.access.setToken(token, user)
    }

    public func setRules(_ rules: [AccessRule]) {
        state.service.access.setRules(rules)
    }

    // MARK: What has happened

    /// The requests so far, oldest first; the newest 50,000 at least.
    public var requests: [LoggedRequest] { state.requests }

    public func clearRequests() { state.clearRequests() }

    public var metrics: Metrics { state.metrics }
}

// MARK: - Faults

extension TestAPIServer {
    /// Adds a fault; of several that match a request the oldest one counts.
    @discardableResult
    public func addFault(_ rule: FaultRule) -> Int { state.faults.add(rule) }

    public func removeFault(_ id: Int) { state.faults.remove(id) }

    public func removeFaults() { state.faults.remove(nil) }

    /// How many requests a rule has hit so far.
    public func hits(of id: Int) -> Int { state.faults.hits(id) }

    /// Does something to the watches that are open now: of one resource, or all. Returns how many.
    @discardableResult
    public func interruptWatches(_ interruption: WatchInterruption, of resource: ResourceType? = nil) async -> Int {
        var count = 0
        for connection in state.connections {
            let hit = try? await connection.eventLoop.submit { [handler = connection.handler] in
                handler.value.interrupt(interruption, resource)
            }.get()
            if hit == true { count += 1 }
        }
        return count
    }

    /// Ends all connections.
    public func endConnections(_ ending: Fault.Ending = .reset) async {
        for connection in state.connections {
            // An event loop that has shut down has no connections.
            try? await connection.eventLoop.submit { [handler = connection.handler] in handler.value.end(ending) }
                .get()
        }
    }

    /// Stops to listen and ends all connections, so that new ones are refused; the objects stay.
    public func suspend(_ ending: Fault.Ending = .reset) async {
        await listener.close()
        await endConnections(ending)
    }

    /// Listens again, on the same port.
    public func resume() async throws {
        try await listener.listen()
    }
}
