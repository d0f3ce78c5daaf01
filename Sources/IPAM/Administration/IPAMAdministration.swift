import ClusterClient
import NetworkTypes

/// What a person, or a program that looks after the whole cluster, does to the records of IPAM: resources and settings,
/// repairs, leak collection. It hands out no address and is on no node's behalf.
public struct IPAMAdministration: RecordOperations {
    public let datastore: any Datastore
    public let timeLimit: Duration
    public let clock: AllocatorClock

    /// What is in use though no record says so: in a cluster the addresses that Pods have by their status.
    public var addressesInUseElsewhere: @Sendable () async throws(DatastoreError) -> Set<IPAddress> = { [] }

    public init(datastore: any Datastore, timeLimit: Duration = .seconds(9), clock: AllocatorClock = .system) {
        self.datastore = datastore
        self.timeLimit = timeLimit
        self.clock = clock
    }
}
