import ClusterClient
import EtcdStore
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

/// Every store that there is; each suite of this module runs on all of them.
///
/// To add one: a case here, what ``make()`` makes of it, which names it ``refuses(_:)``, and, when several processes can
/// share it, how `store-worker` opens it (``StoreInstance/workerArgument``).
enum StoreUnderTest: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case local
    case etcd
    case kubernetes
    case memory
    case memoryWithoutTransactions

    var testDescription: String { rawValue }

    /// Those that processes can share.
    static let shared: [StoreUnderTest] = [.local, .etcd, .kubernetes]

    var isInProcess: Bool { !Self.shared.contains(self) }

    /// A new, empty store.
    func make() async throws -> StoreInstance {
        switch self {
        case .local:
            let directory = try TemporaryDirectory()
            return StoreInstance("local:\(directory.path)", keeping: directory) {
                LocalDatastore(dataDirectory: directory.path)
            }
        case .etcd:
            let server = try await SharedEtcd.server()
            let prefix = "/test-\(UUID().uuidString)"
            return try StoreInstance("etcd:\(server.endpoint)\(prefix)", keeping: server) {
                try EtcdDatastore(
                    EtcdConfiguration(environment: ["ETCD_ENDPOINTS": server.endpoint]),
                    prefix: prefix,
                    logger: Logger(label: "test")
                )
            }
        case .kubernetes:
            let kubernetes = try await KubernetesUnderTest()
            return try StoreInstance("kubernetes:\(kubernetes.server.url)", keeping: kubernetes) {
                TravellingValues(base: try kubernetes.store())
            }
        case .memory, .memoryWithoutTransactions:
            let store = MemoryDatastore(commitsAtomically: self == .memory)
            return StoreInstance(nil) { store }
        }
    }

    /// Whether the store has no way to keep a record of this name, which it has to say.
    func refuses(_ key: RecordKey) -> Bool {
        switch self {
        case .local: key.calicoPath.contains("")
        case .etcd: key.calicoPath.contains { $0.isEmpty || $0.contains("/") }
        case .kubernetes:
            switch key {
            case .handle(""): true
            case .blockAffinity(.host(let name), _): name.contains("/")
            default: false
            }
        case .memory, .memoryWithoutTransactions: false
        }
    }
}

/// A store of its own for one test. What it lives in goes when this does.
struct StoreInstance: Sendable {
    let store: any Datastore
    /// How `store-worker` opens the same store; `nil` when it lives in this process.
    let workerArgument: String?
    private let keeper: (any Sendable)?
    private let open: @Sendable () throws -> any Datastore

    init(
        _ workerArgument: String?,
        keeping keeper: (any Sendable)? = nil,
        _ open: @escaping @Sendable () throws -> any Datastore
    ) rethrows {
        store = try open()
        self.workerArgument = workerArgument
        self.keeper = keeper
        self.open = open
    }

    /// Another client of the same store, as another process has it.
    func another() throws -> any Datastore { try open() }
}

/// One etcd for all tests of this process; stores in it have prefixes of their own.
enum SharedEtcd {
    private static let start = Task { try await EtcdServer() }

    static func server() async throws -> EtcdServer { try await start.value }
}

/// Why the store refused; `nil` when it did not, or when something else than the store threw.
func reason<Answer>(_ body: () async throws -> Answer) async -> DatastoreError.Reason? {
    do {
        _ = try await body()
        return nil
    } catch {
        return (error as? DatastoreError)?.reason
    }
}
