import ClusterClient
import FoundationEssentials
import JSON

/// The lock of a whole store for a migration, as calicoctl has it: `datastoreReady` of the ClusterInformation. While it is
/// on, no plugin hands out addresses, Calico's nor ours.
public struct DatastoreLock: Sendable {
    private static let key = RecordKey.resource(.clusterInformations, name: "default")
    private static let attempts = 10

    let store: any Datastore

    public init(_ store: any Datastore) {
        self.store = store
    }

    /// Whether the store is locked; one without the record never was.
    public func isLocked() async throws(DatastoreError) -> Bool {
        guard let record = try await store.get(Self.key) else { return false }
        return try Self.spec(record).spec["datastoreReady"] == false
    }

    /// Locks or unlocks. Returns whether that changed anything.
    @discardableResult
    public func set(_ isLocked: Bool) async throws(DatastoreError) -> Bool {
        for _ in 1..<Self.attempts {
            do throws(DatastoreError) {
                return try await attempt(isLocked)
            } catch {
                guard error.reason == .conflict else { throw error }
            }
        }
        return try await attempt(isLocked)
    }

    private func attempt(_ isLocked: Bool) async throws(DatastoreError) -> Bool {
        guard let record = try await store.get(Self.key) else {
            throw DatastoreError(
                .notFound,
                Self.key,
                "the store has never been used, so that there is nothing to lock: create a pool first"
            )
        }
        var (object, spec) = try Self.spec(record)
        guard (spec["datastoreReady"] == false) != isLocked else { return false }
        spec["datastoreReady"] = .bool(!isLocked)
        object["spec"] = .object(spec)
        _ = try await store.commit([
            .update(Self.key, Data(Array(JSONValue.object(object).text().utf8)), record.revision)
        ])
        return true
    }

    private static func spec(_ record: Record) throws(DatastoreError) -> (object: JSONObject, spec: JSONObject) {
        guard let object = JSONObject(record: record.value), case .object(let spec)? = object["spec"] else {
            throw DatastoreError(.corrupt, record.key, "is no resource with a spec")
        }
        return (object, spec)
    }
}
