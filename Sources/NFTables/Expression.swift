import CNetfilter

/// One step of a rule: loads a register, compares, looks up, translates, decides.
///
/// Held as the kernel's own attributes, so that a rule that was read back compares with one that was built.
public struct Expression: Hashable, Sendable {
    enum Value: Hashable, Sendable {
        case byte(UInt8)
        case integer(UInt32)
        case long(UInt64)
        case bytes([UInt8])
        case string(String)
    }

    /// The kernel's name, as `payload`.
    public let name: String
    /// By number of the attribute (NFTNL_EXPR_*).
    let attributes: [UInt16: Value]

    init(_ name: String, _ attributes: [Int: Value]) {
        self.name = name
        self.attributes = Dictionary(uniqueKeysWithValues: attributes.map { (UInt16($0), $1) })
    }

    /// The set that the expression looks into or adds to.
    public var setName: String? {
        switch name {
        case "lookup": string(NFTNL_EXPR_LOOKUP_SET)
        case "dynset": string(NFTNL_EXPR_DYNSET_SET_NAME)
        default: nil
        }
    }

    /// The verdict of an `immediate`.
    public var verdict: Verdict? {
        guard name == "immediate", case .integer(let code)? = attributes[UInt16(NFTNL_EXPR_IMM_VERDICT)] else {
            return nil
        }
        return Verdict(code: Int32(bitPattern: code), chain: string(NFTNL_EXPR_IMM_CHAIN))
    }

    private func string(_ attribute: Int) -> String? {
        guard case .string(let value)? = attributes[UInt16(attribute)] else { return nil }
        return value
    }
}

// MARK: To and from libnftnl

extension Expression {
    private enum Form {
        case byte
        case integer
        /// The kernel reports it even when nobody set it; zero means that it is absent.
        case integerUnlessZero
        case longUnlessZero
        case bytes
        case string
        /// Changes by itself (counters), so it is no part of the expression.
        case volatile
    }

    /// The attributes of each expression that this module reads and writes.
    private static func forms(of name: String) -> [(Int, Form)] {
        switch name {
        case "payload":
            [
                (NFTNL_EXPR_PAYLOAD_DREG, .integer), (NFTNL_EXPR_PAYLOAD_BASE, .integer),
                (NFTNL_EXPR_PAYLOAD_OFFSET, .integer), (NFTNL_EXPR_PAYLOAD_LEN, .integer),
            ]
        case "meta":
            [(NFTNL_EXPR_META_KEY, .integer), (NFTNL_EXPR_META_DREG, .integer), (NFTNL_EXPR_META_SREG, .integer)]
        case "ct":
            [
                (NFTNL_EXPR_CT_KEY, .integer), (NFTNL_EXPR_CT_DREG, .integer), (NFTNL_EXPR_CT_SREG, .integer),
                (NFTNL_EXPR_CT_DIR, .byte),
            ]
        case "fib":
            [
                (NFTNL_EXPR_FIB_DREG, .integer), (NFTNL_EXPR_FIB_RESULT, .integer), (NFTNL_EXPR_FIB_FLAGS, .integer),
            ]
        case "numgen":
            [
                (NFTNL_EXPR_NG_DREG, .integer), (NFTNL_EXPR_NG_MODULUS, .integer), (NFTNL_EXPR_NG_TYPE, .integer),
                (NFTNL_EXPR_NG_OFFSET, .integerUnlessZero),
            ]
        case "lookup":
            [
                (NFTNL_EXPR_LOOKUP_SREG, .integer), (NFTNL_EXPR_LOOKUP_DREG, .integer),
                (NFTNL_EXPR_LOOKUP_SET, .string), (NFTNL_EXPR_LOOKUP_FLAGS, .integerUnlessZero),
            ]
        case "immediate":
            [
                (NFTNL_EXPR_IMM_DREG, .integer), (NFTNL_EXPR_IMM_DATA, .bytes), (NFTNL_EXPR_IMM_VERDICT, .integer),
                (NFTNL_EXPR_IMM_CHAIN, .string),
            ]
        case "cmp":
            [(NFTNL_EXPR_CMP_SREG, .integer), (NFTNL_EXPR_CMP_OP, .integer), (NFTNL_EXPR_CMP_DATA, .bytes)]
        case "bitwise":
            [
                (NFTNL_EXPR_BITWISE_SREG, .integer), (NFTNL_EXPR_BITWISE_DREG, .integer),
                (NFTNL_EXPR_BITWISE_LEN, .integer), (NFTNL_EXPR_BITWISE_MASK, .bytes),
                (NFTNL_EXPR_BITWISE_XOR, .bytes), (NFTNL_EXPR_BITWISE_OP, .integerUnlessZero),
            ]
        case "nat":
            [
                (NFTNL_EXPR_NAT_TYPE, .integer), (NFTNL_EXPR_NAT_FAMILY, .integer),
                (NFTNL_EXPR_NAT_REG_ADDR_MIN, .integer), (NFTNL_EXPR_NAT_REG_ADDR_MAX, .integer),
                (NFTNL_EXPR_NAT_REG_PROTO_MIN, .integer), (NFTNL_EXPR_NAT_REG_PROTO_MAX, .integer),
                (NFTNL_EXPR_NAT_FLAGS, .integerUnlessZero),
            ]
        case "masq":
            [(NFTNL_EXPR_MASQ_FLAGS, .integerUnlessZero)]
        case "reject":
            [(NFTNL_EXPR_REJECT_TYPE, .integer), (NFTNL_EXPR_REJECT_CODE, .byte)]
        case "dynset":
            [
                (NFTNL_EXPR_DYNSET_SREG_KEY, .integer), (NFTNL_EXPR_DYNSET_SREG_DATA, .integer),
                (NFTNL_EXPR_DYNSET_OP, .integer), (NFTNL_EXPR_DYNSET_TIMEOUT, .longUnlessZero),
                (NFTNL_EXPR_DYNSET_SET_NAME, .string),
            ]
        case "counter":
            [(NFTNL_EXPR_CTR_PACKETS, .volatile), (NFTNL_EXPR_CTR_BYTES, .volatile)]
        default: []
        }
    }

    /// A libnftnl expression with these attributes; `nil` when libnftnl does not know the name or memory ends.
    func makeExpression() -> OpaquePointer? {
        guard let expression = nftnl_expr_alloc(name) else { return nil }
        for (attribute, value) in attributes {
            switch value {
            case .byte(let byte): nftnl_expr_set_u8(expression, attribute, byte)
            case .integer(let integer): nftnl_expr_set_u32(expression, attribute, integer)
            case .long(let long): nftnl_expr_set_u64(expression, attribute, long)
            case .bytes(let bytes):
                _ = bytes.withUnsafeBytes {
                    nftnl_expr_set(expression, attribute, $0.baseAddress, UInt32($0.count))
                }
            case .string(let string): _ = nftnl_expr_set_str(expression, attribute, string)
            }
        }
        return expression
    }

    /// Reads an expression of a rule that libnftnl parsed.
    init(reading expression: OpaquePointer) {
        let name = nftnl_expr_get_str(expression, UInt16(NFTNL_EXPR_NAME)).map { String(cString: $0) } ?? ""
        var attributes: [UInt16: Value] = [:]
        for (attribute, form) in Self.forms(of: name) {
            let attribute = UInt16(attribute)
            guard nftnl_expr_is_set(expression, attribute) else { continue }
            switch form {
            case .byte: attributes[attribute] = .byte(nftnl_expr_get_u8(expression, attribute))
            case .integer: attributes[attribute] = .integer(nftnl_expr_get_u32(expression, attribute))
            case .integerUnlessZero:
                let value = nftnl_expr_get_u32(expression, attribute)
                if value != 0 { attributes[attribute] = .integer(value) }
            case .longUnlessZero:
                let value = nftnl_expr_get_u64(expression, attribute)
                if value != 0 { attributes[attribute] = .long(value) }
            case .bytes:
                var length: UInt32 = 0
                if let data = nftnl_expr_get(expression, attribute, &length) {
                    attributes[attribute] = .bytes(Array(UnsafeRawBufferPointer(start: data, count: Int(length))))
                }
            case .string:
                if let text = nftnl_expr_get_str(expression, attribute) {
                    attributes[attribute] = .string(String(cString: text))
                }
            case .volatile: break
            }
        }
        self.name = name
        self.attributes = attributes
    }
}
