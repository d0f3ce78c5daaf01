import KubernetesAPI

extension ObjectMeta {
    /// - Parameter isOfNode: whether more is kept than of other objects: all labels, and when it was deleted.
    init(_ message: MetaObjectMeta, isOfNode: Bool = false, _ pool: StringPool) throws(FieldError) {
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
            creationTimestamp = try Timestamp(message.creationTimestamp, of: "creationTimestamp")
        }
        if isOfNode {
            if message.hasDeletionTimestamp {
                deletionTimestamp = try Timestamp(message.deletionTimestamp, of: "deletionTimestamp")
            }
            labels = message.labels
        } else if !message.labels.isEmpty {
            for key in LabelKey.kept {
                if let value = message.labels[key] { labels[key] = value }
            }
        }
        for key in AnnotationKey.kept where !message.annotations.isEmpty {
            if let value = message.annotations[key] { annotations[key] = value }
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
        if let time = metadata.deletionTimestamp { deletionTimestamp = MetaTime(time) }
        labels = metadata.labels
        annotations = metadata.annotations
    }
}

extension Timestamp {
    fileprivate init(_ message: MetaTime, of field: String) throws(FieldError) {
        let (scaled, overflow) = message.seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow2) = scaled.addingReportingOverflow(Int64(message.nanos))
        guard !overflow, !overflow2 else {
            throw FieldError("metadata", .key(field), reason: "is not a time from 1678 to 2261")
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
