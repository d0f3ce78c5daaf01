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
    /// Whether each element counts the packets that found it.
    public let countsPackets: Bool
    public let comment: String?

    public init(
        _ name: String,
        key: [Field],
        content: Content = .none,
        isInterval: Bool = false,
        isDynamic: Bool = false,
        timeout: UInt64? = nil,
        size: UInt32? = nil,
        countsPackets: Bool = false,
        comment: String? = nil
    ) {
        self.name = name
        self.key = key
        self.content = content
        self.isInterval = isInterval
        self.isDynamic = isDynamic
        self.timeout = timeout
        self.size = size
        self.countsPackets = countsPackets
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
            countsPackets: countsPackets,
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
