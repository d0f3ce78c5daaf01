import JSON
import KubernetesAPI
import NIOCore

extension Status {
    /// The Status in the body of a response, in either encoding of the API; `nil` when the body is something else, such
    /// as the plain text of a proxy.
    init?(body: ByteBuffer, contentType: String) {
        guard body.readableBytes <= 1 << 20 else { return nil }
        let bytes = Array(body.readableBytesView)
        if contentType.hasPrefix("application/vnd.kubernetes.protobuf") {
            self.init(protobuf: bytes)
        } else {
            self.init(json: bytes)
        }
    }

    private init?(json: [UInt8]) {
        guard case .object(let object)? = try? JSONValue(parsing: json.span), object.text("kind") == "Status" else {
            return nil
        }
        let details = object.object("details").map { details in
            Details(
                name: details.text("name"),
                group: details.text("group"),
                kind: details.text("kind"),
                uid: details.text("uid"),
                retryAfterSeconds: details.integer("retryAfterSeconds"),
                causes: details.objects("causes").map {
                    Cause(reason: $0.text("reason"), message: $0.text("message"), field: $0.text("field"))
                }
            )
        }
        self.init(
            status: object.text("status") ?? "",
            message: object.text("message") ?? "",
            reason: object.text("reason") ?? "",
            code: object.integer("code") ?? 0,
            details: details
        )
    }

    /// The few fields that matter, by hand: programs that never ask for protobuf need no library for it.
    private init?(protobuf bytes: [UInt8]) {
        guard bytes.starts(with: [0x6b, 0x38, 0x73, 0]),
            let unknown = ProtobufFields(bytes[4...]),
            let type = unknown.message(1), type.text(2) == "Status",
            let raw = unknown.message(2)
        else { return nil }
        let details = raw.message(5).map { details in
            Details(
                name: details.filledText(1),
                group: details.filledText(2),
                kind: details.filledText(3),
                uid: details.filledText(6),
                retryAfterSeconds: details.integer(5).flatMap { $0 == 0 ? nil : $0 },
                causes: details.messages(4).map {
                    Cause(reason: $0.filledText(1), message: $0.filledText(2), field: $0.filledText(3))
                }
            )
        }
        self.init(
            status: raw.text(2) ?? "",
            message: raw.text(3) ?? "",
            reason: raw.text(4) ?? "",
            code: raw.integer(6) ?? 0,
            details: details
        )
    }
}

/// The fields of one protobuf message.
private struct ProtobufFields {
    private enum Value {
        case integer(UInt64)
        case bytes(ArraySlice<UInt8>)
    }

    private var fields: [(number: UInt64, value: Value)] = []

    /// - Returns: `nil` when the bytes are no message.
    init?(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        while !rest.isEmpty {
            guard let tag = Self.integer(&rest) else { return nil }
            switch tag & 7 {
            case 0:
                guard let value = Self.integer(&rest) else { return nil }
                fields.append((tag >> 3, .integer(value)))
            case 1, 5:
                let size = tag & 7 == 1 ? 8 : 4
                guard rest.count >= size else { return nil }
                rest = rest.dropFirst(size)
            case 2:
                guard let size = Self.integer(&rest), size <= UInt64(rest.count) else { return nil }
                fields.append((tag >> 3, .bytes(rest.prefix(Int(size)))))
                rest = rest.dropFirst(Int(size))
            default: return nil
            }
        }
    }

    private static func integer(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = bytes.popFirst() else { return nil }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }

    private func bytes(_ number: UInt64) -> ArraySlice<UInt8>? {
        for field in fields.reversed() where field.number == number {
            if case .bytes(let bytes) = field.value { return bytes }
        }
        return nil
    }

    func text(_ number: UInt64) -> String? { bytes(number).map { String(decoding: $0, as: UTF8.self) } }

    func filledText(_ number: UInt64) -> String? { text(number).flatMap { $0.isEmpty ? nil : $0 } }

    func message(_ number: UInt64) -> ProtobufFields? { bytes(number).flatMap { ProtobufFields($0) } }

    func messages(_ number: UInt64) -> [ProtobufFields] {
        fields.compactMap { field in
            guard field.number == number, case .bytes(let bytes) = field.value else { return nil }
            return ProtobufFields(bytes)
        }
    }

    func integer(_ number: UInt64) -> Int? {
        for field in fields.reversed() where field.number == number {
            if case .integer(let value) = field.value { return Int(truncatingIfNeeded: value) }
        }
        return nil
    }
}
