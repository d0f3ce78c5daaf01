import ClusterClient
import Synchronization

/// The objects that were read one by one, or written, most recently.
final class RecentObjects: Sendable {
    /// One operation of IPAM works on a handful of records.
    private static let limit = 16

    private let objects = Mutex<[RecordKey: CustomObject]>([:])

    subscript(key: RecordKey) -> CustomObject? { objects.withLock { $0[key] } }

    /// Remembers an object, or forgets what was remembered of it.
    func set(_ key: RecordKey, _ object: CustomObject?) {
        objects.withLock { objects in
            if object != nil, objects.count >= Self.limit, objects[key] == nil { objects.removeAll() }
            objects[key] = object
        }
    }
}
