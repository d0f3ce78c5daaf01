import ClusterClient
import FoundationEssentials
import JSON

/// Puts an export into a store.
///
/// What is there already is never overwritten: a record that says the same is left as it is, one that says otherwise ends
/// the import. So an import that was cut short can be repeated, and one into a store that is in use does no harm.
public struct ImportRecords: Sendable {
    private static let batch = 64

    /// What came of the records.
    public struct Summary: Hashable, Sendable {
        public var created = 0
        /// Were there before, and say the same.
        public var present = 0
        /// Could not be put into this kind of store, with the reason.
        public var skipped: [Skipped] = []

        public struct Skipped: Hashable, Sendable {
            public let key: RecordKey
            public let reason: String
        }
    }

    /// Why an import ended.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    let store: any Datastore

    public init(into store: any Datastore) {
        self.store = store
    }

    /// - Parameters:
    ///   - lines: gives the next line without its end, `nil` behind the last.
    ///   - progress: is told what has been done so far.
    /// - Throws: ``Problem`` for what is no export and for a record that says otherwise; ``DatastoreError`` for a store that
    ///   fails.
    public func run(
        lines next: () throws -> [UInt8]?,
        progress: (Summary) -> Void = { _ in }
    ) async throws -> Summary {
        var summary = Summary()
        var number = 0
        var count = 0
        var batch: [(key: RecordKey, value: Data)] = []
        var end: Int?
        while let text = try next() {
            number += 1
            guard !text.isEmpty else { continue }
            let line: RecordLine
            do throws(RecordLine.Malformed) {
                line = try RecordLine(text)
            } catch {
                throw Problem(description: "line \(number) \(error.reason)")
            }
            guard end == nil else { throw Problem(description: "line \(number) follows the end of the export") }
            switch line {
            case .header:
                guard number == 1 else { throw Problem(description: "line \(number) is a second header") }
            case .record(let key, let value):
                guard number > 1 else { throw Problem(description: "line 1 is no header of an export") }
                count += 1
                batch.append((key, value))
                if batch.count == Self.batch {
                    try await put(batch, &summary)
                    batch = []
                    progress(summary)
                }
            case .end(let records):
                end = records
            }
        }
        try await put(batch, &summary)
        progress(summary)
        guard number > 0 else { throw Problem(description: "there is no line in it") }
        guard let end, end == count else {
            throw Problem(
                description: end.map { "it says that there are \($0) records, but there are \(count)" }
                    ?? "its end is missing: it was cut behind \(count) records, which are imported"
            )
        }
        return summary
    }

    private func put(_ batch: [(key: RecordKey, value: Data)], _ summary: inout Summary) async throws {
        guard !batch.isEmpty else { return }
        let present = try await store.read(batch.map { .record($0.key) })
        var missing: [RecordChange] = []
        for ((key, value), record) in zip(batch, present.map(\.first)) {
            guard let record else {
                missing.append(.create(key, value))
                continue
            }
            try note(key, value, record, &summary)
        }
        guard store.commitsAtomically else {
            for change in missing { try await create(change, &summary) }
            return
        }
        guard !missing.isEmpty else { return }
        do throws(DatastoreError) {
            _ = try await store.commit(missing)
            summary.created += missing.count
        } catch {
            // Somebody else made one of them in the meantime; one by one it shows which.
            guard error.reason == .alreadyExists else { throw error }
            for change in missing { try await create(change, &summary) }
        }
    }

    private func create(_ change: RecordChange, _ summary: inout Summary) async throws {
        guard case .create(let key, let value) = change else { return }
        do throws(DatastoreError) {
            _ = try await store.commit([change])
            summary.created += 1
        } catch {
            if error.reason == .alreadyExists, let record = try await store.get(key) {
                try note(key, value, record, &summary)
                return
            }
            // Kubernetes has Nodes and Pods of its own, and these records are about them.
            guard case .resource(let kind, _, _) = key, kind == .nodes || kind == .workloadEndpoints,
                error.reason == .failed || error.reason == .notFound
            else { throw error }
            summary.skipped.append(.init(key: key, reason: error.message))
        }
    }

    private func note(_ key: RecordKey, _ value: Data, _ record: Record, _ summary: inout Summary) throws {
        if RecordContent(value) == RecordContent(record.value) {
            summary.present += 1
        } else if case .resource(.clusterInformations, _, _) = key {
            summary.skipped.append(.init(key: key, reason: "the store has an identity of its own"))
        } else if case .resource(.nodes, _, _) = key, !store.commitsAtomically {
            summary.skipped.append(.init(key: key, reason: "nodes are Kubernetes' own"))
        } else {
            throw Problem(
                description:
                    "the store has another \(key) already; nothing is overwritten. Delete it there, or import into an "
                    + "empty store"
            )
        }
    }
}

/// What a record says, apart from how it is written and from what a store adds.
struct RecordContent: Equatable {
    private let value: JSONValue?
    /// What is no JSON object, as it stands.
    private let text: Data?

    init(_ data: Data) {
        guard var object = data.isEmpty ? JSONObject() : JSONObject(record: data) else {
            text = data
            value = nil
            return
        }
        text = nil
        // Left out by some writers.
        if object["deleted"] == false { object["deleted"] = nil }
        if case .object(var metadata)? = object["metadata"] {
            for key in ["uid", "creationTimestamp", "generation", "resourceVersion"] { metadata[key] = nil }
            object["metadata"] = .object(metadata)
        }
        value = Self.plain(.object(object))
    }

    /// Without order, `null` and what is empty.
    private static func plain(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let object):
            let members = object.members.map { ($0.key, plain($0.value)) }
                .filter { $0.1 != .null && $0.1 != .object(JSONObject()) && $0.1 != .array([]) }
            return .object(JSONObject(members.sorted { $0.0 < $1.0 }))
        case .array(let elements): return .array(elements.map(plain))
        default: return value
        }
    }
}

extension JSONObject {
    /// `nil` for a record that is no JSON object.
    init?(record data: Data) {
        do throws(JSONReader.Failure) {
            guard case .object(let object) = try JSONValue(parsing: data.span) else { return nil }
            self = object
        } catch {
            return nil
        }
    }
}
