import ClusterClient
import IPAM
import JSON
import NetworkTypes
import Stores

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
    ///
    /// - Parameter mayBeMissing: whether the cluster may have no such Pod, as one that is only thought of.
    static func read(
        _ namespace: String,
        _ pod: String,
        mayBeMissing: Bool,
        _ store: any Datastore,
        _ options: StoreOptions
    ) async throws -> PodContext {
        var context = PodContext()
        for record in try await store.list(.resources(.workloadEndpoints)) {
            guard let endpoint = try? EndpointAddresses(record), endpoint.namespace == namespace,
                endpoint.workload == pod
            else { continue }
            context.node = endpoint.node ?? context.node
            context.addresses += endpoint.addresses
        }
        guard case .kubernetes(let access) = try options.selection() else { return context }
        let program = StoreOptions.program
        let variables = try options.variables()
        let found = try await access.pod(namespace, pod, environment: variables, program: program)
        guard found != nil || mayBeMissing else {
            throw Failure(
                status: .error,
                message: "the cluster has no Pod \(namespace)/\(pod); for one that does not exist yet, give --node"
            )
        }
        context.node = found?.node ?? context.node
        let place = try await access.namespace(namespace, environment: variables, program: program)
        context.namespaceLabels = place?.labels ?? [:]
        // Both have to make sense; then the Pod's own counts before its namespace's (1.3).
        for annotations in [place?.annotations, found?.annotations].compactMap(\.self) {
            context.ipv4Pools = try pools("cni.projectcalico.org/ipv4pools", annotations) ?? context.ipv4Pools
            context.ipv6Pools = try pools("cni.projectcalico.org/ipv6pools", annotations) ?? context.ipv6Pools
        }
        return context
    }

    /// The value of an annotation, a JSON array of names and prefixes, read as the CNI plugin does; `nil` when it is
    /// missing or empty.
    private static func pools(_ name: String, _ annotations: [String: String]) throws -> [String]? {
        guard let text = annotations[name], !text.isEmpty else { return nil }
        func refusal(_ problem: String) -> Failure {
            Failure(status: .error, message: "the annotation \(name) \(problem): \(text)")
        }
        guard let pools = JSONValue.strings(parsing: text) else { throw refusal("is no JSON array of strings") }
        guard !pools.isEmpty, !pools.contains("") else { throw refusal("names no pool") }
        return pools
    }
}
