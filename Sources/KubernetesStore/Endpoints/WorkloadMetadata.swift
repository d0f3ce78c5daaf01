import ClusterClient
import JSON
import NetworkTypes

extension KubernetesDatastore: WorkloadObjects {
    public func podMetadata(namespace: String, name: String) async throws(DatastoreError) -> ObjectMetadata? {
        let key = RecordKey.resource(.workloadEndpoints, namespace: namespace, name: name)
        if let pod = recentPods[key] { return ObjectMetadata(pod) }
        guard let pod = try await requests.pod(namespace, name) else { return nil }
        recentPods.set(key, pod)
        return ObjectMetadata(pod)
    }

    public func namespaceMetadata(_ name: String) async throws(DatastoreError) -> ObjectMetadata? {
        try await requests.namespace(name).map { ObjectMetadata($0) }
    }

    public func podRanges(ofNode name: String) async throws(DatastoreError) -> [CIDR] {
        guard let spec = try await requests.node(name)?.spec else { return [] }
        // Before Kubernetes had two families there was one range.
        var texts = [spec["podCIDR"]].compactMap { $0 }
        if case .array(let elements)? = spec["podCIDRs"] { texts = elements }
        return texts.compactMap { if case .string(let text) = $0 { CIDR(text) } else { nil } }
    }
}

extension ObjectMetadata {
    fileprivate init(_ object: CustomObject) {
        self.init(
            labels: Self.pairs(object, "labels"),
            annotations: Self.pairs(object, "annotations"),
            uid: object.uid
        )
    }

    private static func pairs(_ object: CustomObject, _ key: String) -> [String: String] {
        var pairs: [String: String] = [:]
        for member in object.metadata.object(key).members {
            if case .string(let text) = member.value { pairs[member.key] = text }
        }
        return pairs
    }
}
