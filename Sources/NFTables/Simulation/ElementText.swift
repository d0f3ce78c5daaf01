import NetworkTypes

// Elements as `nft list` prints them, for the data types that this module uses.

extension SetLayout {
    /// The fields of a number that has six bits for each data type.
    private static func fields(_ type: UInt32) -> [Field] {
        var fields: [Field] = []
        var rest = type
        while rest != 0 {
            fields.insert(Self.field(ofType: rest & 0x3f), at: 0)
            rest >>= 6
        }
        return fields
    }

    /// A field with a data type of `nft`; what it is of does not show in an element.
    private static func field(ofType type: UInt32) -> Field {
        switch type {
        case 7: .sourceIPv4
        case 8: .sourceIPv6
        case 12: .transport
        case 13: .destinationPort
        case 41: .inputInterface
        case 19: .mark
        case 23: .priority
        // An integer, as `numgen` makes it.
        default: .random(modulus: 1)
        }
    }

    func text(ofKey key: Concatenation) -> String { key.text(as: Self.fields(keyType)) }

    /// `10.96.0.10 . tcp . 80 comment "default/web:http" : goto pick-3`
    func text(of element: Element) -> String {
        let fields = Self.fields(keyType)
        var text = element.end.map { Self.range(element.key, $0, fields) } ?? element.key.text(as: fields)
        if let comment = element.comment { text += " comment \"\(comment)\"" }
        switch element.value {
        case .none: break
        case .verdict(let verdict): text += " : \(verdict)"
        case .data(let data): text += " : " + data.text(as: Self.fields(dataType ?? 0))
        }
        return text
    }

    /// A range field by field: prefixes for addresses, `a-b` for what is no prefix.
    private static func range(_ first: Concatenation, _ last: Concatenation, _ fields: [Field]) -> String {
        let parts = zip(
            first.text(as: fields).split(separator: " . "),
            last.text(as: fields).split(separator: " . ")
        )
        return parts.map { first, last in
            guard first != last else { return String(first) }
            guard let lowest = IPAddress(String(first)), let highest = IPAddress(String(last)),
                let prefix = CIDR(lowest, through: highest)
            else { return "\(first)-\(last)" }
            return "\(prefix)"
        }.joined(separator: " . ")
    }
}

extension CIDR {
    /// The prefix that has exactly these addresses; `nil` when there is none.
    fileprivate init?(_ first: IPAddress, through last: IPAddress) {
        for length in 0...first.family.addressBits {
            guard let prefix = CIDR(first, prefixLength: length) else { continue }
            if prefix.masked.address == first, prefix.lastAddress == last {
                self = prefix
                return
            }
        }
        return nil
    }
}
