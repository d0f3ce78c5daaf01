import KubernetesAPI

/// Takes a watch stream apart, whatever pieces it comes in.
///
/// Bytes go in with ``append(_:)-(Span<UInt8>)``; then ``next()`` is called until it gives nothing. After an error the stream is of
/// no more use.
public struct WatchDecoder {
    /// No frame of an API server gets near: etcd takes objects of 1.5 MiB.
    public static let defaultFrameLimit = 16 << 20

    public init(
        _ kind: ObjectKind,
        _ encoding: WireEncoding,
        _ pool: StringPool,
        frameLimit: Int = defaultFrameLimit
    ) {
    }

    /// Adds what came over the wire; costs no more than a copy of it.
    public mutating func append(_ bytes: Span<UInt8>) {
    }

    public mutating func append(_ bytes: [UInt8]) {
    }

    /// The next event, or `nil` until more bytes have come.
    public mutating func next() throws(WireError) -> WatchEvent? {
        throw WireError(.malformed, "not decoded yet")
    }

    /// How many bytes wait for the rest of their frame: at the end of a stream, more than none mean that it was cut.
    public var pendingBytes: Int { 0 }
}
