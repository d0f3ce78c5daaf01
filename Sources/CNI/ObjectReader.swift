import JSON
import NetworkTypes

/// Reads the members of one object as typed values; every complaint names the key with its path.
///
/// Getters return `nil` for a missing key and throw code 6 (decoding failure) for a value of another type.
public struct ObjectReader: Sendable {
    public let object: JSONObject
    /// What leads to the object, as `ipam.pools[0]`; empty for the outermost.
    public let path: String

    public init(_ object: JSONObject, path: String = "") {
        self.object = object
        self.path = path
    }

    public func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    public func string(_ key: String) throws(CNIError) -> String? {
        guard let value = object[key] else { return nil }
        guard case .string(let string) = value else { throw mismatch(key, wanted: "a string", got: value) }
        return string
    }

    /// A boolean; the text `true` or `false` counts as one, as Calico's `ipam.assign_ipv4` is written that way, and an empty
    /// one as missing.
    public func bool(_ key: String) throws(CNIError) -> Bool? {
        switch object[key] {
        case nil, .string(""): return nil
        case .bool(let value): return value
        case .string("true"): return true
        case .string("false"): return false
        case let value?: throw mismatch(key, wanted: "true or false", got: value)
        }
    }

    public func int(_ key: String) throws(CNIError) -> Int? {
        guard let value = object[key] else { return nil }
        guard case .number(let digits) = value, let number = Int(digits) else {
            throw mismatch(key, wanted: "a whole number", got: value)
        }
        return number
    }

    public func object(_ key: String) throws(CNIError) -> ObjectReader? {
        guard let value = object[key] else { return nil }
        guard case .object(let object) = value else { throw mismatch(key, wanted: "an object", got: value) }
        return ObjectReader(object, path: path(of: key))
    }

    public func array(_ key: String) throws(CNIError) -> [JSONValue]? {
        guard let value = object[key] else { return nil }
        guard case .array(let elements) = value else { throw mismatch(key, wanted: "an array", got: value) }
        return elements
    }

    public func strings(_ key: String) throws(CNIError) -> [String]? {
        guard let elements = try array(key) else { return nil }
        var strings: [String] = []
        for (index, element) in elements.enumerated() {
            guard case .string(let string) = element else {
                throw mismatch("\(key)[\(index)]", wanted: "a string", got: element)
            }
            strings.append(string)
        }
        return strings
    }

    public func objects(_ key: String) throws(CNIError) -> [ObjectReader]? {
        guard let elements = try array(key) else { return nil }
        var readers: [ObjectReader] = []
        for (index, element) in elements.enumerated() {
            guard case .object(let object) = element else {
                throw mismatch("\(key)[\(index)]", wanted: "an object", got: element)
            }
            readers.append(ObjectReader(object, path: path(of: "\(key)[\(index)]")))
        }
        return readers
    }

    /// A network value in its text form; an empty text counts as missing.
    public func value<Value: NetworkValue>(_ key: String, as type: Value.Type = Value.self) throws(CNIError) -> Value? {
        guard let text = try string(key), !text.isEmpty else { return nil }
        guard let value = Value(text) else {
            throw CNIError(.decodingFailure, "\"\(path(of: key))\" is not \(Value.noun)", details: text.quoted)
        }
        return value
    }

    func mismatch(_ key: String, wanted: String, got value: JSONValue) -> CNIError {
        let shown = if case .number(let digits) = value { "the number \(digits.prefix(40))" } else { value.noun }
        return CNIError(.decodingFailure, "\"\(path(of: key))\" must be \(wanted), not \(shown)")
    }
}

extension String {
    /// The text between quotation marks, cut short when it is long, fit for an error message.
    public var quoted: String {
        let shown = count > 100 ? String(prefix(100)) + "…" : self
        return JSONValue.string(shown).text()
    }
}
