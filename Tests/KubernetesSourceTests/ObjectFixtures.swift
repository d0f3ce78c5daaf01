import KubernetesAPI

extension KubernetesObject {
    /// A slice whose content is told by one word.
    static func slice(_ name: String, _ content: String = "a", version: String, uid: String = "u1") -> KubernetesObject
    {
        .endpointSlice(
            EndpointSlice(
                metadata: ObjectMeta(
                    name: name,
                    namespace: "ns",
                    uid: uid,
                    resourceVersion: version,
                    labels: [LabelKey.serviceName: content]
                ),
                addressType: .ipv4,
                ports: [],
                endpoints: []
            )
        )
    }
}

extension ObjectKey {
    static func slice(_ name: String) -> ObjectKey {
        ObjectKey(.endpointSlice, ObjectName(namespace: "ns", name: name))
    }
}
