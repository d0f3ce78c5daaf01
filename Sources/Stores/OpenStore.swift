import ClusterClient
import EtcdStore
import KubernetesClient
import KubernetesStore
import Logging

extension StoreSelection {
    /// The store. Nothing is sent and no thread is started before it is used.
    ///
    /// - Parameters:
    ///   - node: lists of workload endpoints may be confined to this node's; only the Kubernetes store does it, where
    ///     they are read from Pods.
    ///   - timeLimit: how long a call waits for the store, unless ``RequestDeadline`` comes first.
    ///   - environment: what credentials may be taken from when nothing is configured (a Pod's service account).
    ///   - program: what the server is told who asks, as `swiftlet/1.0`.
    /// - Throws: ``DatastoreError/Reason/failed`` when the credentials cannot be read or used.
    public func open(
        node: String? = nil,
        timeLimit: Duration = .seconds(8),
        environment: [String: String] = [:],
        program: String,
        logger: Logger = Logger(label: "store") { _ in SwiftLogNoOpLogHandler() }
    ) throws(DatastoreError) -> any Datastore {
        switch self {
        case .local(let directory):
            return LocalDatastore(dataDirectory: directory, lockTimeout: timeLimit)
        case .etcd(let configuration):
            return try EtcdDatastore(configuration, timeLimit: timeLimit, logger: logger)
        case .kubernetes(let access):
            return try access.open(node: node, environment: environment, program: program, logger: logger)
        }
    }
}
