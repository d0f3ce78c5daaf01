/// A value of this module whose coded form, in JSON and YAML, is its text.
public protocol NetworkValue: Codable, LosslessStringConvertible {
    /// What the value is called in an error message, with its article, as `an IPv4 address`.
    static var noun: String { get }
}

extension NetworkValue {
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// Throws `DecodingError.dataCorrupted` with the text when it does not parse.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Self(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is not \(Self.noun)")
        }
        self = value
    }
}

extension IPv4Address: NetworkValue {
    public static var noun: String { "an IPv4 address" }
}

extension IPv6Address: NetworkValue {
    public static var noun: String { "an IPv6 address" }
}

extension IPAddress: NetworkValue {
    public static var noun: String { "an IP address" }
}

extension CIDR: NetworkValue {
    public static var noun: String { "a CIDR" }
}

extension MACAddress: NetworkValue {
    public static var noun: String { "a MAC address" }
}
