import ClusterClient
import JSON
import KubernetesClient
import Logging

extension StoreSelection.KubernetesAccess {
    /// A Pod as the cluster has it; `nil` when there is none. For questions of people, which records do not answer.
    public func pod(
        _ namespace: String,
        _ name: String,
        environment: [String: String],
        program: String
    ) async throws(DatastoreError) -> JSONObject? {
        try await object(.pods, namespace: namespace, name, environment, program)
    }

    /// A Namespace as the cluster has it; `nil` when there is none.
    public func namespace(
        _ name: String,
        environment: [String: String],
        program: String
    ) async throws(DatastoreError) -> JSONObject? {
        try await object(.namespaces, namespace: nil, name, environment, program)
    }

    private func object(
        _ resource: APIResource,
        namespace: String?,
        _ name: String,
        _ environment: [String: String],
        _ program: String
    ) async throws(DatastoreError) -> JSONObject? {
        let client = try client(
            environment: environment,
            program: program,
            logger: Logger(label: "objects") { _ in SwiftLogNoOpLogHandler() }
        )
        let body: [UInt8]
        do throws(KubernetesError) {
            body = Array(try await client.get(resource, namespace: namespace, name: name).readableBytesView)
        } catch {
            if error.reason == .notFound { return nil }
            throw DatastoreError(error.reason == .forbidden ? .failed : .unavailable, error.message)
        }
        do throws(JSONReader.Failure) {
            guard case .object(let object) = try JSONValue(parsing: body.span) else { return nil }
            return object
        } catch {
            throw DatastoreError(.unavailable, "the answer about \(resource.plural)/\(name) is not JSON: \(error)")
        }
    }
}
