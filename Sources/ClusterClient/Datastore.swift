// ClusterClient: everything Swiftlet knows about the cluster comes in, and everything it records goes out, through
// this module: the compare-and-swap stores for IPAM, and the sources of Kubernetes objects. It moves records and
// objects; what services or addresses mean is not its business.

import FoundationEssentials

/// A store of small JSON records with compare-and-swap updates.
///
/// Records are Calico's, in the JSON form that Calico keeps in etcd (`reference/calico.md` 2.9), whatever the store
/// makes of them on its own disk or wire. Implementations are safe to use from several processes at once.
public protocol Datastore: Sendable {
    /// Answers several queries in one go, in their order: none or one record for a key, all records ordered by key
    /// for a collection.
    ///
    /// When ``commitsAtomically`` holds the answers are one snapshot; otherwise each is what the store held at some
    /// moment of the call.
    func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]]

    /// The keys of a collection in order, without the cost of reading what they hold.
    func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey]

    /// The affinities of hosts that may be without their block, in order: those of all hosts where others write affinity and
    /// block one after the other (2.4), none where both are only ever written together. For who looks after a whole cluster;
    /// no container asks it.
    func looseAffinities() async throws(DatastoreError) -> [Record]

    /// Writes the changes in the order given and returns the new revision of each (`nil` for a deletion).
    ///
    /// When ``commitsAtomically`` holds, either all of them happen, or none and the first that could not is thrown.
    /// Otherwise those before the failing one have happened; callers order them so that this is safe. No key may occur
    /// twice. After ``DatastoreError/Reason/unavailable`` the changes may have happened or not.
    func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?]

    /// Tells what the query answers now, and from then on every change of it; see ``RecordWatch`` for what may be
    /// relied on. Watching starts with the call; dropping what is returned ends it.
    func watch(_ query: RecordQuery) -> RecordWatch

    /// Whether ``commit(_:)`` is one transaction (local directory, etcd) or one request after another (Kubernetes).
    var commitsAtomically: Bool { get }
}

extension Datastore {
    /// The record with this key, or `nil` when there is none.
    public func get(_ key: RecordKey) async throws(DatastoreError) -> Record? {
        try await read([.record(key)]).first?.first
    }

    public func looseAffinities() async throws(DatastoreError) -> [Record] { [] }

    /// Every record of a collection, ordered by key.
    public func list(_ collection: RecordCollection) async throws(DatastoreError) -> [Record] {
        try await read([.collection(collection)]).first ?? []
    }
}

/// One question of a ``Datastore/read(_:)``.
public enum RecordQuery: Hashable, Sendable {
    case record(RecordKey)
    case collection(RecordCollection)
}

/// The version of one record: changes with every write of it and is never used twice. Opaque; only compared.
public struct Revision: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

public struct Record: Hashable, Sendable {
    public let key: RecordKey
    /// The JSON text.
    public let value: Data
    public let revision: Revision

    public init(key: RecordKey, value: Data, revision: Revision) {
        self.key = key
        self.value = value
        self.revision = revision
    }
}

/// One write.
public enum RecordChange: Hashable, Sendable {
    /// Fails with ``DatastoreError/Reason/alreadyExists`` when the key is taken.
    case create(RecordKey, Data)
    /// Fails with ``DatastoreError/Reason/conflict`` when the record was written since, or ``DatastoreError/Reason/notFound``.
    case update(RecordKey, Data, Revision)
    /// Fails as an update does.
    case delete(RecordKey, Revision)

    public var key: RecordKey {
        switch self {
        case .create(let key, _), .update(let key, _, _), .delete(let key, _): key
        }
    }
}

/// Why a store could not do what was asked, and of which record.
public struct DatastoreError: Error, Hashable, Sendable {
    public enum Reason: Hashable, Sendable {
        /// The key exists already.
        case alreadyExists
        /// The record was written since it was read.
        case conflict
        /// There is no such record.
        case notFound
        /// The record or its file cannot be read as what it should be; never repaired silently (L3).
        case corrupt
        /// The store does not answer, or could not be locked in time; worth another try.
        case unavailable
        /// The operating system or the server refused (permissions, full disk, authentication).
        case failed
        /// The key holds something that cannot be stored under any name (E6, L5).
        case invalidKey
    }

    public let reason: Reason
    public let key: RecordKey?
    /// One clause for a person: what was tried, which file or server, what it said.
    public let message: String

    public init(_ reason: Reason, _ message: String) {
        self.init(reason, nil, message)
    }

    public init(_ reason: Reason, _ key: RecordKey?, _ message: String) {
        self.reason = reason
        self.key = key
        self.message = message
    }
}

extension DatastoreError: CustomStringConvertible {
    public var description: String { key.map { "\($0): \(message)" } ?? message }
}
