import KubernetesAPI

/// What a watch event does to an object, as its `type` says.
public enum WatchEventType: String, Hashable, Sendable, CaseIterable {
    case added = "ADDED"
    case modified = "MODIFIED"
    case deleted = "DELETED"
    case bookmark = "BOOKMARK"
    case error = "ERROR"
}

extension Wire {
    /// One object with its envelope.
    public static func encode(_ object: KubernetesObject, _ encoding: WireEncoding) -> [UInt8] {
        []
    }

    /// A list with its envelope; what was skipped is not in it.
    public static func encode(_ kind: ObjectKind, _ page: ListPage, _ encoding: WireEncoding) -> [UInt8] {
        []
    }

    public static func encode(_ status: Status, _ encoding: WireEncoding) -> [UInt8] {
        []
    }

    /// One frame of a watch stream: what ``WatchDecoder`` takes apart.
    ///
    /// - Parameter type: `added`, `modified` or `deleted`.
    public static func encodeEvent(
        _ type: WatchEventType,
        _ object: KubernetesObject,
        _ encoding: WireEncoding
    ) -> [UInt8] {
        []
    }

    public static func encodeBookmark(
        _ kind: ObjectKind,
        resourceVersion: String,
        initialEventsEnd: Bool,
        _ encoding: WireEncoding
    ) -> [UInt8] {
        []
    }

    public static func encodeErrorEvent(_ status: Status, _ encoding: WireEncoding) -> [UInt8] {
        []
    }
}
