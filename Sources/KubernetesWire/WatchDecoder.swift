import JSON
import KubernetesAPI

/// Takes a watch stream apart, whatever pieces it comes in.
///
/// Bytes are appended; then ``next()`` is called until it gives nothing. After an error the stream is of no more use:
/// what is appended is dropped, and the error comes again.
public struct WatchDecoder: Sendable {
    /// No event of an API server gets near: etcd takes objects of 1.5 MiB.
    public static let defaultFrameLimit = 16 << 20

    private let kind: ObjectKind
    private let encoding: WireEncoding
    private let pool: StringPool
    private var frames: WatchFrames
    private var failure: WireError?

    /// - Parameter frameLimit: how many bytes one event may have.
    public init(
        _ kind: ObjectKind,
        _ encoding: WireEncoding,
        _ pool: StringPool,
        frameLimit: Int = defaultFrameLimit
    ) {
        self.kind = kind
        self.encoding = encoding
        self.pool = pool
        frames = WatchFrames(encoding, limit: frameLimit)
    }

    /// Adds what came over the wire.
    public mutating func append(_ bytes: Span<UInt8>) {
        if failure == nil { frames.append(bytes) }
    }

    public mutating func append(_ bytes: [UInt8]) {
        append(bytes.span)
    }

    /// How many bytes wait for the rest of their event: at the end of a stream, more than none mean that it was cut.
    public var pendingBytes: Int { frames.pending }

    /// The next event, or `nil` until more bytes have come.
    ///
    /// - Throws: when the stream is no watch stream, or an event is too large. An object that cannot be used is
    ///   ``WatchEvent/skipped(_:)``, and the stream goes on.
    public mutating func next() throws(WireError) -> WatchEvent? {
        if let failure { throw failure }
        do {
            guard let frame = try frames.next() else { return nil }
            let bytes = frames.bytes.span
            switch encoding {
            case .protobuf: return try protobufEvent(frame, in: bytes)
            case .json: return try jsonEvent(bytes.extracting(frame))
            }
        } catch {
            failure = error
            frames.discard()
            throw error
        }
    }

    private func protobufEvent(_ frame: Range<Int>, in bytes: Span<UInt8>) throws(WireError) -> WatchEvent {
        var type = ""
        var object: Range<Int>?
        var fields = ProtobufFields(frame)
        while let field = try fields.next(in: bytes) {
            switch (field.number, field.value) {
            case (Wire.EventField.type, .bytes(let range)): type = try bytes.text(range)
            case (Wire.EventField.object, .bytes(let range)):
                var fields = ProtobufFields(range)
                while let field = try fields.next(in: bytes) {
                    if field.number == Wire.EventField.raw, case .bytes(let range) = field.value { object = range }
                }
            default: break
            }
        }
        guard let object else { throw Self.withoutObject }
        switch try Self.type(type) {
        case .added: return WatchEvent(try Wire.protobufObject(kind, object, in: bytes, pool), WatchEvent.added)
        case .modified: return WatchEvent(try Wire.protobufObject(kind, object, in: bytes, pool), WatchEvent.modified)
        case .deleted:
            let envelope = try Envelope(object, in: bytes)
            var meta = Protobuf.partialMeta(envelope.raw, in: bytes)
            meta.types = envelope.types
            return WatchEvent(deleted: meta, kind)
        case .bookmark:
            let envelope = try Envelope(object, in: bytes)
            let metadata = try Protobuf.metadata(envelope.raw, in: bytes)
            return try WatchEvent(bookmark: Protobuf.message(MetaBookmarkMeta.self, metadata, in: bytes))
        case .error:
            return try WatchEvent(error: Wire.protobufStatus(object, in: bytes))
        }
    }

    private func jsonEvent(_ text: Span<UInt8>) throws(WireError) -> WatchEvent {
        var type = ""
        var place: Range<Int>?
        // The type may stand behind the object.
        try Wire.json(text) { (reader) throws(JSONReader.Failure) in
            try reader.object { (name, reader) throws(JSONReader.Failure) in
                switch name {
                case "type": type = try reader.string()
                case "object":
                    let start = reader.mark()
                    try reader.skip()
                    place = reader.offset(of: start)..<reader.offset(of: reader.mark())
                default: try reader.skip()
                }
            }
        }
        guard let place else { throw Self.withoutObject }
        let object = text.extracting(place)
        switch try Self.type(type) {
        case .added: return WatchEvent(try Wire.decodeObject(kind, object, .json, pool), WatchEvent.added)
        case .modified: return WatchEvent(try Wire.decodeObject(kind, object, .json, pool), WatchEvent.modified)
        case .deleted:
            let meta = try Wire.json(object) { (reader) throws(JSONReader.Failure) in try reader.partialMeta() }
            return WatchEvent(deleted: meta, kind)
        case .bookmark:
            let metadata = try Wire.json(object) { (reader) throws(JSONReader.Failure) in try reader.bookmarkMeta() }
            return try WatchEvent(bookmark: metadata)
        case .error:
            let status = try Wire.json(object) { (reader) throws(JSONReader.Failure) in try reader.status() }
            return try WatchEvent(error: status)
        }
    }

    private static let withoutObject = WireError(.malformed, "an event of the watch has no object")

    private static func type(_ name: String) throws(WireError) -> WatchEventType {
        guard let type = WatchEventType(rawValue: name) else {
            throw WireError(.malformed, "\"\(name.prefix(64))\" is no type of a watch event")
        }
        return type
    }
}

extension WatchEvent {
    fileprivate init(_ decoded: Decoded, _ event: (KubernetesObject) -> WatchEvent) {
        switch decoded {
        case .object(let object): self = event(object)
        case .skipped(let object): self = .skipped(object)
        }
    }

    /// Nothing but the names of the object matters.
    fileprivate init(deleted meta: PartialMeta, _ kind: ObjectKind) {
        if let fault = meta.types.fault(wanted: kind, typed: true) {
            self = .skipped(meta.skipped(kind, fault))
        } else if let key = meta.key(kind) {
            self = .deleted(key, resourceVersion: meta.resourceVersion)
        } else {
            let field: FieldError.Component = meta.name.isEmpty ? "name" : "namespace"
            self = .skipped(meta.skipped(kind, FieldError("metadata", field, reason: "is missing")))
        }
    }

    fileprivate init(bookmark metadata: MetaBookmarkMeta) throws(WireError) {
        guard !metadata.resourceVersion.isEmpty else {
            throw WireError(.malformed, "a bookmark of the watch has no resourceVersion")
        }
        self = .bookmark(
            resourceVersion: metadata.resourceVersion,
            initialEventsEnd: metadata.annotations[Wire.initialEventsEndAnnotation] == "true"
        )
    }

    fileprivate init(error status: Status?) throws(WireError) {
        guard let status else { throw WireError(.malformed, "the error of the watch is no Status") }
        self = .error(status)
    }
}
