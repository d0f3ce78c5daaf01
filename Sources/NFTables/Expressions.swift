import CNetfilter
import Glibc

/// A register of a rule, counted in words of four bytes from 0 to 15; a longer value takes the following ones too.
public struct Register: Hashable, Sendable {
    public let word: UInt32

    public init(_ word: UInt32) {
        self.word = word
    }

    /// The kernel counts registers of sixteen bytes from NFT_REG_1 and those of four bytes from NFT_REG32_00, and
    /// reports the wide one where both name the same place.
    var number: UInt32 {
        word % 4 == 0 ? NFT_REG_1.rawValue + word / 4 : UInt32(NFT_REG32_00.rawValue) + word
    }
}

extension Expression {
    public enum Header: UInt32, Hashable, Sendable {
        /// NFT_PAYLOAD_NETWORK_HEADER
        case network = 1
        /// NFT_PAYLOAD_TRANSPORT_HEADER
        case transport = 2
    }

    /// Copies bytes of the packet.
    public static func payload(
        _ header: Header,
        offset: UInt32,
        length: UInt32,
        into register: Register
    ) -> Expression {
        Expression(
            "payload",
            [
                NFTNL_EXPR_PAYLOAD_DREG: .integer(register.number), NFTNL_EXPR_PAYLOAD_BASE: .integer(header.rawValue),
                NFTNL_EXPR_PAYLOAD_OFFSET: .integer(offset), NFTNL_EXPR_PAYLOAD_LEN: .integer(length),
            ]
        )
    }

    /// `ip saddr` or `ip6 saddr`
    public static func sourceAddress(_ family: Family, into register: Register) -> Expression {
        family == .ip6
            ? payload(.network, offset: 8, length: 16, into: register)
            : payload(.network, offset: 12, length: 4, into: register)
    }

    /// `ip daddr` or `ip6 daddr`
    public static func destinationAddress(_ family: Family, into register: Register) -> Expression {
        family == .ip6
            ? payload(.network, offset: 24, length: 16, into: register)
            : payload(.network, offset: 16, length: 4, into: register)
    }

    /// `th dport`
    public static func destinationPort(into register: Register) -> Expression {
        payload(.transport, offset: 2, length: 2, into: register)
    }

    public enum MetaKey: Hashable, Sendable {
        case mark
        /// Which queue of the outgoing interface a packet gets into.
        case priority
        case transport
        case inputInterface

        var key: UInt32 {
            switch self {
            case .mark: NFT_META_MARK.rawValue
            case .priority: NFT_META_PRIORITY.rawValue
            case .transport: NFT_META_L4PROTO.rawValue
            case .inputInterface: NFT_META_IIFNAME.rawValue
            }
        }
    }

    public static func meta(_ key: MetaKey, into register: Register) -> Expression {
        Expression(
            "meta",
            [NFTNL_EXPR_META_KEY: .integer(key.key), NFTNL_EXPR_META_DREG: .integer(register.number)]
        )
    }

    /// `meta KEY set …`
    public static func setMeta(_ key: MetaKey, from register: Register) -> Expression {
        Expression(
            "meta",
            [NFTNL_EXPR_META_KEY: .integer(key.key), NFTNL_EXPR_META_SREG: .integer(register.number)]
        )
    }

    public enum ConnectionKey: Hashable, Sendable {
        case state
        case status

        var key: UInt32 { self == .state ? NFT_CT_STATE.rawValue : NFT_CT_STATUS.rawValue }
    }

    public static func connection(_ key: ConnectionKey, into register: Register) -> Expression {
        Expression("ct", [NFTNL_EXPR_CT_KEY: .integer(key.key), NFTNL_EXPR_CT_DREG: .integer(register.number)])
    }

    public enum FIBSelector: UInt32, Hashable, Sendable {
        /// NFTA_FIB_F_SADDR
        case source = 1
        /// NFTA_FIB_F_DADDR
        case destination = 2
    }

    /// `fib saddr type` or `fib daddr type`: an RTN_* number.
    public static func addressType(_ selector: FIBSelector, into register: Register) -> Expression {
        Expression(
            "fib",
            [
                NFTNL_EXPR_FIB_DREG: .integer(register.number),
                NFTNL_EXPR_FIB_RESULT: .integer(NFT_FIB_RESULT_ADDRTYPE.rawValue),
                NFTNL_EXPR_FIB_FLAGS: .integer(selector.rawValue),
            ]
        )
    }

    /// `numgen random mod N`
    public static func random(modulus: UInt32, into register: Register) -> Expression {
        Expression(
            "numgen",
            [
                NFTNL_EXPR_NG_DREG: .integer(register.number), NFTNL_EXPR_NG_MODULUS: .integer(modulus),
                NFTNL_EXPR_NG_TYPE: .integer(NFT_NG_RANDOM.rawValue),
            ]
        )
    }

    /// Goes on only if the set has the key (or, inverted, only if it has not).
    public static func lookup(_ register: Register, in set: String, inverted: Bool = false) -> Expression {
        var attributes: [Int: Value] = [
            NFTNL_EXPR_LOOKUP_SREG: .integer(register.number), NFTNL_EXPR_LOOKUP_SET: .string(set),
        ]
        if inverted { attributes[NFTNL_EXPR_LOOKUP_FLAGS] = .integer(NFT_LOOKUP_F_INV.rawValue) }
        return Expression("lookup", attributes)
    }

    /// Loads what the map has for the key, or ends the rule.
    public static func lookup(_ register: Register, in map: String, into data: Register) -> Expression {
        Expression(
            "lookup",
            [
                NFTNL_EXPR_LOOKUP_SREG: .integer(register.number), NFTNL_EXPR_LOOKUP_DREG: .integer(data.number),
                NFTNL_EXPR_LOOKUP_SET: .string(map),
            ]
        )
    }

    /// Follows the verdict that the map has for the key, or ends the rule.
    public static func verdict(of register: Register, in map: String) -> Expression {
        Expression(
            "lookup",
            [
                NFTNL_EXPR_LOOKUP_SREG: .integer(register.number),
                NFTNL_EXPR_LOOKUP_DREG: .integer(NFT_REG_VERDICT.rawValue), NFTNL_EXPR_LOOKUP_SET: .string(map),
            ]
        )
    }

    /// Ends the rule with a verdict.
    public static func verdict(_ verdict: Verdict) -> Expression {
        var attributes: [Int: Value] = [
            NFTNL_EXPR_IMM_DREG: .integer(NFT_REG_VERDICT.rawValue),
            NFTNL_EXPR_IMM_VERDICT: .integer(UInt32(bitPattern: verdict.code)),
        ]
        if let chain = verdict.chain { attributes[NFTNL_EXPR_IMM_CHAIN] = .string(chain) }
        return Expression("immediate", attributes)
    }

    /// Loads a constant.
    public static func immediate(_ value: [UInt8], into register: Register) -> Expression {
        Expression(
            "immediate",
            [NFTNL_EXPR_IMM_DREG: .integer(register.number), NFTNL_EXPR_IMM_DATA: .bytes(value)]
        )
    }

    public enum Comparison: Hashable, Sendable {
        case equal
        case notEqual

        var code: UInt32 { self == .equal ? NFT_CMP_EQ.rawValue : NFT_CMP_NEQ.rawValue }
    }

    /// Goes on only if the register compares so with the bytes.
    public static func compare(_ register: Register, _ comparison: Comparison, _ value: [UInt8]) -> Expression {
        Expression(
            "cmp",
            [
                NFTNL_EXPR_CMP_SREG: .integer(register.number), NFTNL_EXPR_CMP_OP: .integer(comparison.code),
                NFTNL_EXPR_CMP_DATA: .bytes(value),
            ]
        )
    }

    /// Compares a number in the byte order of this machine, as marks and types of addresses are.
    public static func compare(_ register: Register, _ comparison: Comparison, hostOrder: UInt32) -> Expression {
        compare(register, comparison, hostOrder.hostBytes)
    }

    /// The register becomes (register & mask) ^ xor; both as long as the value.
    public static func bitwise(_ register: Register, mask: [UInt8], xor: [UInt8]) -> Expression {
        Expression(
            "bitwise",
            [
                NFTNL_EXPR_BITWISE_SREG: .integer(register.number), NFTNL_EXPR_BITWISE_DREG: .integer(register.number),
                NFTNL_EXPR_BITWISE_LEN: .integer(UInt32(mask.count)), NFTNL_EXPR_BITWISE_MASK: .bytes(mask),
                NFTNL_EXPR_BITWISE_XOR: .bytes(xor),
            ]
        )
    }

    /// `& bits` on a number of four bytes.
    public static func and(_ register: Register, _ bits: UInt32) -> Expression {
        bitwise(register, mask: bits.hostBytes, xor: (0 as UInt32).hostBytes)
    }

    /// `| bits` on a number of four bytes.
    public static func or(_ register: Register, _ bits: UInt32) -> Expression {
        bitwise(register, mask: (~bits).hostBytes, xor: bits.hostBytes)
    }

    /// `dnat ip to …`: the address from one register and the port from another.
    public static func destinationNAT(_ family: Family, address: Register, port: Register) -> Expression {
        Expression(
            "nat",
            [
                NFTNL_EXPR_NAT_TYPE: .integer(NFT_NAT_DNAT.rawValue),
                NFTNL_EXPR_NAT_FAMILY: .integer(UInt32(family.rawValue)),
                NFTNL_EXPR_NAT_REG_ADDR_MIN: .integer(address.number),
                NFTNL_EXPR_NAT_REG_ADDR_MAX: .integer(address.number),
                NFTNL_EXPR_NAT_REG_PROTO_MIN: .integer(port.number),
                NFTNL_EXPR_NAT_REG_PROTO_MAX: .integer(port.number),
                // NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED, which the kernel adds by itself.
                NFTNL_EXPR_NAT_FLAGS: .integer(3),
            ]
        )
    }

    /// `masquerade`, or `masquerade fully-random`
    public static func masquerade(fullyRandom: Bool) -> Expression {
        // NF_NAT_RANGE_PROTO_RANDOM_FULLY
        Expression("masq", fullyRandom ? [NFTNL_EXPR_MASQ_FLAGS: .integer(1 << 4)] : [:])
    }

    public enum Rejection: Hashable, Sendable {
        /// ICMP or ICMPv6 "port unreachable" of the table's family.
        case portUnreachable(Family)
        case tcpReset
    }

    public static func reject(_ rejection: Rejection) -> Expression {
        switch rejection {
        case .tcpReset:
            Expression("reject", [NFTNL_EXPR_REJECT_TYPE: .integer(NFT_REJECT_TCP_RST.rawValue)])
        case .portUnreachable(let family):
            Expression(
                "reject",
                [
                    NFTNL_EXPR_REJECT_TYPE: .integer(
                        (family == .inet ? NFT_REJECT_ICMPX_UNREACH : NFT_REJECT_ICMP_UNREACH).rawValue
                    ),
                    // ICMP_PORT_UNREACH, ICMPV6_PORT_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH
                    NFTNL_EXPR_REJECT_CODE: .byte(family == .ip ? 3 : family == .ip6 ? 4 : 1),
                ]
            )
        }
    }

    public static let counter = Expression("counter", [:])

    public enum DynamicChange: Hashable, Sendable {
        /// Adds the element if it is missing.
        case add
        /// Adds the element or starts its time again.
        case update
        case delete

        var code: UInt32 {
            switch self {
            case .add: NFT_DYNSET_OP_ADD.rawValue
            case .update: NFT_DYNSET_OP_UPDATE.rawValue
            case .delete: NFT_DYNSET_OP_DELETE.rawValue
            }
        }
    }

    /// `add @set { … }`, `update @map { … : … }`: changes a set from the packet path.
    public static func change(
        _ change: DynamicChange,
        of set: String,
        key: Register,
        data: Register? = nil,
        timeout milliseconds: UInt64? = nil
    ) -> Expression {
        var attributes: [Int: Value] = [
            NFTNL_EXPR_DYNSET_SREG_KEY: .integer(key.number), NFTNL_EXPR_DYNSET_OP: .integer(change.code),
            NFTNL_EXPR_DYNSET_SET_NAME: .string(set),
        ]
        if let data { attributes[NFTNL_EXPR_DYNSET_SREG_DATA] = .integer(data.number) }
        if let milliseconds { attributes[NFTNL_EXPR_DYNSET_TIMEOUT] = .long(milliseconds) }
        return Expression("dynset", attributes)
    }
}

extension UInt32 {
    fileprivate var hostBytes: [UInt8] { withUnsafeBytes(of: self) { Array($0) } }
}
