/// Why bytes as a whole are no use; a single object that is none is a ``SkippedObject``.
public struct WireError: Error, Hashable, Sendable {
    public enum Reason: Hashable, Sendable {
        /// No text or message of the encoding.
        case malformed
        /// Larger than what is taken.
        case tooLarge
        /// Well-formed, and something else than what was asked for.
        case unexpectedKind
    }

    public let reason: Reason
    /// One clause for a person.
    public let message: String

    public init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}

extension WireError: CustomStringConvertible {
    public var description: String { message }
}
