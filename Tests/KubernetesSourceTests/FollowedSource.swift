import ClusterClient
import KubernetesAPI
import KubernetesClient
import Logging
import ServerTransport
import Synchronization
import TestAPIServer
import TestSupport
import Testing

@testable import KubernetesSource

/// A source that runs, and a consumer that checks what every consumer may rely on.
final class FollowedSource: Sendable {
    private struct State {
        var objects: [ObjectKey: KubernetesObject] = [:]
        var synced: Set<ObjectKind> = []
        var batches = 0
        var changes = 0
    }

    private let state = Mutex(State())
    private let client: KubernetesClient
    private let task: Mutex<Task<Void, any Error>?> = Mutex(nil)
    let log = CollectedLog()

    init(
        _ server: TestAPIServer,
        _ resources: [WatchedResource] = [.services, .endpointSlices],
        token: String? = nil,
        snapshot: SnapshotFile? = nil,
        changeSettings: (inout KubernetesSource.Settings) -> Void = { _ in },
        consuming: @escaping @Sendable (ObjectBatch) async -> Void = { _ in }
    ) throws {
        client = try makeClient(server, token: token, logger: log.logger)
        var settings = KubernetesSource.Settings()
        settings.reflector.firstDelay = .milliseconds(50)
        settings.reflector.longestDelay = .milliseconds(400)
        settings.snapshotInterval = .milliseconds(100)
        changeSettings(&settings)
        let source = KubernetesSource(client, resources, snapshot: snapshot, settings: settings, logger: log.logger)
        let run = Task {
            try await source.run { batch in
                self.take(batch)
                await consuming(batch)
            }
        }
        task.withLock { $0 = run }
    }

    var objects: [ObjectKey: KubernetesObject] { state.withLock { $0.objects } }
    var synced: Set<ObjectKind> { state.withLock { $0.synced } }
    var batches: Int { state.withLock { $0.batches } }
    var changes: Int { state.withLock { $0.changes } }

    func names(_ kind: ObjectKind) -> [String] { objects.keys.filter { $0.kind == kind }.map(\.name.name).sorted() }

    func service(_ name: String) -> Service? {
        let key = ObjectKey(.service, ObjectName(namespace: "default", name: name))
        guard case .service(let service) = objects[key] else { return nil }
        return service
    }

    private func take(_ batch: ObjectBatch) {
        state.withLock { state in
            #expect(!batch.isEmpty)
            #expect(state.synced.isDisjoint(with: batch.synced))
            for change in batch.changes {
                let known = state.objects[change.key]
                switch change {
                case .set(let object):
                    #expect(known?.hasSameContent(as: object) != true, "told twice: \(change.key)")
                    if let known {
                        let (old, new) = (known.metadata.resourceVersion, object.metadata.resourceVersion)
                        #expect(ResourceVersion.isOlder(old, than: new), "backwards: \(change.key) \(old) \(new)")
                    }
                    state.objects[change.key] = object
                case .delete(let key):
                    #expect(known != nil, "deleted without having been told: \(key)")
                    state.objects[key] = nil
                }
            }
            state.synced.formUnion(batch.synced)
            state.batches += 1
            state.changes += batch.changes.count
        }
    }

    func stop() async {
        let task = task.withLock { $0 }
        task?.cancel()
        try? await task?.value
        await client.shutdown()
    }
}

/// Polls until something holds.
func eventually(
    within limit: Duration = .seconds(20),
    _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () -> Bool
) async {
    let deadline = ContinuousClock.now + limit
    while !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record(comment ?? "did not come about in \(limit)", sourceLocation: sourceLocation)
            return
        }
        try? await Task.sleep(for: .milliseconds(5))
    }
}

/// JSON of a small Service.
func serviceJSON(_ name: String, port: Int = 80, labels: String = "") -> String {
    """
    {"apiVersion":"v1","kind":"Service","metadata":{"name":"\(name)","namespace":"default","labels":{\(labels)}},\
    "spec":{"clusterIP":"10.96.0.10","clusterIPs":["10.96.0.10"],"ports":[{"name":"p","port":\(port),"protocol":"TCP",\
    "targetPort":80}],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"]}}
    """
}

/// A client of a server without TLS, or with the certificate of its administrator.
func makeClient(_ server: TestAPIServer, token: String?, logger: Logger) throws -> KubernetesClient {
    var configuration: KubernetesConfiguration
    if server.certificateAuthorityPEM.isEmpty {
        configuration = KubernetesConfiguration(servers: [try #require(ServerAddress(server.url))])
    } else {
        let directory = try TemporaryDirectory()
        try server.writeKubeconfig(to: "\(directory.path)/config")
        configuration = try .load(kubeconfig: "\(directory.path)/config", master: nil, environment: [:])
    }
    if let token { configuration.credentials.authorization = .token(.data(Array(token.utf8))) }
    return try KubernetesClient(configuration, userAgent: "test", rateLimit: nil, logger: logger)
}
