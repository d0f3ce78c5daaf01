import CNetfilter
import NetworkTypes

// What the expressions of a rule do to the registers and to the packet, as in the kernel's nft_*.c.

extension PacketWalk {
    /// Sixteen words of four bytes.
    private struct Registers {
        private var bytes = [UInt8](repeating: 0, count: 64)
        /// Whether a random number was loaded.
        var isRandom = false

        subscript(_ start: Int, _ length: Int) -> [UInt8] {
            get { start + length <= bytes.count ? Array(bytes[start..<start + length]) : [] }
            set {
                let padded = (newValue.count + 3) & ~3
                guard start + padded <= bytes.count else { return }
                for index in 0..<padded { bytes[start + index] = index < newValue.count ? newValue[index] : 0 }
            }
        }

        mutating func load(_ number: UInt32, at start: Int) {
            self[start, 4] = withUnsafeBytes(of: number) { Array($0) }
        }

        func number(at start: Int) -> UInt32 {
            self[start, 4].withUnsafeBytes { $0.count == 4 ? $0.loadUnaligned(as: UInt32.self) : 0 }
        }
    }

    /// RTN_UNICAST and RTN_LOCAL
    private static let (unicastType, localType): (UInt32, UInt32) = (1, 2)
    /// `new` as a bit of `ct state`, IPS_DST_NAT
    private static let (newState, translatedStatus): (UInt32, UInt32) = (8, 0x20)

    mutating func carryOut(_ rule: Rule, _ visit: inout Visit) throws(Unknown) {
        var registers = Registers()
        for expression in rule.expressions {
            guard try carryOut(expression, &registers, &visit) else { return }
            if visit.result != .noMatch { return }
        }
        visit.result = .matched
    }

    /// - Returns: whether the rule goes on.
    private mutating func carryOut(
        _ expression: Expression,
        _ registers: inout Registers,
        _ visit: inout Visit
    ) throws(Unknown) -> Bool {
        let unknown = Unknown(expression: expression.name, chain: visit.chain)
        switch expression.name {
        case "payload":
            guard let target = expression.offset(NFTNL_EXPR_PAYLOAD_DREG), let bytes = payload(expression) else {
                throw unknown
            }
            registers[target, bytes.count] = bytes
        case "meta": try meta(expression, &registers, &visit)
        case "ct":
            guard let target = expression.offset(NFTNL_EXPR_CT_DREG) else { throw unknown }
            switch expression.integer(NFTNL_EXPR_CT_KEY) {
            case NFT_CT_STATE.rawValue: registers.load(Self.newState, at: target)
            case NFT_CT_STATUS.rawValue:
                registers.load(packet.isTranslated ? Self.translatedStatus : 0, at: target)
            default: throw unknown
            }
        case "fib":
            guard let target = expression.offset(NFTNL_EXPR_FIB_DREG),
                expression.integer(NFTNL_EXPR_FIB_RESULT) == NFT_FIB_RESULT_ADDRTYPE.rawValue,
                let selector = expression.integer(NFTNL_EXPR_FIB_FLAGS).flatMap(Expression.FIBSelector.init)
            else { throw unknown }
            let address = selector == .source ? packet.source : packet.destination
            registers.load(isLocal(address) ? Self.localType : Self.unicastType, at: target)
        case "numgen":
            guard let target = expression.offset(NFTNL_EXPR_NG_DREG),
                let modulus = expression.integer(NFTNL_EXPR_NG_MODULUS), modulus > 0
            else { throw unknown }
            registers.load(random(modulus) + (expression.integer(NFTNL_EXPR_NG_OFFSET) ?? 0), at: target)
            registers.isRandom = true
        case "cmp":
            guard let start = expression.offset(NFTNL_EXPR_CMP_SREG), let value = expression.bytes(NFTNL_EXPR_CMP_DATA)
            else { throw unknown }
            let found = registers[start, value.count]
            switch expression.integer(NFTNL_EXPR_CMP_OP) {
            case NFT_CMP_EQ.rawValue: return found == value
            case NFT_CMP_NEQ.rawValue: return found != value
            default: throw unknown
            }
        case "bitwise":
            guard let start = expression.offset(NFTNL_EXPR_BITWISE_SREG),
                let target = expression.offset(NFTNL_EXPR_BITWISE_DREG),
                let mask = expression.bytes(NFTNL_EXPR_BITWISE_MASK),
                let xor = expression.bytes(NFTNL_EXPR_BITWISE_XOR), mask.count == xor.count
            else { throw unknown }
            registers[target, mask.count] = zip(registers[start, mask.count], zip(mask, xor)).map {
                $0 & $1.0 ^ $1.1
            }
        case "lookup": return try lookUp(expression, &registers, &visit)
        case "immediate":
            if let verdict = expression.verdict {
                visit.result = .verdict(verdict)
            } else {
                guard let target = expression.offset(NFTNL_EXPR_IMM_DREG),
                    let bytes = expression.bytes(NFTNL_EXPR_IMM_DATA)
                else { throw unknown }
                registers[target, bytes.count] = bytes
            }
        case "nat":
            guard expression.integer(NFTNL_EXPR_NAT_TYPE) == NFT_NAT_DNAT.rawValue,
                let start = expression.offset(NFTNL_EXPR_NAT_REG_ADDR_MIN),
                let portStart = expression.offset(NFTNL_EXPR_NAT_REG_PROTO_MIN),
                let address = IPAddress(bytes: registers[start, packet.destination.family.addressBytes])
            else { throw unknown }
            let bytes = registers[portStart, 2]
            let port = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
            packet.isTranslated = address != packet.destination || port != packet.destinationPort
            (packet.destination, packet.destinationPort) = (address, port)
            visit.result = .translated(to: address, port: port)
        case "masq": visit.result = .masqueraded
        case "reject":
            let isReset = expression.integer(NFTNL_EXPR_REJECT_TYPE) == NFT_REJECT_TCP_RST.rawValue
            visit.result = .rejected(withReset: isReset)
        // What packets write is there for later ones.
        case "dynset", "counter": break
        default: throw unknown
        }
        return true
    }

    /// The bytes of a header; `nil` for one that packets of this kind do not have.
    private func payload(_ expression: Expression) -> [UInt8]? {
        guard let offset = expression.integer(NFTNL_EXPR_PAYLOAD_OFFSET).map(Int.init),
            let length = expression.integer(NFTNL_EXPR_PAYLOAD_LEN).map(Int.init)
        else { return nil }
        let header: [UInt8]
        let start: Int
        switch expression.integer(NFTNL_EXPR_PAYLOAD_BASE).flatMap(Expression.Header.init) {
        case .network:
            start = packet.source.family == .ipv4 ? 12 : 8
            header = packet.source.bytes + packet.destination.bytes
        case .transport:
            start = 0
            header = [packet.sourcePort, packet.destinationPort].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
        case nil: return nil
        }
        guard offset >= start, offset - start + length <= header.count else { return nil }
        return Array(header[(offset - start)..<(offset - start + length)])
    }

    private mutating func meta(
        _ expression: Expression,
        _ registers: inout Registers,
        _ visit: inout Visit
    ) throws(Unknown) {
        let key = expression.integer(NFTNL_EXPR_META_KEY)
        if let source = expression.offset(NFTNL_EXPR_META_SREG) {
            switch key {
            case NFT_META_MARK.rawValue:
                packet.mark = registers.number(at: source)
                visit.mark = packet.mark
            case NFT_META_PRIORITY.rawValue: packet.priority = registers.number(at: source)
            default: throw Unknown(expression: "meta", chain: visit.chain)
            }
            return
        }
        guard let target = expression.offset(NFTNL_EXPR_META_DREG) else {
            throw Unknown(expression: "meta", chain: visit.chain)
        }
        switch key {
        case NFT_META_MARK.rawValue: registers.load(packet.mark, at: target)
        case NFT_META_PRIORITY.rawValue: registers.load(packet.priority, at: target)
        case NFT_META_L4PROTO.rawValue: registers[target, 1] = [packet.transport.rawValue]
        case NFT_META_IIFNAME.rawValue:
            let name = Array(packet.inputInterface.utf8.prefix(15))
            registers[target, 16] = name + [UInt8](repeating: 0, count: 16 - name.count)
        default: throw Unknown(expression: "meta", chain: visit.chain)
        }
    }

    private func lookUp(
        _ expression: Expression,
        _ registers: inout Registers,
        _ visit: inout Visit
    ) throws(Unknown) -> Bool {
        guard let start = expression.offset(NFTNL_EXPR_LOOKUP_SREG), let name = expression.setName,
            let layout = ruleset.layout(of: name),
            let key = registers[start, Int(layout.keyLength)].withUnsafeBytes({ Concatenation(bytes: $0) })
        else { throw Unknown(expression: "lookup", chain: visit.chain) }
        let element = ruleset.element(key, in: name)
        visit.lookUps.append(
            Visit.LookUp(
                set: name,
                key: layout.text(ofKey: key),
                element: element.map { layout.text(of: $0) },
                isRandom: registers.isRandom
            )
        )
        let isInverted = (expression.integer(NFTNL_EXPR_LOOKUP_FLAGS) ?? 0) & NFT_LOOKUP_F_INV.rawValue != 0
        guard let element else { return isInverted }
        switch element.value {
        case .verdict(let verdict): visit.result = .verdict(verdict)
        case .data(let data):
            if let target = expression.offset(NFTNL_EXPR_LOOKUP_DREG) { registers[target, data.count] = data.bytes }
        case .none: break
        }
        return !isInverted
    }
}

extension Expression {
    func integer(_ attribute: Int) -> UInt32? {
        guard case .integer(let value)? = attributes[UInt16(attribute)] else { return nil }
        return value
    }

    func long(_ attribute: Int) -> UInt64? {
        guard case .long(let value)? = attributes[UInt16(attribute)] else { return nil }
        return value
    }

    func bytes(_ attribute: Int) -> [UInt8]? {
        guard case .bytes(let value)? = attributes[UInt16(attribute)] else { return nil }
        return value
    }

    /// Where the register that an attribute names begins, in bytes; `nil` without the attribute, and for the register of
    /// verdicts.
    func offset(_ attribute: Int) -> Int? {
        integer(attribute).flatMap { Register(number: $0) }.map { Int($0.word) * 4 }
    }
}

extension Register {
    /// The opposite of ``number``.
    init?(number: UInt32) {
        switch number {
        case NFT_REG_1.rawValue...NFT_REG_4.rawValue: self.init((number - NFT_REG_1.rawValue) * 4)
        case UInt32(NFT_REG32_00.rawValue)...UInt32(NFT_REG32_15.rawValue):
            self.init(number - UInt32(NFT_REG32_00.rawValue))
        default: return nil
        }
    }
}
