// KubernetesSource: the objects that describe Services, from the API server: list and watch with a cache per kind, and
// a snapshot on disk for a start without a server. Nothing here knows what the objects are for, nor how a request is
// sent (KubernetesClient) or bytes are read (KubernetesWire).
//
// What to request, and what an answer changes, are values without I/O (Reflector/, Cache/).

import ClusterClient
import KubernetesAPI
import KubernetesClient
import KubernetesWire
import Logging

/// Delivers the objects of an API server, and follows every change of them.
///
/// An object that cannot be used is named in the log, once for each version of it; its last good state stays, as it does
/// with manifests. What a server refuses or a network breaks is tried again, for ever.
public struct KubernetesSource: ObjectSource {
    /// How a source behaves.
    public struct Settings: Hashable, Sendable {
        /// What servers are asked for first.
        public var encoding = WireEncoding.protobuf
        public var reflector = ReflectorSettings()
        /// How long a page of a list may take, tries included.
        public var listTimeout = Duration.seconds(60)
        /// How long the first lists may take before a snapshot is shown instead.
        public var snapshotGrace = Duration.seconds(5)
        /// The least time between two snapshots.
        public var snapshotInterval = Duration.seconds(10)

        public init() {}
    }

    /// Those that are required.
    public let kinds: Set<ObjectKind>

    private let client: KubernetesClient
    private let resources: [WatchedResource]
    private let snapshot: SnapshotFile?
    private let settings: Settings
    private let logger: Logger

    /// - Parameters:
    ///   - resources: one for each kind; of several for one kind the last one counts.
    ///   - snapshot: where objects are kept for the next start; `nil` keeps none.
    public init(
        _ client: KubernetesClient,
        _ resources: [WatchedResource],
        snapshot: SnapshotFile? = nil,
        settings: Settings = Settings(),
        logger: Logger
    ) {
        self.client = client
        self.resources = Array(
            Dictionary(resources.map { ($0.kind, $0) }) { _, last in last }.values.sorted { $0.scope < $1.scope }
        )
        kinds = Set(self.resources.filter { $0.need == .required }.map(\.kind))
        self.snapshot = snapshot
        self.settings = settings
        self.logger = logger
    }

    public func run(_ deliver: @Sendable (ObjectBatch) async -> Void) async throws {
        let informers = Informers(resources, settings: settings.reflector, logger: logger)
        let pool = StringPool()
        await withTaskGroup { group in
            func watch(_ resource: WatchedResource) -> ListWatch {
                let standIn = resources.first { $0.need == .standIn(of: resource.kind) }
                return ListWatch(
                    client,
                    resource,
                    standIn: standIn.map(watch),
                    informers,
                    settings,
                    pool: pool,
                    logger: logger
                )
            }
            for resource in resources {
                if case .standIn = resource.need { continue }
                let watch = watch(resource)
                group.addTask { await watch.run() }
            }
            if let snapshot {
                let keeper = SnapshotKeeper(snapshot, resources, informers, settings, logger: logger)
                group.addTask { await keeper.showAfterGrace() }
                group.addTask { await keeper.run() }
            }
            for await _ in informers.wakeUps {
                let batch = await informers.takeBatch()
                if !batch.isEmpty { await deliver(batch) }
            }
            group.cancelAll()
        }
    }
}
