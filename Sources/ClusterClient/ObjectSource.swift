import KubernetesAPI

/// Where objects come from: the watches of an API server, or a directory of files. Consumers cannot tell them apart.
///
/// A source says what is, once, and from then on what changed. For each object it delivers nothing that its consumer
/// already knows, and never an older state after a newer one. When it loses track (a watch that must start over, a
/// queue that overflowed) it compares by itself and delivers the differences.
public protocol ObjectSource: Sendable {
    /// The kinds to wait for before anything is concluded. Each of them becomes synced at some time, even if no object of
    /// it exists. Objects of other kinds may come as well.
    var kinds: Set<ObjectKind> { get }

    /// Delivers until the task is cancelled, which ends it without an error.
    ///
    /// Batches are delivered one after the other, in order: the source waits until the consumer has taken one before
    /// it delivers the next, and merges in the meantime, so that a slow consumer costs no memory.
    ///
    /// - Throws: when the source cannot go on, ever. What passes (a broken file, a server that is away) is reported
    ///   by the source in its log and mended by itself.
    func run(_ deliver: @Sendable (ObjectBatch) async -> Void) async throws
}

/// Some changes that belong together, as one file or one message held them.
public struct ObjectBatch: Hashable, Sendable {
    /// In the order in which they happened.
    public var changes: [ObjectChange]
    /// The kinds of which the consumer knows every object, for the first time, after these changes.
    public var synced: Set<ObjectKind>

    public init(changes: [ObjectChange] = [], synced: Set<ObjectKind> = []) {
        self.changes = changes
        self.synced = synced
    }

    public var isEmpty: Bool { changes.isEmpty && synced.isEmpty }
}

/// What became of one object.
public enum ObjectChange: Hashable, Sendable {
    /// It is new, or differs from what was delivered before.
    case set(KubernetesObject)
    /// It was delivered before, and is gone.
    case delete(ObjectKey)

    public var key: ObjectKey {
        switch self {
        case .set(let object): object.key
        case .delete(let key): key
        }
    }
}
