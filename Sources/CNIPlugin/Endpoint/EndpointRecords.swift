import CNI
import ClusterClient
import FoundationEssentials

/// The endpoints in the store.
struct EndpointRecords: Sendable {
    /// Calico's own limit for this record (D2). Only plugins that work on the same Pod's same interface collide.
    private static let attempts = 5

    let store: any Datastore

    /// An endpoint as it was read.
    struct Stored: Sendable {
        let endpoint: WorkloadEndpoint
        let revision: Revision
    }

    func find(_ key: RecordKey) async throws(CNIError) -> Stored? {
        do throws(DatastoreError) {
            guard let record = try await store.get(key) else { return nil }
            return Stored(endpoint: try Self.decode(record), revision: record.revision)
        } catch {
            throw CNIError(error)
        }
    }

    /// Records an endpoint, in the place of whatever has its name.
    ///
    /// - Parameters:
    ///   - stored: what ``find(_:)`` found; when that is there no more, whatever is there instead is replaced.
    ///   - check: Is called whenever that has to be looked at again; what it throws ends the attempt.
    func put(
        _ endpoint: WorkloadEndpoint,
        replacing stored: Stored? = nil,
        check: () async throws(CNIError) -> Void = { () throws(CNIError) in }
    ) async throws(CNIError) {
        var revision = stored?.revision
        var isKnown = true
        var obstacle: CNIError?
        try await retrying { () async throws(DatastoreError) in
            if !isKnown {
                revision = try await store.get(endpoint.key)?.revision
                do throws(CNIError) { try await check() } catch { obstacle = error }
            }
            isKnown = false
            guard obstacle == nil else { return }
            _ = try await store.commit([Self.change(endpoint, replacing: revision)])
        }
        if let obstacle { throw obstacle }
    }

    /// What writes an endpoint over the record that has this revision, or where there is none.
    static func change(_ endpoint: WorkloadEndpoint, replacing revision: Revision?) -> RecordChange {
        let json = endpoint.json(uid: UUID().uuidString.lowercased(), created: PluginLog.timestamp())
        let data = Data(Array(json.text().utf8))
        return revision.map { .update(endpoint.key, data, $0) } ?? .create(endpoint.key, data)
    }

    /// Records what an attachment's endpoint was before; a record that is another container's by now, or none, is left as
    /// it is.
    func restore(_ endpoint: WorkloadEndpoint) async throws(CNIError) {
        guard let stored = try await find(endpoint.key), stored.endpoint.id == endpoint.id else { return }
        if stored.endpoint != endpoint { try await put(endpoint, replacing: stored) }
    }

    /// Removes the record if it is this attachment's; another container's, or none, is left as it is.
    func remove(_ key: RecordKey, of id: AttachmentID) async throws(CNIError) {
        try await retrying { () async throws(DatastoreError) in
            guard let removal = try await removal(key, of: id) else { return }
            _ = try await store.commit([removal])
        }
    }

    /// What removes the record if it is this attachment's; `nil` for another container's, or none.
    func removal(_ key: RecordKey, of id: AttachmentID) async throws(DatastoreError) -> RecordChange? {
        guard let record = try await store.get(key), try Self.decode(record).id == id else { return nil }
        return .delete(key, record.revision)
    }

    private static func decode(_ record: Record) throws(DatastoreError) -> WorkloadEndpoint {
        do {
            return try WorkloadEndpoint(record: record)
        } catch {
            throw DatastoreError(.corrupt, record.key, error.description)
        }
    }

    private func retrying(_ body: () async throws(DatastoreError) -> Void) async throws(CNIError) {
        for attempt in 1... {
            do throws(DatastoreError) {
                return try await body()
            } catch {
                let isRace = [.conflict, .alreadyExists, .notFound].contains(error.reason)
                guard isRace, attempt < Self.attempts else { throw CNIError(error) }
            }
        }
    }
}
