import JSON
import KubernetesAPI

/// Writes JSON trees as protobuf messages.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    static func message(_ object: JSONObject, _ schema: ProtobufSchema) -> [UInt8] {
        var writer = ProtobufWriter()
        for field in schema.fields { writer.field(field, object[field.name]) }
        return writer.bytes
    }

    /// The envelope of every object in protobuf: `k8s`, a zero byte and a `runtime.Unknown`.
    static func envelope(_ message: [UInt8], apiVersion: String, kind: String) -> [UInt8] {
        var type = ProtobufWriter()
        type.string(1, apiVersion)
        type.string(2, kind)
        var writer = ProtobufWriter()
        writer.bytes = Array("k8s\0".utf8)
        writer.data(1, type.bytes)
        writer.data(2, message)
        writer.string(3, "")
        writer.string(4, "")
        return writer.bytes
    }

    /// A list of messages that are encoded already, without envelope.
    static func list(_ metadata: JSONObject, _ items: [[UInt8]]) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.bytes.reserveCapacity(items.reduce(256) { $0 + $1.count + 6 })
        writer.data(1, message(metadata, .listMeta))
        for item in items { writer.data(2, item) }
        return writer.bytes
    }

    /// A frame of a watch: the length, then a `WatchEvent` around an enveloped object.
    static func watchFrame(_ type: String, _ object: [UInt8]) -> [UInt8] {
        var raw = ProtobufWriter()
        raw.data(1, object)
        var event = ProtobufWriter()
        event.string(1, type)
        event.data(2, raw.bytes)
        return withUnsafeBytes(of: UInt32(event.bytes.count).bigEndian) { Array($0) } + event.bytes
    }

    private mutating func field(_ field: ProtobufSchema.Field, _ value: JSONValue?) {
        guard let value, value != .null else {
            if field.isAlways { zero(field) }
            return
        }
        if case .map(let kind) = field.kind {
            for member in value.object?.members ?? [] {
                var entry = ProtobufWriter()
                entry.string(1, member.key)
                entry.scalar(2, member.value, kind)
                data(field.number, entry.bytes)
            }
        } else if case .array(let elements) = value {
            for element in elements { scalar(field.number, element, field.kind) }
        } else {
            scalar(field.number, value, field.kind)
        }
    }

    private mutating func scalar(_ number: Int, _ value: JSONValue, _ kind: ProtobufSchema.Kind) {
        switch kind {
        case .string: string(number, value.text ?? "")
        case .integer: integer(number, value.integer ?? 0)
        case .boolean: integer(number, value == true ? 1 : 0)
        case .time: time(number, value.text ?? "")
        case .quantity:
            var quantity = ProtobufWriter()
            quantity.string(1, value.text ?? value.text())
            data(number, quantity.bytes)
        case .intOrString:
            var message = ProtobufWriter()
            message.integer(1, value.text == nil ? 0 : 1)
            message.integer(2, value.integer ?? 0)
            message.string(3, value.text ?? "")
            data(number, message.bytes)
        case .raw:
            var message = ProtobufWriter()
            message.data(1, Array(value.text(indentation: nil).utf8))
            data(number, message.bytes)
        case .message(let schema): data(number, Self.message(value.object ?? JSONObject(), schema))
        case .map: break
        }
    }

    private mutating func zero(_ field: ProtobufSchema.Field) {
        switch field.kind {
        case .string: string(field.number, "")
        case .integer, .boolean: integer(field.number, 0)
        case .time: data(field.number, [])
        case .message(let schema): data(field.number, Self.message(JSONObject(), schema))
        case .intOrString: scalar(field.number, .number(0), .intOrString)
        case .quantity, .map, .raw: break
        }
    }

    private mutating func time(_ number: Int, _ text: String) {
        guard let time = Timestamp(text) else { return }
        var message = ProtobufWriter()
        message.integer(1, time.seconds)
        message.integer(2, time.nanoseconds - time.seconds * 1_000_000_000)
        data(number, message.bytes)
    }

    private mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    private mutating func integer(_ number: Int, _ value: Int64) {
        varint(UInt64(number) << 3)
        varint(UInt64(bitPattern: value))
    }

    private mutating func string(_ number: Int, _ value: String) {
        var value = value
        value.withUTF8 { data(number, $0) }
    }

    private mutating func data(_ number: Int, _ value: some Collection<UInt8>) {
        varint(UInt64(number) << 3 | 2)
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }
}
