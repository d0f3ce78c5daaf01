import CNetfilter

/// Elements as netlink attributes. libnftnl has an object per element; at a hundred thousand elements that is what
/// costs, so these are written and read with libmnl alone.
enum ElementCoding {
    /// More than any element takes: two keys and data of 64 bytes, 255 bytes of user data, a chain name, numbers.
    static let maximumLength = 1024
    /// libmnl's NLA_F_NESTED (a macro that Swift does not import in this width).
    private static let nested: UInt16 = 1 << 15

    private static func type(_ attribute: nft_set_elem_attributes) -> UInt16 { UInt16(attribute.rawValue) }

    static func put(
        _ element: Element,
        keyLength: Int,
        dataLength: Int,
        keyOnly: Bool,
        into message: UnsafeMutablePointer<nlmsghdr>
    ) {
        let nest = mnl_attr_nest_start(message, UInt16(NFTA_LIST_ELEM.rawValue))
        if element.isIntervalEnd {
            mnl_attr_put_u32(message, type(NFTA_SET_ELEM_FLAGS), NFT_SET_ELEM_INTERVAL_END.rawValue.bigEndian)
        }
        putValue(element.key, length: keyLength, type(NFTA_SET_ELEM_KEY), message)
        if let end = element.end { putValue(end, length: keyLength, type(NFTA_SET_ELEM_KEY_END), message) }
        if !keyOnly {
            switch element.value {
            case .none: break
            case .data(let data): putValue(data, length: dataLength, type(NFTA_SET_ELEM_DATA), message)
            case .verdict(let verdict):
                let data = mnl_attr_nest_start(message, type(NFTA_SET_ELEM_DATA))
                let nested = mnl_attr_nest_start(message, UInt16(NFTA_DATA_VERDICT.rawValue))
                mnl_attr_put_u32(
                    message,
                    UInt16(NFTA_VERDICT_CODE.rawValue),
                    UInt32(bitPattern: verdict.code).bigEndian
                )
                if let chain = verdict.chain { mnl_attr_put_strz(message, UInt16(NFTA_VERDICT_CHAIN.rawValue), chain) }
                mnl_attr_nest_end(message, nested)
                mnl_attr_nest_end(message, data)
            }
            if let timeout = element.timeout {
                mnl_attr_put_u64(message, type(NFTA_SET_ELEM_TIMEOUT), timeout.bigEndian)
            }
            if let comment = element.comment {
                var userData = UserData()
                userData.putComment(UInt8(NFTNL_UDATA_SET_ELEM_COMMENT.rawValue), comment)
                userData.bytes.withUnsafeBytes {
                    mnl_attr_put(message, type(NFTA_SET_ELEM_USERDATA), $0.count, $0.baseAddress)
                }
            }
        }
        mnl_attr_nest_end(message, nest)
    }

    private static func putValue(
        _ value: Concatenation,
        length: Int,
        _ attribute: UInt16,
        _ message: UnsafeMutablePointer<nlmsghdr>
    ) {
        let nest = mnl_attr_nest_start(message, attribute)
        value.withBytes(length: length) {
            mnl_attr_put(message, UInt16(NFTA_DATA_VALUE.rawValue), $0.count, $0.baseAddress)
        }
        mnl_attr_nest_end(message, nest)
    }

    /// Reads one element from the attributes of its nest; `nil` when they make no sense.
    static func read(_ attributes: AttributeSequence) -> Element? {
        var key: Concatenation?
        var element = Element(Concatenation())
        for attribute in attributes {
            switch UInt32(attribute.type) {
            case NFTA_SET_ELEM_KEY.rawValue: key = readValue(attribute)
            case NFTA_SET_ELEM_KEY_END.rawValue: element.end = readValue(attribute)
            case NFTA_SET_ELEM_DATA.rawValue:
                for data in attribute.nested {
                    switch UInt32(data.type) {
                    case NFTA_DATA_VALUE.rawValue:
                        guard let value = Concatenation(bytes: data.payload) else { return nil }
                        element.value = .data(value)
                    case NFTA_DATA_VERDICT.rawValue:
                        guard let verdict = readVerdict(data) else { return nil }
                        element.value = .verdict(verdict)
                    default: break
                    }
                }
            case NFTA_SET_ELEM_FLAGS.rawValue:
                element.isIntervalEnd = (attribute.integer ?? 0) & NFT_SET_ELEM_INTERVAL_END.rawValue != 0
            case NFTA_SET_ELEM_TIMEOUT.rawValue: element.timeout = attribute.long
            case NFTA_SET_ELEM_EXPIRATION.rawValue: element.expiration = attribute.long
            case NFTA_SET_ELEM_USERDATA.rawValue:
                element.comment = UserData.comment(
                    UInt8(NFTNL_UDATA_SET_ELEM_COMMENT.rawValue),
                    in: attribute.payload
                )
            case NFTA_SET_ELEM_EXPR.rawValue: element.packets = readPackets(attribute)
            default: break
            }
        }
        guard let key else { return nil }
        element.key = key
        return element
    }

    /// Of an expression that is a counter.
    private static func readPackets(_ expression: Attribute) -> UInt64? {
        var isCounter = false
        var packets: UInt64?
        for part in expression.nested {
            switch UInt32(part.type) {
            case NFTA_EXPR_NAME.rawValue: isCounter = part.string == "counter"
            case NFTA_EXPR_DATA.rawValue:
                for data in part.nested where UInt32(data.type) == NFTA_COUNTER_PACKETS.rawValue { packets = data.long }
            default: break
            }
        }
        return isCounter ? packets : nil
    }

    private static func readValue(_ attribute: Attribute) -> Concatenation? {
        for data in attribute.nested where UInt32(data.type) == NFTA_DATA_VALUE.rawValue {
            return Concatenation(bytes: data.payload)
        }
        return nil
    }

    private static func readVerdict(_ attribute: Attribute) -> Verdict? {
        var code: Int32?
        var chain: String?
        for part in attribute.nested {
            switch UInt32(part.type) {
            case NFTA_VERDICT_CODE.rawValue: code = part.integer.map { Int32(bitPattern: $0) }
            case NFTA_VERDICT_CHAIN.rawValue: chain = part.string
            default: break
            }
        }
        return code.flatMap { Verdict(code: $0, chain: chain) }
    }
}
