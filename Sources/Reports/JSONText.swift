import FoundationEssentials
import JSON

/// Text of a value as JSON: sorted keys, so that the same value always gives the same text, and a newline at the end.
func jsonText(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
}

/// Text of a value as YAML, in the same order.
func yamlText(_ value: some Encodable) throws -> String {
    try JSONValue(parsing: Array(jsonText(value).utf8).span).yaml
}

/// A whole number: in JSON a number up to 2^53, which every reader of JSON keeps exactly, and decimal text beyond.
struct JSONCount: Encodable {
    let value: UInt128

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if value <= 1 << 53 {
            try container.encode(UInt64(value))
        } else {
            try container.encode("\(value)")
        }
    }
}

/// A value that is written as null, and not left out, when there is none.
struct JSONNullable<Value: Encodable>: Encodable {
    let value: Value?

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let value { try container.encode(value) } else { try container.encodeNil() }
    }
}
