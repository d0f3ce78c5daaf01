import ClusterClient
import JSON
import KubernetesClient
import Logging
import NetworkTypes

extension StoreSelection.KubernetesAccess {
    /// A Pod as the cluster has it; `nil` when there is none. For questions of people, which records do not answer.
    public func pod(
        _ namespace: String,
        _ name: String,
        environment: [String: String],
        program: String
    ) async throws(DatastoreError) -> ClusterObject? {
        try await object(.pods, namespace: namespace, name, environment, program)
    }

    /// A Namespace as the cluster has it; `nil` when there is none.
    public func namespace(
        _ name: String,
        environment: [String: String],
        program: String
    ) async throws(DatastoreError) -> ClusterObject? {
        try await object(.namespaces, namespace: nil, name, environment, program)
    }

    /// The addresses that Pods have by their status, whoever gave them. Pods in the network of their host and those that
    /// have ended have none.
    public func podAddresses(
        environment: [String: String],
        program: String
    ) async throws(DatastoreError) -> Set<IPAddress> {
        let client = try client(environment: environment, program: program, logger: Self.silence)
        var addresses: Set<IPAddress> = []
        var continuation: String?
        repeat {
            let body: [UInt8]
            do throws(KubernetesError) {
                body = Array(try await client.list(.pods, limit: 200, continuation: continuation).readableBytesView)
            } catch {
                throw DatastoreError(error.reason == .forbidden ? .failed : .unavailable, error.message)
            }
            guard case .object(let page)? = try? JSONValue(parsing: body.span), case .array(let pods)? = page["items"]
            else { throw DatastoreError(.unavailable, "the answer about pods is no list") }
            for case .object(let pod) in pods { addresses.formUnion(pod.podAddresses) }
            continuation = page.object("metadata").string("continue")
        } while continuation?.isEmpty == false
        return addresses
    }

    private static let silence = Logger(label: "objects") { _ in SwiftLogNoOpLogHandler() }

    private func object(
        _ resource: APIResource,
        namespace: String?,
        _ name: String,
        _ environment: [String: String],
        _ program: String
    ) async throws(DatastoreError) -> ClusterObject? {
        let client = try client(environment: environment, program: program, logger: Self.silence)
        let body: [UInt8]
        do throws(KubernetesError) {
            body = Array(try await client.get(resource, namespace: namespace, name: name).readableBytesView)
        } catch {
            if error.reason == .notFound { return nil }
            throw DatastoreError(error.reason == .forbidden ? .failed : .unavailable, error.message)
        }
        do throws(JSONReader.Failure) {
            guard case .object(let object) = try JSONValue(parsing: body.span) else { return nil }
            return ClusterObject(object)
        } catch {
            throw DatastoreError(.unavailable, "the answer about \(resource.plural)/\(name) is not JSON: \(error)")
        }
    }
}

extension JSONObject {
    /// Of a Pod.
    fileprivate var podAddresses: [IPAddress] {
        let status = object("status")
        guard object("spec")["hostNetwork"] != true, !["Succeeded", "Failed"].contains(status.string("phase") ?? "")
        else { return [] }
        var texts = [status.string("podIP")]
        if case .array(let entries)? = status["podIPs"] {
            for case .object(let entry) in entries { texts.append(entry.string("ip")) }
        }
        return texts.compactMap { $0.flatMap { IPAddress($0) } }
    }
}
