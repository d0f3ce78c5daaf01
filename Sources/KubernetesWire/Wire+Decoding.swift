import KubernetesAPI

extension Wire {
    /// Reads a list, or a page of one. Objects that cannot be used are reported, and the others are taken.
    ///
    /// - Throws: when the list as a whole is none of this kind.
    public static func decodeList(
        _ kind: ObjectKind,
        _ bytes: Span<UInt8>,
        _ encoding: WireEncoding,
        _ pool: StringPool
    ) throws(WireError) -> ListPage {
        throw WireError(.malformed, "not decoded yet")
    }

    /// Reads one object.
    ///
    /// - Throws: when it is none of this kind; ``Decoded/skipped(_:)`` is for one of this kind that cannot be used.
    public static func decodeObject(
        _ kind: ObjectKind,
        _ bytes: Span<UInt8>,
        _ encoding: WireEncoding,
        _ pool: StringPool
    ) throws(WireError) -> Decoded {
        throw WireError(.malformed, "not decoded yet")
    }

    /// Reads what an API server says of an error; `nil` for anything else.
    public static func decodeStatus(_ bytes: Span<UInt8>, _ encoding: WireEncoding) -> Status? {
        nil
    }
}

/// What became of bytes that stand for one object.
public enum Decoded: Hashable, Sendable {
    case object(KubernetesObject)
    case skipped(SkippedObject)
}
