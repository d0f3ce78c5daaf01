import JSON
import KubernetesAPI
import SwiftProtobuf

extension Wire {
    /// One object with its envelope.
    public static func encode(_ object: KubernetesObject, _ encoding: WireEncoding) -> [UInt8] {
        encode(object.message, apiVersion: object.kind.apiVersion, kind: object.kind.rawValue, encoding)
    }

    /// A list with its envelope; what was skipped is not in it.
    public static func encode(_ kind: ObjectKind, _ page: ListPage, _ encoding: WireEncoding) -> [UInt8] {
        var metadata = MetaListMeta()
        metadata.resourceVersion = page.resourceVersion
        if !page.continueToken.isEmpty { metadata.continue = page.continueToken }
        if let count = page.remainingItemCount { metadata.remainingItemCount = Int64(count) }
        switch encoding {
        case .protobuf:
            var list = ProtobufWriter()
            list.field(Protobuf.Field.metadata, Protobuf.bytes(metadata))
            for item in page.items { list.field(Protobuf.Field.items, Protobuf.bytes(item.message)) }
            return Envelope.wrap(list.bytes, apiVersion: kind.apiVersion, kind: kind.rawValue + "List")
        case .json:
            var writer = JSONWriter()
            writer.object { writer in
                writer.member("kind", kind.rawValue + "List")
                writer.member("apiVersion", kind.apiVersion)
                writer.member("metadata", metadata)
                writer.name("items")
                writer.array(page.items) { writer, item in
                    let message = item.message
                    writer.object { message.writeMembers(&$0) }
                }
            }
            return writer.bytes
        }
    }

    public static func encode(_ status: Status, _ encoding: WireEncoding) -> [UInt8] {
        encode(MetaStatus(status), apiVersion: statusVersion, kind: statusKind, encoding)
    }

    /// One frame of a watch stream, as ``WatchDecoder`` takes it apart.
    ///
    /// - Parameter object: ready in the same encoding, with its envelope.
    public static func encodeEvent(_ type: WatchEventType, object: [UInt8], _ encoding: WireEncoding) -> [UInt8] {
        switch encoding {
        case .protobuf:
            var extensionWriter = ProtobufWriter()
            extensionWriter.field(EventField.raw, object)
            var event = ProtobufWriter()
            event.field(EventField.type, Array(type.rawValue.utf8))
            event.field(EventField.object, extensionWriter.bytes)
            let length = UInt32(truncatingIfNeeded: event.bytes.count)
            return (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } + event.bytes
        case .json:
            return Array(#"{"type":"\#(type.rawValue)","object":"#.utf8) + object + Array("}\n".utf8)
        }
    }

    /// - Parameter type: `added`, `modified` or `deleted`.
    public static func encodeEvent(
        _ type: WatchEventType,
        _ object: KubernetesObject,
        _ encoding: WireEncoding
    ) -> [UInt8] {
        encodeEvent(type, object: encode(object, encoding), encoding)
    }

    public static func encodeBookmark(
        _ kind: ObjectKind,
        resourceVersion: String,
        initialEventsEnd: Bool,
        _ encoding: WireEncoding
    ) -> [UInt8] {
        var metadata = MetaBookmarkMeta()
        metadata.resourceVersion = resourceVersion
        if initialEventsEnd { metadata.annotations = [initialEventsEndAnnotation: "true"] }
        let object: [UInt8]
        switch encoding {
        case .protobuf:
            var writer = ProtobufWriter()
            writer.field(Protobuf.Field.metadata, Protobuf.bytes(metadata))
            object = Envelope.wrap(writer.bytes, apiVersion: kind.apiVersion, kind: kind.rawValue)
        case .json:
            var writer = JSONWriter()
            writer.object { writer in
                writer.member("kind", kind.rawValue)
                writer.member("apiVersion", kind.apiVersion)
                writer.member("metadata", metadata)
            }
            object = writer.bytes
        }
        return encodeEvent(.bookmark, object: object, encoding)
    }

    public static func encodeErrorEvent(_ status: Status, _ encoding: WireEncoding) -> [UInt8] {
        encodeEvent(.error, object: encode(status, encoding), encoding)
    }

    /// Marks the bookmark behind the initial events of a streaming list.
    static let initialEventsEndAnnotation = "k8s.io/initial-events-end"

    /// Of `WatchEvent` and of the `RawExtension` in it.
    enum EventField {
        static let type: UInt64 = 1
        static let object: UInt64 = 2
        static let raw: UInt64 = 1
    }

    private static func encode(
        _ message: some Message & JSONMessage,
        apiVersion: String,
        kind: String,
        _ encoding: WireEncoding
    ) -> [UInt8] {
        switch encoding {
        case .protobuf:
            return Envelope.wrap(Protobuf.bytes(message), apiVersion: apiVersion, kind: kind)
        case .json:
            var writer = JSONWriter()
            writer.object { writer in
                writer.member("kind", kind)
                writer.member("apiVersion", apiVersion)
                message.writeMembers(&writer)
            }
            return writer.bytes
        }
    }
}
