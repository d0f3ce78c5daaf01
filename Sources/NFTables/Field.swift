import CNetfilter

/// One part of a set's key or of a map's data: how long it is, and the expression it stands for.
///
/// `nft` prints a set by the expressions (`typeof`) or, where there is none, by the types of its fields. Both are
/// numbers of `nft` (its `datatypes`, `expr_types` and `proto_desc_id`), which it keeps stable.
public struct Field: Hashable, Sendable {
    /// The number of the data type; concatenations combine them in six bits each.
    let type: UInt32
    /// In bytes, before padding to four.
    public let length: Int
    let byteOrder: ByteOrder
    /// The expression as user data: its kind (type 0) and what belongs to it (type 1).
    let expression: UserData
    let format: Format

    enum ByteOrder: UInt32, Hashable, Sendable {
        case none = 0
        case host = 1
        case network = 2
    }

    /// How the field reads in error messages.
    enum Format: Hashable, Sendable {
        case address
        case transport
        case number
        case hostNumber
        case classID
        case name
    }

    private init(
        type: UInt32,
        length: Int,
        byteOrder: ByteOrder,
        format: Format,
        kind: UInt32,
        _ values: [UInt32]
    ) {
        self.type = type
        self.length = length
        self.byteOrder = byteOrder
        self.format = format
        var details = UserData()
        for (index, value) in values.enumerated() { details.put(UInt8(index), value) }
        var expression = UserData()
        expression.put(0, kind)
        expression.put(1, details.bytes)
        self.expression = expression
    }

    /// EXPR_PAYLOAD of a header field: the protocol's number, then the field's place in the protocol's template.
    private static func payload(_ type: UInt32, _ length: Int, _ format: Format, _ values: [UInt32]) -> Field {
        Field(type: type, length: length, byteOrder: .network, format: format, kind: 7, values)
    }

    /// EXPR_META with the key's number in the kernel.
    private static func meta(
        _ type: UInt32,
        _ length: Int,
        _ order: ByteOrder,
        _ format: Format,
        _ key: nft_meta_keys
    ) -> Field {
        Field(type: type, length: length, byteOrder: order, format: format, kind: 9, [key.rawValue])
    }

    /// `ip saddr`
    public static let sourceIPv4 = payload(7, 4, .address, [12, 11])
    /// `ip daddr`
    public static let destinationIPv4 = payload(7, 4, .address, [12, 12])
    /// `ip6 saddr`
    public static let sourceIPv6 = payload(8, 16, .address, [13, 8])
    /// `ip6 daddr`
    public static let destinationIPv6 = payload(8, 16, .address, [13, 9])
    /// `th sport`
    public static let sourcePort = payload(13, 2, .number, [11, 1])
    /// `th dport`
    public static let destinationPort = payload(13, 2, .number, [11, 2])
    /// `meta l4proto`
    public static let transport = meta(12, 1, .network, .transport, NFT_META_L4PROTO)
    /// `meta mark`
    public static let mark = meta(19, 4, .host, .hostNumber, NFT_META_MARK)
    /// `meta priority`: a number that `nft` prints as MAJOR:MINOR.
    public static let priority = meta(23, 4, .host, .classID, NFT_META_PRIORITY)
    /// `meta iifname`: sixteen bytes.
    public static let inputInterface = meta(41, 16, .host, .name, NFT_META_IIFNAME)

    /// `numgen random mod N`: a number below N in host byte order.
    public static func random(modulus: UInt32) -> Field {
        Field(
            type: 4,
            length: 4,
            byteOrder: .host,
            format: .hostNumber,
            kind: 23,
            [NFT_NG_RANDOM.rawValue, modulus, 0]
        )
    }

    /// The length with padding: what the field takes in a concatenation.
    var paddedLength: Int { (length + 3) & ~3 }
}

extension [Field] {
    /// The data type of the concatenation: six bits for each field.
    var concatenatedType: UInt32 { reduce(0) { $0 << 6 | $1.type } }

    /// The length of a key of these fields in bytes; fields of a concatenation are padded to four bytes.
    var keyLength: Int { count == 1 ? self[0].length : reduce(0) { $0 + $1.paddedLength } }

    var byteOrder: Field.ByteOrder { count == 1 ? self[0].byteOrder : .none }

    /// What `typeof` prints: the expression itself, or a concatenation (EXPR_CONCAT) of expressions by index.
    var expression: UserData {
        if count == 1 { return self[0].expression }
        var parts = UserData()
        for (index, field) in enumerated() { parts.put(UInt8(index), field.expression.bytes) }
        var concatenation = UserData()
        concatenation.put(0, 13 as UInt32)
        concatenation.put(1, parts.bytes)
        return concatenation
    }
}
