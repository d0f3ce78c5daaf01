import ClusterClient

/// What changes the records of IPAM: each operation is a read, a decision on values, and a commit that fails when a
/// record changed in between; then it starts over, until the time is up.
///
/// ``Allocator`` acts for one node, ``IPAMAdministration`` for nobody in particular; releasing is the same for both.
public protocol RecordOperations: Sendable {
    var datastore: any Datastore { get }
    /// How long one operation tries again when others get in between or the store is unavailable; ``RequestDeadline``
    /// may end it sooner.
    var timeLimit: Duration { get }
    var clock: AllocatorClock { get }
}
