/// Why there is no usable configuration of the cluster's API: which file, context and user, and what to do about it.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Holds nothing secret.
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}
