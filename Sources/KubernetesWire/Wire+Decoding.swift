import JSON
import KubernetesAPI

/// What became of bytes that stand for one object.
public enum Decoded: Hashable, Sendable {
    case object(KubernetesObject)
    case skipped(SkippedObject)

    /// With what stands outside of the fields that messages have.
    func noting(_ triggerTime: Timestamp?) -> Decoded {
        guard let triggerTime, case .object(.endpointSlice(var slice)) = self else { return self }
        slice.lastChangeTriggerTime = triggerTime
        return .object(.endpointSlice(slice))
    }
}

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
        switch kind {
        case .service: try list(kind, CoreService.self, bytes, encoding, pool)
        case .endpointSlice: try list(kind, DiscoveryEndpointSlice.self, bytes, encoding, pool)
        case .endpoints: try list(kind, CoreEndpoints.self, bytes, encoding, pool)
        case .node: try list(kind, CoreNode.self, bytes, encoding, pool)
        case .serviceCIDR: try list(kind, NetworkingServiceCIDR.self, bytes, encoding, pool)
        }
    }

    /// Reads one object.
    ///
    /// - Throws: when the bytes are not of this encoding. One that is of another kind, or cannot be used, is
    ///   ``Decoded/skipped(_:)``.
    public static func decodeObject(
        _ kind: ObjectKind,
        _ bytes: Span<UInt8>,
        _ encoding: WireEncoding,
        _ pool: StringPool
    ) throws(WireError) -> Decoded {
        switch encoding {
        case .protobuf: try protobufObject(kind, 0..<bytes.count, in: bytes, pool)
        case .json:
            try json(bytes) { (reader) throws(JSONReader.Failure) in
                try reader.decoded(kind, typed: true, bytes, pool)
            }
        }
    }

    /// Reads what an API server says of an error; `nil` for anything else.
    public static func decodeStatus(_ bytes: Span<UInt8>, _ encoding: WireEncoding) -> Status? {
        do {
            switch encoding {
            case .protobuf: return try protobufStatus(0..<bytes.count, in: bytes)
            case .json: return try json(bytes) { (reader) throws(JSONReader.Failure) in try reader.status() }
            }
        } catch {
            return nil  // The HTTP status, which the caller has, still tells what happened.
        }
    }
}

extension Wire {
    private static func list<Body: ObjectMessage>(
        _ kind: ObjectKind,
        _ type: Body.Type,
        _ bytes: Span<UInt8>,
        _ encoding: WireEncoding,
        _ pool: StringPool
    ) throws(WireError) -> ListPage {
        switch encoding {
        case .protobuf: try protobufList(kind, type, bytes, pool)
        case .json: try jsonList(kind, type, bytes, pool)
        }
    }

    private static func protobufList<Body: ObjectMessage>(
        _ kind: ObjectKind,
        _ type: Body.Type,
        _ bytes: Span<UInt8>,
        _ pool: StringPool
    ) throws(WireError) -> ListPage {
        let envelope = try Envelope(0..<bytes.count, in: bytes)
        try envelope.types.check(listOf: kind)
        var page = ListPage()
        var fields = ProtobufFields(envelope.raw)
        while let field = try fields.next(in: bytes) {
            switch (field.number, field.value) {
            case (Protobuf.Field.metadata, .bytes(let range)):
                page.describe(try Protobuf.message(MetaListMeta.self, range, in: bytes))
            case (Protobuf.Field.items, .bytes(let range)):
                page.append(Protobuf.decoded(kind, as: type, range, in: bytes, pool))
            default: break
            }
        }
        return page
    }

    private static func jsonList<Body: ObjectMessage>(
        _ kind: ObjectKind,
        _ type: Body.Type,
        _ bytes: Span<UInt8>,
        _ pool: StringPool
    ) throws(WireError) -> ListPage {
        var page = ListPage()
        var types = TypeNames()
        try json(bytes) { (reader) throws(JSONReader.Failure) in
            try reader.object { (name, reader) throws(JSONReader.Failure) in
                if reader.null() { return }
                switch name {
                case "metadata": page.describe(try reader.message())
                case "items":
                    try reader.array { (reader) throws(JSONReader.Failure) in
                        page.append(try reader.decoded(kind, as: type, typed: false, bytes, pool))
                    }
                default: if try !types.readMember(name, &reader) { try reader.skip() }
                }
            }
        }
        try types.check(listOf: kind)
        return page
    }

    /// Reads an object with its envelope.
    static func protobufObject(
        _ kind: ObjectKind,
        _ range: Range<Int>,
        in bytes: Span<UInt8>,
        _ pool: StringPool
    ) throws(WireError) -> Decoded {
        let envelope = try Envelope(range, in: bytes)
        if let fault = envelope.types.fault(wanted: kind, typed: true) {
            return .skipped(Protobuf.partialMeta(envelope.raw, in: bytes).skipped(kind, fault))
        }
        return switch kind {
        case .service: Protobuf.decoded(kind, as: CoreService.self, envelope.raw, in: bytes, pool)
        case .endpointSlice: Protobuf.decoded(kind, as: DiscoveryEndpointSlice.self, envelope.raw, in: bytes, pool)
        case .endpoints: Protobuf.decoded(kind, as: CoreEndpoints.self, envelope.raw, in: bytes, pool)
        case .node: Protobuf.decoded(kind, as: CoreNode.self, envelope.raw, in: bytes, pool)
        case .serviceCIDR: Protobuf.decoded(kind, as: NetworkingServiceCIDR.self, envelope.raw, in: bytes, pool)
        }
    }

    /// `nil` for anything but a Status.
    static func protobufStatus(_ range: Range<Int>, in bytes: Span<UInt8>) throws(WireError) -> Status? {
        let envelope = try Envelope(range, in: bytes)
        guard envelope.types.kind == statusKind, envelope.types.apiVersion == statusVersion else { return nil }
        return Status(try Protobuf.message(MetaStatus.self, envelope.raw, in: bytes))
    }

    static let statusKind = "Status"
    static let statusVersion = "v1"

    static func json<Value>(
        _ bytes: Span<UInt8>,
        _ value: (inout JSONReader) throws(JSONReader.Failure) -> Value
    ) throws(WireError) -> Value {
        do {
            return try JSONReader.read(bytes, value)
        } catch {
            throw WireError(.malformed, "not JSON of the API: \(error)")
        }
    }
}

extension JSONReader {
    /// Reads an object of a kind that is known only now.
    mutating func decoded(
        _ kind: ObjectKind,
        typed: Bool,
        _ text: Span<UInt8>,
        _ pool: StringPool
    ) throws(Failure) -> Decoded {
        switch kind {
        case .service: try decoded(kind, as: CoreService.self, typed: typed, text, pool)
        case .endpointSlice: try decoded(kind, as: DiscoveryEndpointSlice.self, typed: typed, text, pool)
        case .endpoints: try decoded(kind, as: CoreEndpoints.self, typed: typed, text, pool)
        case .node: try decoded(kind, as: CoreNode.self, typed: typed, text, pool)
        case .serviceCIDR: try decoded(kind, as: NetworkingServiceCIDR.self, typed: typed, text, pool)
        }
    }

    /// `nil` for anything but a Status.
    mutating func status() throws(Failure) -> Status? {
        var message = MetaStatus()
        var types = TypeNames()
        try object { (name, reader) throws(Failure) in
            if reader.null() { return }
            if try !types.readMember(name, &reader) { try message.readMember(name, &reader) }
        }
        guard types.kind == Wire.statusKind, types.apiVersion == Wire.statusVersion else { return nil }
        return Status(message)
    }
}

extension ListPage {
    fileprivate mutating func describe(_ metadata: MetaListMeta) {
        resourceVersion = metadata.resourceVersion
        continueToken = metadata.continue
        remainingItemCount = metadata.hasRemainingItemCount ? Int(metadata.remainingItemCount) : nil
    }

    fileprivate mutating func append(_ decoded: Decoded) {
        switch decoded {
        case .object(let object): items.append(object)
        case .skipped(let object): skipped.append(object)
        }
    }
}
