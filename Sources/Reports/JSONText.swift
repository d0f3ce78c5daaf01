import FoundationEssentials
import JSON

extension JSONValue {
    /// A whole number: in JSON a number up to 2^53, which every reader of JSON keeps exactly, and decimal text beyond.
    static func count(_ value: UInt128) -> JSONValue {
        value <= 1 << 53 ? .number(UInt64(value)) : .string("\(value)")
    }

    /// `null` when there is none.
    static func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }

    /// Strings by name, in the order of the names.
    static func sorted(_ strings: [String: String]) -> JSONValue {
        .object(JSONObject(strings.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }

    /// The text of a report.
    var report: String { text(indentation: 2) + "\n" }
}

/// What a value is as JSON, with sorted keys, so that the same value always gives the same text.
private func jsonValue(_ value: some Encodable) throws -> JSONValue {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try JSONValue(parsing: Array(try encoder.encode(value)).span)
}

func jsonText(_ value: some Encodable) throws -> String { try jsonValue(value).report }

func yamlText(_ value: some Encodable) throws -> String { try jsonValue(value).yaml }
