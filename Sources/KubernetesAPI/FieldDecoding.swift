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

    /// TCP when absent, as the API server has it.
    func transport(forKey key: Key) throws -> TransportProtocol {
        guard let text = try decodeIfPresent(String.self, forKey: key) else { return .tcp }
        guard let transport = TransportProtocol(text) else {
            throw invalid(key, "\"\(text)\" is not a protocol: expected TCP, UDP or SCTP")
        }
        return transport
    }

    /// A port number; absent is 0, which no port has.
    func port(forKey key: Key, allowingZero: Bool = true) throws -> UInt16 {
        let least = allowingZero ? 0 : 1
        let number = try wholeNumber(forKey: key) ?? 0
        guard let port = UInt16(exactly: number), port >= least else {
            throw invalid(key, "\(number) is not a port number from \(least) to 65535")
        }
        return port
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
        guard let text = try decodeIfPresent(String.self, forKey: key), !text.isEmpty else { return nil }
        guard let word = Word(rawValue: text) else {
            let known = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw invalid(key, "\"\(text)\" is not one of \(known)")
        }
        return word
    }

    func invalid(_ key: Key, _ reason: String) -> DecodingError {
        .dataCorruptedError(forKey: key, in: self, debugDescription: reason)
    }
}

/// An IP address of the API, which still holds the forms that old servers let in: leading zeros in IPv4 octets are
/// read as decimal (1.3).
struct APIAddress: Decodable {
    let address: IPAddress

    init?(_ text: String) {
        guard let address = IPAddress(text) ?? Self.withoutLeadingZeros(text) else { return nil }
        self.address = address
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = APIAddress(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is not an IP address")
        }
        self = value
    }

    private static func withoutLeadingZeros(_ text: String) -> IPAddress? {
        let octets = text.split(separator: ".", omittingEmptySubsequences: false)
        guard octets.count == 4 else { return nil }
        let trimmed = octets.map { octet in
            let significant = octet.drop { $0 == "0" }
            return significant.isEmpty && !octet.isEmpty ? "0" : significant
        }
        return IPAddress(trimmed.joined(separator: "."))
    }
}
