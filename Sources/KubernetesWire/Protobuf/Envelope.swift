/// What Kubernetes wraps protobuf messages in: four magic octets, then `runtime.Unknown`
/// (k8s.io/apimachinery/pkg/runtime/generated.proto), which says what its bytes are.
struct Envelope {
    static let magic: [UInt8] = [0x6b, 0x38, 0x73, 0]

    var types = TypeNames()
    /// Where the message is.
    let raw: Range<Int>

    private enum UnknownField {
        static let typeMeta: UInt64 = 1
        static let raw: UInt64 = 2
        static let contentEncoding: UInt64 = 3
        static let contentType: UInt64 = 4
    }

    private enum TypeMetaField {
        static let apiVersion: UInt64 = 1
        static let kind: UInt64 = 2
    }

    /// - Parameter range: where the envelope is within the bytes.
    init(_ range: Range<Int>, in bytes: Span<UInt8>) throws(WireError) {
        let start = range.lowerBound + Self.magic.count
        guard start <= range.upperBound,
            Self.magic.indices.allSatisfy({ bytes[range.lowerBound + $0] == Self.magic[$0] })
        else { throw WireError(.malformed, "not Kubernetes protobuf: it does not start with k8s and a zero octet") }
        var fields = ProtobufFields(start..<range.upperBound)
        var raw = range.upperBound..<range.upperBound
        while let field = try fields.next(in: bytes) {
            switch (field.number, field.value) {
            case (UnknownField.typeMeta, .bytes(let range)):
                var fields = ProtobufFields(range)
                while let field = try fields.next(in: bytes) {
                    switch (field.number, field.value) {
                    case (TypeMetaField.apiVersion, .bytes(let range)): types.apiVersion = try bytes.text(range)
                    case (TypeMetaField.kind, .bytes(let range)): types.kind = try bytes.text(range)
                    default: break
                    }
                }
            case (UnknownField.raw, .bytes(let range)): raw = range
            case (UnknownField.contentEncoding, .bytes(let range)) where !range.isEmpty,
                (UnknownField.contentType, .bytes(let range)) where !range.isEmpty:
                let form = try bytes.text(range).prefix(64)
                throw WireError(.malformed, "the content of the envelope is \(form), expected protobuf")
            default: break
            }
        }
        self.raw = raw
    }

    /// Wraps a message.
    static func wrap(_ raw: [UInt8], apiVersion: String, kind: String) -> [UInt8] {
        var types = ProtobufWriter()
        types.field(TypeMetaField.apiVersion, Array(apiVersion.utf8))
        types.field(TypeMetaField.kind, Array(kind.utf8))
        var writer = ProtobufWriter(magic)
        writer.field(UnknownField.typeMeta, types.bytes)
        writer.field(UnknownField.raw, raw)
        // The API server writes them, empty.
        writer.field(UnknownField.contentEncoding, [])
        writer.field(UnknownField.contentType, [])
        return writer.bytes
    }
}

/// Writes the outer layers that ``ProtobufFields`` steps over.
struct ProtobufWriter {
    private(set) var bytes: [UInt8]

    init(_ bytes: [UInt8] = []) {
        self.bytes = bytes
    }

    mutating func field(_ number: UInt64, _ content: [UInt8]) {
        varint(number << 3 | 2)
        varint(UInt64(content.count))
        bytes += content
    }

    private mutating func varint(_ value: UInt64) {
        var value = value
        while value > 0x7f {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: value))
    }
}
