import KubernetesAPI

extension ObjectMeta {
    /// - Parameter keepsAllLabels: whether not only those of ``LabelKey/kept`` are kept.
    init(_ message: MetaObjectMeta, keepsAllLabels: Bool = false, _ pool: StringPool) throws(FieldError) {
        guard !message.name.isEmpty else { throw FieldError("metadata", "name", reason: "is missing") }
        self.init(
            name: message.name,
            namespace: pool.shared(message.namespace),
            uid: message.uid,
            resourceVersion: message.resourceVersion
        )
        // The API server writes an absent time as an empty one.
        if message.hasCreationTimestamp, message.creationTimestamp.seconds != 0 || message.creationTimestamp.nanos != 0
        {
            creationTimestamp = try Timestamp(message.creationTimestamp)
        }
        if keepsAllLabels {
            labels = message.labels
        } else if !message.labels.isEmpty {
            for key in LabelKey.kept {
                if let value = message.labels[key] { labels[key] = value }
            }
        }
    }
}

extension MetaObjectMeta {
    init(_ metadata: ObjectMeta) {
        name = metadata.name
        if !metadata.namespace.isEmpty { namespace = metadata.namespace }
        if !metadata.uid.isEmpty { uid = metadata.uid }
        if !metadata.resourceVersion.isEmpty { resourceVersion = metadata.resourceVersion }
        if let time = metadata.creationTimestamp { creationTimestamp = MetaTime(time) }
        labels = metadata.labels
    }
}

extension Timestamp {
    fileprivate init(_ message: MetaTime) throws(FieldError) {
        let (scaled, overflow) = message.seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow2) = scaled.addingReportingOverflow(Int64(message.nanos))
        guard !overflow, !overflow2 else {
            throw FieldError("metadata", "creationTimestamp", reason: "is not a time from 1678 to 2261")
        }
        self.init(nanoseconds: sum)
    }
}

extension MetaTime {
    init(_ time: Timestamp) {
        seconds = time.seconds
        nanos = Int32(truncatingIfNeeded: time.nanoseconds &- time.seconds &* 1_000_000_000)
    }
}
