/// An element of a set or map.
public struct Element: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        case none
        case verdict(Verdict)
        case data(Concatenation)
    }

    public var key: Concatenation
    /// The last value of a range, inclusive, field by field.
    public var end: Concatenation?
    public var value: Value
    public var comment: String?
    /// In milliseconds.
    public var timeout: UInt64?
    /// How long the element still lives, in milliseconds; only in elements read from the kernel.
    public var expiration: UInt64?
    /// How many packets have found the element, where its set counts them; only in elements read from the kernel.
    public var packets: UInt64?
    /// A range of a set with one field is two elements to the kernel; this is the one behind its end, which is exclusive.
    public var isIntervalEnd = false

    public init(
        _ key: Concatenation,
        through end: Concatenation? = nil,
        _ value: Value = .none,
        comment: String? = nil,
        timeout: UInt64? = nil
    ) {
        self.key = key
        self.end = end
        self.value = value
        self.comment = comment
        self.timeout = timeout
    }
}

extension Element {
    /// A comment as it will be read back: one of more than 127 bytes is cut, where the kernel's tools would refuse it.
    public static func fitting(_ comment: String) -> String { UserData.cut(comment) }
}
