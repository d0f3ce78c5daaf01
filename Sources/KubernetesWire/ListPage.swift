import KubernetesAPI

/// A list of objects of one kind, or a page of it.
public struct ListPage: Hashable, Sendable {
    /// In the order of the list.
    public var items: [KubernetesObject]
    /// Of the list as a whole.
    public var resourceVersion: String
    /// Asks for the next page; empty on the last one.
    public var continueToken: String
    /// How many objects follow this page, where the server tells.
    public var remainingItemCount: Int?
    /// What is in the list and cannot be used.
    public var skipped: [SkippedObject]

    public init(
        items: [KubernetesObject] = [],
        resourceVersion: String = "",
        continueToken: String = "",
        remainingItemCount: Int? = nil,
        skipped: [SkippedObject] = []
    ) {
        self.items = items
        self.resourceVersion = resourceVersion
        self.continueToken = continueToken
        self.remainingItemCount = remainingItemCount
        self.skipped = skipped
    }
}

/// An object that exists and cannot be used.
public struct SkippedObject: Hashable, Sendable {
    /// `nil` when not even the name can be read.
    public var key: ObjectKey?
    /// Empty when it cannot be read.
    public var resourceVersion: String
    public var reason: FieldError

    public init(key: ObjectKey?, resourceVersion: String, reason: FieldError) {
        self.key = key
        self.resourceVersion = resourceVersion
        self.reason = reason
    }
}

extension SkippedObject: CustomStringConvertible {
    public var description: String { "\(key.map { "\($0)" } ?? "an object without a name"): \(reason)" }
}
