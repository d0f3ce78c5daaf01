/// JSON as it was written: members keep their order and their repetitions, numbers keep their digits.
///
/// A configuration is handed on to other plugins with keys that are not ours to understand, and it comes from
/// outside; so it is neither forced into types first, nor trusted to be shallow (see ``JSONReader``).
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    /// The number's text, a valid JSON number.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// What the value is, for messages: `a string`, `a number`, …
    public var noun: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONValue {
    /// Reads one value that fills the whole text.
    public init(parsing text: Span<UInt8>) throws(JSONReader.Failure) {
        self = try JSONReader.read(text) { (reader) throws(JSONReader.Failure) in try reader.value() }
    }

    /// The strings of a text that is an array of strings; `nil` for any other text.
    public static func strings(parsing text: String) -> [String]? {
        guard case .array(let elements)? = try? JSONValue(parsing: Array(text.utf8).span) else { return nil }
        var strings: [String] = []
        for element in elements {
            guard case .string(let string) = element else { return nil }
            strings.append(string)
        }
        return strings
    }

    /// The value as JSON text: on one line, or, with an indentation, spread over lines as the reference plugins do.
    public func text(indentation: Int? = nil) -> String {
        var writer = JSONWriter(indentation: indentation)
        writer.value(self)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    public static func number(_ value: some FixedWidthInteger) -> JSONValue { .number(String(value)) }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral, ExpressibleByIntegerLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(integerLiteral value: Int) { self = .number(value) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
}

/// The members of a JSON object, in order.
public struct JSONObject: Hashable, Sendable {
    public struct Member: Hashable, Sendable {
        public let key: String
        public var value: JSONValue
    }

    public private(set) var members: [Member]

    public init(_ members: [(String, JSONValue)] = []) {
        self.members = members.map { Member(key: $0.0, value: $0.1) }
    }

    init(members: [Member]) {
        self.members = members
    }

    public var isEmpty: Bool { members.isEmpty }

    /// The value of a key. Of a key that is repeated the last one counts, as in Go; `null` is the same as no such
    /// key. Setting `nil` removes the key, setting a value keeps the place that the key had.
    public subscript(key: String) -> JSONValue? {
        get {
            guard let value = members.last(where: { $0.key == key })?.value, value != .null else { return nil }
            return value
        }
        set {
            guard let newValue else {
                members.removeAll { $0.key == key }
                return
            }
            if let index = members.lastIndex(where: { $0.key == key }) {
                members[index].value = newValue
            } else {
                members.append(Member(key: key, value: newValue))
            }
        }
    }
}

extension JSONReader {
    /// The next value as a tree.
    public mutating func value() throws(Failure) -> JSONValue {
        switch try kind() {
        case .null:
            guard null() else { throw unexpected(wanted: "a value") }
            return .null
        case .boolean: return .bool(try boolean())
        case .number: return .number(try number())
        case .string: return .string(try string())
        case .array:
            var elements: [JSONValue] = []
            try array { (reader) throws(Failure) in elements.append(try reader.value()) }
            return .array(elements)
        case .object:
            var members: [JSONObject.Member] = []
            try object { (name, reader) throws(Failure) in
                members.append(JSONObject.Member(key: name, value: try reader.value()))
            }
            return .object(JSONObject(members: members))
        }
    }
}

extension JSONWriter {
    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let value): boolean(value)
        case .number(let digits): number(digits)
        case .string(let text): string(text)
        case .array(let elements): array(elements) { writer, element in writer.value(element) }
        case .object(let object):
            self.object { writer in
                for member in object.members {
                    writer.name(member.key)
                    writer.value(member.value)
                }
            }
        }
    }
}
