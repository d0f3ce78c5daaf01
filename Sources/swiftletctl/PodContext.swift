import ClusterClient
import IPAM
import JSON
import NetworkTypes
import Stores
import Version

/// What is known of a pod that its addresses depend on.
struct PodContext {
    var node: String?
    var namespaceLabels: [String: String] = [:]
    /// The pools that the pod or its namespace asks for.
    var ipv4Pools: [String] = []
    var ipv6Pools: [String] = []
    /// Those that it has.
    var addresses: [IPAddress] = []

    /// From the endpoints of the store and, where that is in a cluster, from the Pod and its Namespace.
    static func read(
        _ namespace: String,
        _ pod: String,
        _ store: any Datastore,
        _ selection: StoreSelection
    ) async throws -> PodContext {
        var context = PodContext()
        for record in try await store.list(.resources(.workloadEndpoints)) {
            guard let endpoint = try? EndpointAddresses(record), endpoint.namespace == namespace,
                endpoint.workload == pod
            else { continue }
            context.node = endpoint.node ?? context.node
            context.addresses += endpoint.addresses
        }
        guard case .kubernetes(let access) = selection else { return context }
        let program = "swiftletctl/\(swiftletVersion)"
        let found = try await access.pod(namespace, pod, environment: Environment.variables, program: program)
        guard let found else {
            throw Failure(status: .error, message: "the cluster has no Pod \(namespace)/\(pod)")
        }
        if case .string(let node)? = found.object("spec")["nodeName"] { context.node = node }
        let place = try await access.namespace(namespace, environment: Environment.variables, program: program)
        let metadata = place?.object("metadata") ?? JSONObject()
        for member in metadata.object("labels").members {
            if case .string(let value) = member.value { context.namespaceLabels[member.key] = value }
        }
        // The Pod's own count before its namespace's (1.3).
        let annotations = [found.object("metadata").object("annotations"), metadata.object("annotations")]
        context.ipv4Pools = try pools("cni.projectcalico.org/ipv4pools", annotations)
        context.ipv6Pools = try pools("cni.projectcalico.org/ipv6pools", annotations)
        return context
    }

    /// The value of an annotation, which is a JSON array of names and prefixes.
    private static func pools(_ name: String, _ annotations: [JSONObject]) throws -> [String] {
        for annotations in annotations {
            guard case .string(let text)? = annotations[name] else { continue }
            guard case .array(let elements)? = try? JSONValue(parsing: Array(text.utf8).span) else {
                throw Failure(status: .error, message: "the annotation \(name) is no JSON array: \(text)")
            }
            return elements.compactMap { if case .string(let pool) = $0 { pool } else { nil } }
        }
        return []
    }
}

extension JSONObject {
    /// The object under a key; an empty one when there is none.
    fileprivate func object(_ key: String) -> JSONObject {
        if case .object(let object)? = self[key] { object } else { JSONObject() }
    }
}
