import NetworkTypes

// What the fields of several kinds have in common on their way in.
extension KeyedDecodingContainer {
    /// An absent or null list is an empty one.
    func list<Element: Decodable>(_ type: Element.Type = Element.self, forKey key: Key) throws -> [Element] {
        try decodeIfPresent([Element].self, forKey: key) ?? []
    }

    func pooledString(forKey key: Key, _ pool: StringPool?) throws -> String? {
        guard let text = try decodeIfPresent(String.self, forKey: key) else { return nil }
        return pool?.shared(text) ?? text
    }

    func transport(forKey key: Key) throws -> TransportProtocol {
        let text = try decodeIfPresent(String.self, forKey: key)
        return try obeying(key) { () throws(FieldRule.Violation) in try FieldRule.transport(text) }
    }

    func port(forKey key: Key, allowingZero: Bool = true) throws -> UInt16 {
        let number = try wholeNumber(forKey: key)
        return try obeying(key) { () throws(FieldRule.Violation) in
            try FieldRule.port(number, allowingZero: allowingZero)
        }
    }

    func wholeNumber(forKey key: Key) throws -> Int64? {
        do {
            return try decodeIfPresent(Int64.self, forKey: key)
        } catch let error as DecodingError {
            throw error
        } catch {
            // Foundation's decoder has an error of its own for fractions and overflows, which loses the path.
            throw invalid(key, "is not a whole number of 64 bits")
        }
    }

    /// One of the words that the API knows for this field.
    func word<Word: RawRepresentable & CaseIterable>(
        _ type: Word.Type = Word.self,
        forKey key: Key
    ) throws -> Word? where Word.RawValue == String {
        let text = try decodeIfPresent(String.self, forKey: key)
        return try obeying(key) { () throws(FieldRule.Violation) in try FieldRule.word(text, as: type) }
    }

    /// Says at which key a rule is broken.
    func obeying<Value>(_ key: Key, _ rule: () throws(FieldRule.Violation) -> Value) throws -> Value {
        do {
            return try rule()
        } catch {
            throw invalid(key, error.reason)
        }
    }

    func invalid(_ key: Key, _ reason: String) -> DecodingError {
        .dataCorruptedError(forKey: key, in: self, debugDescription: reason)
    }
}

/// An IP address in a list or a field of its own.
struct APIAddress: Decodable {
    let address: IPAddress

    init(from decoder: any Decoder) throws {
        address = try decoder.text { (text) throws(FieldRule.Violation) in try FieldRule.address(text) }
    }
}

/// A prefix in a list.
struct APIPrefix: Decodable {
    let prefix: CIDR

    init(from decoder: any Decoder) throws {
        prefix = try decoder.text { (text) throws(FieldRule.Violation) in try FieldRule.prefix(text) }
    }
}

extension Decoder {
    /// A text that obeys a rule.
    fileprivate func text<Value>(_ rule: (String) throws(FieldRule.Violation) -> Value) throws -> Value {
        let container = try singleValueContainer()
        let text = try container.decode(String.self)
        do {
            return try rule(text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.reason)
        }
    }
}
