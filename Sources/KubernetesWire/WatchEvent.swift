import KubernetesAPI

/// What a watch tells.
public enum WatchEvent: Hashable, Sendable {
    case added(KubernetesObject)
    case modified(KubernetesObject)
    /// The object is gone; the version is the one of its deletion.
    case deleted(ObjectKey, resourceVersion: String)
    /// Everything up to this version was told. With `initialEventsEnd`, the events before made up the whole list.
    case bookmark(resourceVersion: String, initialEventsEnd: Bool)
    /// The watch is over; code 410 means that the version it started from is gone.
    case error(Status)
    /// An object was added or modified and cannot be used any more.
    case skipped(SkippedObject)
}

/// What a watch event is about, as its `type` says.
public enum WatchEventType: String, Hashable, Sendable, CaseIterable {
    case added = "ADDED"
    case modified = "MODIFIED"
    case deleted = "DELETED"
    case bookmark = "BOOKMARK"
    case error = "ERROR"
}
