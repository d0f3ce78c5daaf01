// TestAPIServer: a Kubernetes API server in memory, for tests, the benchmark and the demo; never in the product.
//
// What belongs here: what a client can observe of a kube-apiserver 1.36, over real TCP and TLS, and the faults that a
// client has to survive. It has no controllers, no admission, no conversion between versions, and shares no code with
// the client under test but JSON.

/// A Kubernetes API server that holds its objects in memory.
///
/// It listens when it has been made. All methods may be called from any task.
public final class TestAPIServer: Sendable {
    public typealias ObjectReference = (resource: ResourceType, namespace: String?, name: String)

    /// Starts to listen.
    public init(_ options: Options = Options()) async throws {
        throw TestAPIServerError("not written yet")
    }

    /// Ends all connections and frees the port.
    public func stop() async {}

    // MARK: Where it is, and who may enter

    public let host = ""
    public let port = 0
    /// `https://127.0.0.1:PORT`.
    public var url: String { "" }
    /// The certificate of the authority that signs the server's and the clients' certificates; empty with plain HTTP.
    public var certificateAuthorityPEM: String { "" }

    /// The text of a kubeconfig.
    ///
    /// - Parameters:
    ///   - credential: by default a certificate of the administrator.
    ///   - servers: URLs in place of ``url``; each becomes a cluster and a context, the first one the current context.
    public func kubeconfig(_ credential: Credential? = nil, namespace: String? = nil, servers: [String] = []) throws
        -> String
    { throw TestAPIServerError("not written yet") }

    /// Writes a kubeconfig, which only its owner can read.
    public func writeKubeconfig(to path: String, _ credential: Credential? = nil, namespace: String? = nil) throws {}

    /// Issues a certificate; takes some 20 ms.
    public func clientCertificate(_ user: User) throws -> ClientCertificate {
        throw TestAPIServerError("not written yet")
    }

    /// Gives new connections a new certificate of the same authority.
    public func rotateServerCertificate() throws {}

    /// Accepts a bearer token from now on; `nil` revokes it.
    public func setToken(_ token: String, user: User?) {}

    public func setRules(_ rules: [AccessRule]) {}

    // MARK: Objects

    /// Creates or replaces an object, from JSON with apiVersion and kind, as a write through the API would, but
    /// without validation. Returns its resourceVersion.
    @discardableResult
    public func put(_ json: String) throws -> String { throw TestAPIServerError("not written yet") }

    /// Puts the objects of a list as they are, with uid and resourceVersion, and sets the resourceVersion of the whole
    /// store to at least that of the list. For a cluster that was recorded. Watches do not see it.
    public func restore(list json: String) throws {}

    /// Deletes an object at once, whatever finalizers it has; `false` when there was none.
    @discardableResult
    public func delete(_ resource: ResourceType, namespace: String? = nil, name: String) -> Bool { false }

    /// An object as JSON, or `nil`.
    public func object(_ resource: ResourceType, namespace: String? = nil, name: String) -> String? { nil }

    /// How many objects there are of a resource.
    public func count(_ resource: ResourceType) -> Int { 0 }

    /// The resourceVersion of the last write.
    public var resourceVersion: UInt64 { 0 }

    /// Forgets the history: resourceVersions before the present one expire.
    public func compact() {}

    /// Serves another custom resource, as a CustomResourceDefinition would.
    public func addCustomResource(_ type: ResourceType) {}

    // MARK: Faults

    /// Adds a fault; of several that match a request the oldest one counts.
    @discardableResult
    public func addFault(_ rule: FaultRule) -> Int { 0 }

    public func removeFault(_ id: Int) {}
    public func removeFaults() {}

    /// How many requests a rule has hit so far.
    public func hits(of id: Int) -> Int { 0 }

    /// Does something to the watches that are open now: of one resource, or all. Returns how many.
    @discardableResult
    public func interruptWatches(_ interruption: WatchInterruption, of resource: ResourceType? = nil) async -> Int { 0 }

    /// Ends all connections.
    public func endConnections(_ ending: Fault.Ending = .reset) async {}

    /// Stops to listen and ends all connections, so that new ones are refused; the objects stay.
    public func suspend(_ ending: Fault.Ending = .reset) async {}

    /// Listens again, on the same port.
    public func resume() async throws {}

    // MARK: What has happened

    /// The requests so far, oldest first; the newest 100,000.
    public var requests: [LoggedRequest] { [] }
    public func clearRequests() {}
    public var metrics: Metrics { Metrics() }
}
