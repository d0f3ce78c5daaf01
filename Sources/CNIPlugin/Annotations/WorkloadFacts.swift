import CNI
import ClusterClient
import IPAM
import NetworkTypes

/// What the cluster, or the runtime, says about the Pod that an attachment is of, and what was read with it.
struct WorkloadFacts: Sendable {
    var annotations = PodAnnotations.none
    var namespaceLabels: [String: String] = [:]
    /// What ``RecentBlocks`` has noted.
    var recentBlocks: [CIDR] = []
}

extension ObjectMetadata {
    /// Whether a kubelet calls this Pod by a UID. A static Pod has one of its own, which the object in the API, its mirror,
    /// has in an annotation.
    func isPod(withUID uid: String) -> Bool {
        self.uid == uid || annotations["kubernetes.io/config.mirror"] == uid
            || annotations["kubernetes.io/config.hash"] == uid
    }
}

extension Call {
    /// Reads in one go what an ADD is going to ask for: what an assignment is decided on, the endpoint, and what the
    /// Pod and its Namespace are annotated with.
    ///
    /// Throws code 4 for a container of no Pod where records are kept at Pods (K4).
    ///
    /// The runtime's word for the Pod's annotations (`io.kubernetes.cri.pod-annotations`) goes before the API's; what is
    /// not in Kubernetes has no other.
    func readForAdd(_ families: Set<IPFamily>) async throws(CNIError) -> WorkloadFacts {
        if case .kubernetes = settings.selection, case .container = workload {
            throw CNIError(
                .invalidEnvironment,
                "CNI_ARGS names no Pod, at which the Kubernetes store keeps its records",
                details: "K8S_POD_NAMESPACE and K8S_POD_NAME do"
            )
        }
        let given = try configuration.runtimeConfiguration().podAnnotations
        guard let objects, case .pod(let pod) = workload else {
            let recent = try await readAhead(families)
            let annotations = try PodAnnotations(pod: given ?? [:], namespace: [:])
            return WorkloadFacts(annotations: annotations, recentBlocks: recent)
        }
        // Beside the other requests, so that it takes no time of its own.
        async let reading = Self.namespace(pod.namespace, objects)
        let recent = try await readAhead(families)
        let namespace = await reading
        let stored = try await checkIncarnation()
        let known: ObjectMetadata
        do throws(DatastoreError) {
            known = try namespace.get() ?? ObjectMetadata()
        } catch {
            throw CNIError(error)
        }
        return WorkloadFacts(
            annotations: try PodAnnotations(pod: given ?? stored?.annotations ?? [:], namespace: known.annotations),
            namespaceLabels: known.labels,
            recentBlocks: recent
        )
    }

    /// Reads the Pod, unless it was just read, and sees to it that it is the one that the runtime means (1.2): the next of
    /// its name has other annotations, and gets a record of its own.
    ///
    /// Throws code 11 for another one, and for none, as the API server may lag behind, and so may the runtime.
    /// - Returns: `nil` when no Pod is named, or nobody can be asked.
    @discardableResult
    func checkIncarnation() async throws(CNIError) -> ObjectMetadata? {
        guard let objects, case .pod(let pod) = workload else { return nil }
        let stored: ObjectMetadata?
        do throws(DatastoreError) {
            stored = try await objects.podMetadata(namespace: pod.namespace, name: pod.name)
        } catch {
            throw CNIError(error)
        }
        guard let stored else {
            throw CNIError(
                .tryAgainLater,
                "the API server has no Pod \(pod.namespace)/\(pod.name), or not yet",
                details: "CNI_ARGS names it"
            )
        }
        guard let meant = attachment.arguments.pod?.uid, !stored.isPod(withUID: meant) else { return stored }
        throw CNIError(
            .tryAgainLater,
            "the API server has another Pod \(pod.namespace)/\(pod.name) than the runtime means",
            details: "its UID is \(stored.uid), that of K8S_POD_UID is \(meant); one of them is of the past"
        )
    }

    private static func namespace(
        _ name: String,
        _ objects: any WorkloadObjects
    ) async -> Result<ObjectMetadata?, DatastoreError> {
        do throws(DatastoreError) {
            return .success(try await objects.namespaceMetadata(name))
        } catch {
            return .failure(error)
        }
    }

    /// - Returns: the blocks that are noted; none when no family is wanted.
    private func readAhead(_ families: Set<IPFamily>) async throws(CNIError) -> [CIDR] {
        // What is probably going to be asked for as soon as it is known which blocks are the node's.
        let recent = families.isEmpty ? [] : settings.recentBlocks(configuration.name).load()
        let blocks = recent.filter { families.contains($0.family) }.map { RecordQuery.record(.block($0)) }
        var queries = Allocator(datastore: store, host: node).firstQueries(handle: handle, families)
        // In a store without transactions it is a request of its own, see AddVerb.
        if !store.commitsAtomically { queries.removeAll { $0 == .record(.handle(handle)) } }
        try await readAhead(queries + blocks + [.record(endpointKey)])
        return recent
    }

    /// Reads in one go what a DEL is going to ask for.
    func readForDelete() async throws(CNIError) {
        // Where each record is a request of its own, one for nothing would cost more than is gained.
        let recent = store.commitsAtomically ? settings.recentBlocks(configuration.name).load() : []
        let blocks = recent.map { RecordQuery.record(.block($0)) }
        try await readAhead([.record(.handle(handle)), .record(.ipamConfiguration), .record(endpointKey)] + blocks)
    }

    private func readAhead(_ queries: [RecordQuery]) async throws(CNIError) {
        do throws(DatastoreError) {
            try await store.readAhead(queries)
        } catch {
            // Anything else shows again where it matters; a store that is away is not waited for again.
            if error.reason == .unavailable { throw CNIError(error) }
        }
    }
}
