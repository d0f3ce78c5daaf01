import KubernetesAPI
import SwiftProtobuf

/// Objects, lists and Status in Kubernetes protobuf.
enum Protobuf {
    /// Fields of the objects and lists that are read in place; they have the same numbers in all of them.
    enum Field {
        static let metadata: UInt64 = 1
        static let items: UInt64 = 2
    }

    private enum ObjectMetaField {
        static let name: UInt64 = 1
        static let namespace: UInt64 = 3
        static let resourceVersion: UInt64 = 6
        static let annotations: UInt64 = 12
        /// Of an entry of a map.
        static let key: UInt64 = 1
        static let value: UInt64 = 2
    }

    /// Most of an object is not read: what it is not asked for is not kept either.
    static let options: BinaryDecodingOptions = {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        return options
    }()

    static func message<Body: Message>(
        _ type: Body.Type = Body.self,
        _ range: Range<Int>,
        in bytes: Span<UInt8>
    ) throws(WireError) -> Body {
        do {
            return try Body(serializedBytes: bytes.bytes.extracting(range), options: options)
        } catch {
            throw WireError(.malformed, "not protobuf in bytes \(range.lowerBound) to \(range.upperBound): \(error)")
        }
    }

    /// Reads the object that a range holds, without its envelope.
    static func decoded<Body: ObjectMessage>(
        _ kind: ObjectKind,
        as type: Body.Type,
        _ range: Range<Int>,
        in bytes: Span<UInt8>,
        _ pool: StringPool
    ) -> Decoded {
        do {
            let decoded = try message(Body.self, range, in: bytes).decoded(kind, pool)
            return kind == .endpointSlice ? decoded.noting(triggerTime(range, in: bytes)) : decoded
        } catch {
            let meta = partialMeta(range, in: bytes)
            return .skipped(meta.skipped(kind, FieldError(components: [], reason: error.message)))
        }
    }

    /// Reads of an object what can be read of its names.
    static func partialMeta(_ range: Range<Int>, in bytes: Span<UInt8>) -> PartialMeta {
        var meta = PartialMeta()
        do {
            var fields = ProtobufFields(range)
            while let field = try fields.next(in: bytes) {
                guard field.number == Field.metadata, case .bytes(let range) = field.value else { continue }
                var fields = ProtobufFields(range)
                while let field = try fields.next(in: bytes) {
                    guard case .bytes(let range) = field.value else { continue }
                    switch field.number {
                    case ObjectMetaField.name: meta.name = try bytes.text(range)
                    case ObjectMetaField.namespace: meta.namespace = try bytes.text(range)
                    case ObjectMetaField.resourceVersion: meta.resourceVersion = try bytes.text(range)
                    default: break
                    }
                }
            }
        } catch {
            // What was read before the fault is what can be known.
        }
        return meta
    }

    /// When the change happened that made a slice. Read in place: annotations may be large, and no other counts.
    private static func triggerTime(_ range: Range<Int>, in bytes: Span<UInt8>) -> Timestamp? {
        do {
            var fields = ProtobufFields(try metadata(range, in: bytes))
            while let field = try fields.next(in: bytes) {
                guard field.number == ObjectMetaField.annotations, case .bytes(let range) = field.value else {
                    continue
                }
                var fields = ProtobufFields(range)
                var isTriggerTime = false
                while let field = try fields.next(in: bytes) {
                    guard case .bytes(let range) = field.value else { continue }
                    switch field.number {
                    case ObjectMetaField.key:
                        guard range.count == EndpointSlice.triggerTimeAnnotation.utf8.count else { break }
                        isTriggerTime = try bytes.text(range) == EndpointSlice.triggerTimeAnnotation
                    case ObjectMetaField.value where isTriggerTime: return Timestamp(try bytes.text(range))
                    default: break
                    }
                }
            }
        } catch {
            // The slice can be used without.
        }
        return nil
    }

    /// Where the metadata of an object is; empty when it has none.
    static func metadata(_ range: Range<Int>, in bytes: Span<UInt8>) throws(WireError) -> Range<Int> {
        var fields = ProtobufFields(range)
        while let field = try fields.next(in: bytes) {
            if field.number == Field.metadata, case .bytes(let range) = field.value { return range }
        }
        return range.upperBound..<range.upperBound
    }

    /// Encoding fails for messages with required fields that are not set; these have none.
    static func bytes(_ message: some Message) -> [UInt8] {
        (try? message.serializedBytes()) ?? []
    }
}
