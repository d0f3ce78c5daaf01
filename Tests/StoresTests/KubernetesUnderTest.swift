import ClusterClient
import Foundation
import JSON
import KubernetesClient
import KubernetesStore
import Logging
import TestAPIServer
import TestSupport

/// A Kubernetes API with Calico's kinds, and the store over it.
struct KubernetesUnderTest: Sendable {
    let server: TestAPIServer

    init() async throws {
        var options = TestAPIServer.Options()
        options.security = .plain
        server = try await TestAPIServer(options)
        try addPod(namespace: "shop", name: "cart", node: "node-a")
    }

    func addPod(namespace: String, name: String, node: String) throws {
        try server.put(
            #"""
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "\#(namespace)", "name": "\#(name)"},
             "spec": {"nodeName": "\#(node)", "containers": [{"name": "c", "image": "i"}]}}
            """#
        )
    }

    func client() throws -> KubernetesClient {
        let configuration = try KubernetesConfiguration.load(
            kubeconfig: nil,
            master: server.url,
            environment: [:]
        )
        return try KubernetesClient(
            configuration,
            userAgent: "test/1",
            rateLimit: nil,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    func store(node: String? = nil, api: CalicoAPI = .customResources) throws -> KubernetesDatastore {
        KubernetesDatastore(client: try client(), api: api, node: node)
    }
}

/// Lets the tests of all stores, whose values are any JSON, run on one whose values have to be what their keys say: other
/// values travel in a member of a real record, which the store has to keep although it does not know it.
struct TravellingValues: Datastore {
    private static let member = "travelling"

    let base: any Datastore

    var commitsAtomically: Bool { base.commitsAtomically }

    func read(_ queries: [RecordQuery]) async throws(DatastoreError) -> [[Record]] {
        try await base.read(queries).map { $0.map(Self.unpack) }
    }

    func keys(_ collection: RecordCollection) async throws(DatastoreError) -> [RecordKey] {
        try await base.keys(collection)
    }

    func commit(_ changes: [RecordChange]) async throws(DatastoreError) -> [Revision?] {
        try await base.commit(
            changes.map { change in
                switch change {
                case .create(let key, let value): .create(key, Self.pack(key, value))
                case .update(let key, let value, let revision): .update(key, Self.pack(key, value), revision)
                case .delete: change
                }
            }
        )
    }

    func watch(_ query: RecordQuery) -> RecordWatch {
        let watch = base.watch(query)
        return RecordWatch { (sink) async throws(DatastoreError) in
            var events = watch.makeAsyncIterator()
            while let event = try await events.next(isolation: nil) {
                let unpacked: RecordEvent =
                    switch event {
                    case .snapshot(let records): .snapshot(records.map(Self.unpack))
                    case .put(let record): .put(Self.unpack(record))
                    case .removed: event
                    }
                guard await sink.send(unpacked) else { return }
            }
        }
    }

    private static func pack(_ key: RecordKey, _ value: Data) -> Data {
        guard let parsed = try? JSONValue(parsing: value.span) else { return value }
        if case .object(let object) = parsed,
            ["cidr", "state", "block", "strict_affinity", "spec"].contains(where: { object[$0] != nil })
        {
            return value
        }
        var record = JSONObject()
        if case .resource(_, _, let name) = key {
            record["metadata"] = ["name": .string(name)]
            record["spec"] = .object(JSONObject([(member, parsed)]))
        } else {
            record[member] = parsed
        }
        return Data(JSONValue.object(record).text().utf8)
    }

    private static func unpack(_ record: Record) -> Record {
        guard case .object(let object)? = try? JSONValue(parsing: record.value.span) else { return record }
        var travelling = object[member]
        if case .object(let spec)? = object["spec"] { travelling = spec[member] ?? travelling }
        guard let travelling else { return record }
        return Record(key: record.key, value: Data(travelling.text().utf8), revision: record.revision)
    }
}
