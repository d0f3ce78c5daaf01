import NetworkTypes

/// A store that lies beside the objects which attachments are of: the cluster's Pods, Namespaces and Nodes.
///
/// They are not records: nobody here writes them, and other stores have none.
public protocol WorkloadObjects: Sendable {
    /// `nil` when there is no such Pod. One that was read lately is not read again.
    func podMetadata(namespace: String, name: String) async throws(DatastoreError) -> ObjectMetadata?

    /// `nil` when there is no such Namespace.
    func namespaceMetadata(_ name: String) async throws(DatastoreError) -> ObjectMetadata?

    /// The ranges that the cluster gave a Node for its Pods (`spec.podCIDRs`), none when there is no such Node.
    func podRanges(ofNode name: String) async throws(DatastoreError) -> [CIDR]
}

/// What people and programs have written at an object.
public struct ObjectMetadata: Hashable, Sendable {
    public var labels: [String: String]
    public var annotations: [String: String]
    /// What tells an object from another that has its name later; empty when it is not known.
    public var uid: String

    public init(labels: [String: String] = [:], annotations: [String: String] = [:], uid: String = "") {
        self.uid = uid
        self.labels = labels
        self.annotations = annotations
    }
}
