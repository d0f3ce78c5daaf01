import CNetfilter

/// A named set, map or verdict map.
public struct NamedSet: Hashable, Sendable {
    /// What an element carries besides its key.
    public enum Content: Hashable, Sendable {
        /// Nothing: a set.
        case none
        /// A verdict: a verdict map.
        case verdict
        /// Values: a map.
        case fields([Field])
    }

    public let name: String
    public let key: [Field]
    public let content: Content
    /// Whether elements are ranges; with several fields, every field is a range.
    public let isInterval: Bool
    /// Whether rules add elements (`flags dynamic`).
    public let isDynamic: Bool
    /// How long an element lives when it says nothing itself, in milliseconds.
    public let timeout: UInt64?
    /// How many elements fit, or `nil` for any number; the kernel limits sets that rules add to at 65535 by itself.
    public let size: UInt32?
    public let comment: String?

    public init(
        _ name: String,
        key: [Field],
        content: Content = .none,
        isInterval: Bool = false,
        isDynamic: Bool = false,
        timeout: UInt64? = nil,
        size: UInt32? = nil,
        comment: String? = nil
    ) {
        self.name = name
        self.key = key
        self.content = content
        self.isInterval = isInterval
        self.isDynamic = isDynamic
        self.timeout = timeout
        self.size = size
        self.comment = comment
    }

    /// What the kernel stores about this set.
    public var layout: SetLayout {
        var flags: UInt32 = 0
        if isInterval { flags |= NFT_SET_INTERVAL.rawValue }
        if isInterval, key.count > 1 { flags |= NFT_SET_CONCAT.rawValue }
        if isDynamic { flags |= NFT_SET_EVAL.rawValue }
        if timeout != nil { flags |= NFT_SET_TIMEOUT.rawValue }
        if content != .none { flags |= NFT_SET_MAP.rawValue }

        var userData = UserData()
        userData.put(UInt8(NFTNL_UDATA_SET_KEYBYTEORDER.rawValue), key.byteOrder.rawValue)
        var dataType: UInt32?
        var dataLength: UInt32?
        switch content {
        case .none:
            userData.put(UInt8(NFTNL_UDATA_SET_KEY_TYPEOF.rawValue), key.expression.bytes)
        case .verdict:
            // NFT_DATA_VERDICT; `nft` calls the expression EXPR_VERDICT (1).
            dataType = 0xffff_ff00
            dataLength = 16
            var expression = UserData()
            expression.put(0, 1 as UInt32)
            expression.put(1, [])
            putMap(&userData, order: .none, expression)
        case .fields(let fields):
            dataType = fields.concatenatedType
            dataLength = UInt32(fields.keyLength)
            putMap(&userData, order: fields.byteOrder, fields.expression)
        }
        userData.putComment(UInt8(NFTNL_UDATA_SET_COMMENT.rawValue), comment)
        return SetLayout(
            name: name,
            flags: flags,
            keyType: key.concatenatedType,
            keyLength: UInt32(key.keyLength),
            dataType: dataType,
            dataLength: dataLength,
            timeout: timeout,
            size: size,
            fieldLengths: isInterval && key.count > 1 ? key.map { UInt8($0.length) } : [],
            userData: userData.bytes
        )
    }

    private func putMap(_ userData: inout UserData, order: Field.ByteOrder, _ data: UserData) {
        userData.put(UInt8(NFTNL_UDATA_SET_DATABYTEORDER.rawValue), order.rawValue)
        userData.put(UInt8(NFTNL_UDATA_SET_KEY_TYPEOF.rawValue), key.expression.bytes)
        userData.put(UInt8(NFTNL_UDATA_SET_DATA_TYPEOF.rawValue), data.bytes)
        userData.put(UInt8(NFTNL_UDATA_SET_DATA_INTERVAL.rawValue), 0 as UInt32)
    }
}

/// A set as the kernel describes it: enough to tell whether it is the one we would make.
public struct SetLayout: Hashable, Sendable {
    public let name: String
    /// NFT_SET_*
    public let flags: UInt32
    public let keyType: UInt32
    public let keyLength: UInt32
    public let dataType: UInt32?
    public let dataLength: UInt32?
    /// In milliseconds.
    public let timeout: UInt64?
    public let size: UInt32?
    /// The lengths of the fields of a concatenation of ranges.
    public let fieldLengths: [UInt8]
    /// What `nft` reads to print the set: byte order, `typeof`, comment.
    public let userData: [UInt8]

    public var isMap: Bool { flags & NFT_SET_MAP.rawValue != 0 }
    /// Whether the set belongs to one rule (`{ tcp, udp }`) and has no name of its own.
    public var isAnonymous: Bool { flags & NFT_SET_ANONYMOUS.rawValue != 0 }
    var isInterval: Bool { flags & NFT_SET_INTERVAL.rawValue != 0 }
    var isConcatenatedInterval: Bool { flags & NFT_SET_CONCAT.rawValue != 0 }
    var isVerdictMap: Bool { dataType == 0xffff_ff00 }
}

/// An element of a set or map.
public struct Element: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        case none
        case verdict(Verdict)
        case data(Concatenation)
    }

    public var key: Concatenation
    /// The last value of a range, inclusive, field by field.
    public var end: Concatenation?
    public var value: Value
    public var comment: String?
    /// In milliseconds.
    public var timeout: UInt64?
    /// How long the element still lives, in milliseconds; only in elements read from the kernel.
    public var expiration: UInt64?
    /// A range of a set with one field is two elements to the kernel; this is the one behind its end, which is exclusive.
    public var isIntervalEnd = false

    public init(
        _ key: Concatenation,
        through end: Concatenation? = nil,
        _ value: Value = .none,
        comment: String? = nil,
        timeout: UInt64? = nil
    ) {
        self.key = key
        self.end = end
        self.value = value
        self.comment = comment
        self.timeout = timeout
    }
}

extension Element {
    /// A comment as it will be read back: one of more than 127 bytes is cut, where the kernel's tools would refuse it.
    public static func fitting(_ comment: String) -> String { UserData.cut(comment) }
}
