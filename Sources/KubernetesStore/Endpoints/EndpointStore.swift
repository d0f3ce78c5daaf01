import ClusterClient
import FoundationEssentials
import JSON

// Endpoints are written by patches of `pods/status`, as Calico's plugin writes its annotations, since that is what the
// plugin's account may do (K5). A Pod is written to by many; so when it changed, but this endpoint did not, the patch is
// made anew.

extension KubernetesDatastore {
    func endpoint(namespace: String, name: String) async throws(DatastoreError) -> Record? {
        let key = RecordKey.resource(.workloadEndpoints, namespace: namespace, name: name)
        if let parts = EndpointName(name) {
            guard let pod = try await pod(namespace, parts.pod) else { return nil }
            return PodEndpoints(pod: pod).record(key)
        }
        // A name that was cut does not tell the Pod.
        return try await endpoints(in: namespace).first { $0.key == key }
    }

    /// The endpoints of this store's node, or of all.
    func endpoints() async throws(DatastoreError) -> [Record] {
        try await endpoints(in: nil)
    }

    private func endpoints(in namespace: String?) async throws(DatastoreError) -> [Record] {
        var records: [Record] = []
        let node = namespace == nil ? node : nil
        try await requests.pods(namespace: namespace, node: node, restart: { records = [] }) { pod in
            records += PodEndpoints(pod: pod).records
        }
        return records.sorted { $0.key < $1.key }
    }

    private func pod(_ namespace: String, _ name: String) async throws(DatastoreError) -> CustomObject? {
        let pod = try await requests.pod(namespace, name)
        recentPods.set(.resource(.workloadEndpoints, namespace: namespace, name: name), pod)
        return pod
    }

    func commit(
        _ change: RecordChange,
        namespace: String,
        endpoint name: String
    ) async throws(DatastoreError) -> Revision? {
        let key = change.key
        let value = try Self.value(of: change)
        guard let place = try await place(of: key, namespace, name, value) else {
            if value == nil { throw DatastoreError(.notFound, key, "does not exist") }
            throw DatastoreError(
                .failed,
                key,
                "is of no Pod: in the Kubernetes store attachments are recorded at their Pods, so that CNI_ARGS has to name "
                    + "one with K8S_POD_NAMESPACE and K8S_POD_NAME"
            )
        }
        let recentKey = RecordKey.resource(.workloadEndpoints, namespace: namespace, name: place.pod)
        var remembered = recentPods[recentKey]
        // What was decided on was decided for this Pod, not for a later one of its name.
        let incarnation = remembered?.uid
        for _ in 0..<Self.patchAttempts {
            let found: CustomObject? = if let remembered { remembered } else { try await pod(namespace, place.pod) }
            guard let found else {
                throw DatastoreError(.notFound, key, "the Pod \(namespace)/\(place.pod) does not exist")
            }
            if let incarnation, found.uid != incarnation {
                throw DatastoreError(.conflict, key, "the Pod \(namespace)/\(place.pod) was deleted and made again")
            }
            let endpoints = PodEndpoints(pod: found)
            let obstacle = Self.obstacle(to: change, endpoints.record(key))
            // What was remembered may be past.
            if let obstacle, remembered == nil { throw obstacle }
            remembered = nil
            if obstacle != nil { continue }

            let number = String(UInt64.random(in: 0...UInt64.max), radix: 16)
            var annotations = endpoints.annotationsWithout(interfaceName: place.interfaceName)
            if let value {
                annotations = PodEndpoints.annotations(
                    name: name,
                    interfaceName: place.interfaceName,
                    value: value,
                    number: number
                )
            }
            let written = try await requests.patchPodStatus(key, namespace, place.pod, endpoints.patch(annotations))
            recentPods.set(recentKey, written)
            if let written { return value == nil ? nil : Revision("\(written.uid)/\(number)") }
        }
        throw DatastoreError(.unavailable, key, "the Pod \(namespace)/\(place.pod) changes all the time")
    }

    /// The record that a change writes; `nil` for a deletion.
    private static func value(of change: RecordChange) throws(DatastoreError) -> JSONObject? {
        switch change {
        case .delete: return nil
        case .create(let key, let data), .update(let key, let data, _):
            guard let object = JSONObject(parsing: data) else {
                throw DatastoreError(.failed, key, "is no JSON object")
            }
            return object
        }
    }

    private static let patchAttempts = 8

    /// Why a change cannot be made to what there is.
    private static func obstacle(to change: RecordChange, _ current: Record?) -> DatastoreError? {
        switch (change, current) {
        case (.create, nil): nil
        case (.create(let key, _), _): DatastoreError(.alreadyExists, key, "exists already")
        case (.update(let key, _, _), nil), (.delete(let key, _), nil):
            DatastoreError(.notFound, key, "does not exist")
        case (.update(let key, _, let revision), let current?), (.delete(let key, let revision), let current?):
            current.revision == revision ? nil : DatastoreError(.conflict, key, "was written since it was read")
        }
    }

    /// Which Pod and interface an endpoint is of.
    private func place(
        of key: RecordKey,
        _ namespace: String,
        _ name: String,
        _ value: JSONObject?
    ) async throws(DatastoreError) -> (pod: String, interfaceName: String)? {
        if let parts = EndpointName(name) { return (parts.pod, parts.interfaceName) }
        var spec = value?.object("spec")
        if spec == nil {
            let record = try await endpoint(namespace: namespace, name: name)
            spec = record.flatMap { JSONObject(parsing: $0.value) }?.object("spec")
        }
        guard let pod = spec?.string("pod"), let interfaceName = spec?.string("endpoint") else { return nil }
        return (pod, interfaceName)
    }
}
