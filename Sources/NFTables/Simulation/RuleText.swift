import CNetfilter
import NetworkTypes

// Rules as `nft list` prints them, for the expressions that this module makes.

extension Ruleset {
    func text(of rule: Rule) -> String {
        var text = RuleText(family: table.family, layout: { layout(of: $0) })
        for expression in rule.expressions { text.add(expression) }
        return text.statements.joined(separator: " ")
    }
}

/// Puts the text of a rule together, expression by expression: remembers what was loaded into each register, in words. As
/// `nft` does, it does not forget what was loaded into the later words of a wide register, and follows only the first
/// word of what a map returns.
private struct RuleText {
    let family: Family
    let layout: (String) -> SetLayout?
    private(set) var statements: [String] = []
    /// By the byte at which it begins, with its length.
    private var held: [Int: (text: String, length: Int)] = [:]
    /// What a bitwise expression has done to a register.
    private var masks: [Int: (and: UInt32, or: UInt32)] = [:]

    init(family: Family, layout: @escaping (String) -> SetLayout?) {
        self.family = family
        self.layout = layout
    }

    mutating func add(_ expression: Expression) {
        switch expression.name {
        case "payload":
            let length = Int(expression.integer(NFTNL_EXPR_PAYLOAD_LEN) ?? 4)
            load(field(expression), expression.offset(NFTNL_EXPR_PAYLOAD_DREG), length)
        case "meta": meta(expression)
        case "ct":
            let key = expression.integer(NFTNL_EXPR_CT_KEY) == NFT_CT_STATE.rawValue ? "ct state" : "ct status"
            load(key, expression.offset(NFTNL_EXPR_CT_DREG))
        case "fib":
            let isSource = expression.integer(NFTNL_EXPR_FIB_FLAGS) == Expression.FIBSelector.source.rawValue
            load("fib \(isSource ? "saddr" : "daddr") type", expression.offset(NFTNL_EXPR_FIB_DREG))
        case "numgen":
            let modulus = expression.integer(NFTNL_EXPR_NG_MODULUS) ?? 0
            load("numgen random mod \(modulus)", expression.offset(NFTNL_EXPR_NG_DREG))
        case "bitwise":
            guard let start = expression.offset(NFTNL_EXPR_BITWISE_SREG),
                let mask = expression.bytes(NFTNL_EXPR_BITWISE_MASK)?.hostNumber,
                let xor = expression.bytes(NFTNL_EXPR_BITWISE_XOR)?.hostNumber
            else { return unknown(expression) }
            masks[start] = (mask, xor)
        case "cmp": compare(expression)
        case "lookup": lookUp(expression)
        case "immediate":
            if let verdict = expression.verdict {
                statements.append(verdict.description)
            } else if let number = expression.bytes(NFTNL_EXPR_IMM_DATA)?.hostNumber {
                // The only constant that is loaded is one of `meta priority`.
                load(Concatenation.classID(number), expression.offset(NFTNL_EXPR_IMM_DREG))
            } else {
                unknown(expression)
            }
        case "nat":
            let address = expression.offset(NFTNL_EXPR_NAT_REG_ADDR_MIN).flatMap { held[$0]?.text } ?? "?"
            let port = expression.offset(NFTNL_EXPR_NAT_REG_PROTO_MIN).flatMap { held[$0]?.text } ?? "?"
            statements.append(
                address.contains(" map @") ? "dnat \(family) to \(address)" : "dnat to \(address):\(port)"
            )
        case "masq":
            let isRandom = (expression.integer(NFTNL_EXPR_MASQ_FLAGS) ?? 0) & 1 << 4 != 0
            statements.append(isRandom ? "masquerade fully-random" : "masquerade")
        case "reject":
            let isReset = expression.integer(NFTNL_EXPR_REJECT_TYPE) == NFT_REJECT_TCP_RST.rawValue
            // It says by itself what protocol it is for.
            if isReset, statements.last == "meta l4proto tcp" { statements.removeLast() }
            statements.append(isReset ? "reject with tcp reset" : "reject")
        case "dynset": change(expression)
        case "counter": statements.append("counter")
        default: unknown(expression)
        }
    }

    private mutating func unknown(_ expression: Expression) { statements.append("[\(expression.name)]") }

    private mutating func load(_ text: String, _ start: Int?, _ length: Int = 4) {
        guard let start else { return }
        held[start] = (text, length)
        masks[start] = nil
    }

    private func field(_ expression: Expression) -> String {
        let header = expression.integer(NFTNL_EXPR_PAYLOAD_BASE).flatMap(Expression.Header.init)
        let offset = expression.integer(NFTNL_EXPR_PAYLOAD_OFFSET) ?? 0
        let protocolName = family == .ip6 ? "ip6" : "ip"
        switch (header, offset) {
        case (.network, family == .ip6 ? 8 : 12): return "\(protocolName) saddr"
        case (.network, family == .ip6 ? 24 : 16): return "\(protocolName) daddr"
        case (.transport, 0): return "th sport"
        case (.transport, 2): return "th dport"
        default:
            let length = (expression.integer(NFTNL_EXPR_PAYLOAD_LEN) ?? 0) * 8
            return "@\(header == .transport ? "th" : "nh"),\(offset * 8),\(length)"
        }
    }

    private mutating func meta(_ expression: Expression) {
        let name: String
        switch expression.integer(NFTNL_EXPR_META_KEY) {
        case NFT_META_MARK.rawValue: name = "meta mark"
        case NFT_META_PRIORITY.rawValue: name = "meta priority"
        case NFT_META_L4PROTO.rawValue: name = "meta l4proto"
        case NFT_META_IIFNAME.rawValue: name = "iifname"
        default: return unknown(expression)
        }
        guard let source = expression.offset(NFTNL_EXPR_META_SREG) else {
            return load(name, expression.offset(NFTNL_EXPR_META_DREG))
        }
        var value = held[source]?.text ?? "?"
        if let mask = masks[source] {
            value += mask.or != 0 ? " | \(mask.or.eightDigits)" : " & \(mask.and.eightDigits)"
        }
        statements.append("\(name) set \(value)")
    }

    private mutating func compare(_ expression: Expression) {
        guard let start = expression.offset(NFTNL_EXPR_CMP_SREG), let value = expression.bytes(NFTNL_EXPR_CMP_DATA)
        else { return unknown(expression) }
        let isEqual = expression.integer(NFTNL_EXPR_CMP_OP) == NFT_CMP_EQ.rawValue
        let name = held[start]?.text ?? "?"
        let sign = isEqual ? "" : "!= "
        if let mask = masks[start] {
            switch name {
            case "ct state" where mask.and == 8 && !isEqual: statements.append("ct state new")
            case "ct status" where mask.and == 0x20 && !isEqual: statements.append("ct status dnat")
            default:
                let number = value.hostNumber?.eightDigits ?? "?"
                statements.append("\(name) & \(mask.and.eightDigits) \(isEqual ? "==" : "!=") \(number)")
            }
            return
        }
        switch name {
        case "meta l4proto":
            let text = value.first.flatMap(TransportProtocol.init(rawValue:))?.description.lowercased()
            statements.append("\(name) \(sign)\(text ?? "?")")
        case "ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr":
            statements.append("\(name) \(sign)\(Self.prefix(value, of: family))")
        case "iifname":
            let text = String(decoding: value.prefix { $0 != 0 }, as: UTF8.self)
            statements.append("\(name) \(sign)\"\(text)\(value.count < 16 ? "*" : "")\"")
        case "fib saddr type", "fib daddr type":
            let isLocal = value.hostNumber == 2
            statements.append("\(name) \(sign)\(isLocal ? "local" : "\(value.hostNumber ?? 0)")")
        default: statements.append("\(name) \(sign)\(value.hostNumber.map { $0.eightDigits } ?? "?")")
        }
    }

    /// The beginning of an address as a prefix, a whole one as an address.
    private static func prefix(_ bytes: [UInt8], of family: Family) -> String {
        let length = family == .ip6 ? 16 : 4
        let whole = bytes + [UInt8](repeating: 0, count: max(0, length - bytes.count))
        let address = IPAddress(bytes: whole.prefix(length)).map { "\($0)" } ?? "?"
        return bytes.count < length ? "\(address)/\(bytes.count * 8)" : address
    }

    /// What was loaded from a byte on, as far as a key or data of this length goes.
    private func fields(from start: Int, length: Int) -> String {
        var texts: [String] = []
        var place = start
        while place < start + length {
            texts.append(held[place]?.text ?? "?")
            place += ((held[place]?.length ?? 4) + 3) & ~3
        }
        return texts.joined(separator: " . ")
    }

    private mutating func lookUp(_ expression: Expression) {
        guard let start = expression.offset(NFTNL_EXPR_LOOKUP_SREG), let set = expression.setName else {
            return unknown(expression)
        }
        let key = fields(from: start, length: layout(set).map { Int($0.keyLength) } ?? 4)
        if let target = expression.offset(NFTNL_EXPR_LOOKUP_DREG) { return load("\(key) map @\(set)", target) }
        let isVerdictMap = expression.integer(NFTNL_EXPR_LOOKUP_DREG) == NFT_REG_VERDICT.rawValue
        let isInverted = (expression.integer(NFTNL_EXPR_LOOKUP_FLAGS) ?? 0) & NFT_LOOKUP_F_INV.rawValue != 0
        statements.append("\(key) \(isVerdictMap ? "vmap " : isInverted ? "!= " : "")@\(set)")
    }

    private mutating func change(_ expression: Expression) {
        guard let start = expression.offset(NFTNL_EXPR_DYNSET_SREG_KEY), let set = expression.setName else {
            return unknown(expression)
        }
        let verb =
            switch expression.integer(NFTNL_EXPR_DYNSET_OP) {
            case NFT_DYNSET_OP_UPDATE.rawValue: "update"
            case NFT_DYNSET_OP_DELETE.rawValue: "delete"
            default: "add"
            }
        let key = fields(from: start, length: layout(set).map { Int($0.keyLength) } ?? 4)
        let timeout = expression.long(NFTNL_EXPR_DYNSET_TIMEOUT).map { " timeout \(Self.duration($0 / 1000))" } ?? ""
        var value = ""
        if let data = expression.offset(NFTNL_EXPR_DYNSET_SREG_DATA) {
            value = " : " + fields(from: data, length: layout(set)?.dataLength.map { Int($0) } ?? 4)
        }
        statements.append("\(verb) @\(set) { \(key)\(timeout)\(value) }")
    }

    /// `1d2h3m4s`, without what is zero.
    private static func duration(_ seconds: UInt64) -> String {
        let parts = [(seconds / 86400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")]
        return parts.filter { $0.0 > 0 }.map { "\($0)\($1)" }.joined()
    }
}

extension [UInt8] {
    fileprivate var hostNumber: UInt32? {
        count == 4 ? withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) } : nil
    }
}

extension UInt32 {
    /// `0x00004000`
    fileprivate var eightDigits: String {
        let digits = String(self, radix: 16)
        return "0x" + String(repeating: "0", count: Swift.max(0, 8 - digits.count)) + digits
    }
}
