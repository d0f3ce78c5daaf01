import CNetfilter

/// Tables, chains, rules and sets to and from libnftnl's objects.
///
/// libnftnl returns no object only when memory ends; the message is then empty and the kernel refuses it.
enum ObjectCoding {
    /// Room for any object but a rule.
    static let room = 8192
    /// Room for a rule: an expression takes at most some 300 bytes.
    static func room(for rule: Rule) -> Int { 4096 + rule.expressions.count * 512 }

    static func put(_ table: Table, into message: UnsafeMutablePointer<nlmsghdr>) {
        guard let object = nftnl_table_alloc() else { return }
        defer { nftnl_table_free(object) }
        nftnl_table_set_str(object, UInt16(NFTNL_TABLE_NAME.rawValue), table.name)
        nftnl_table_set_u32(object, UInt16(NFTNL_TABLE_FLAGS.rawValue), 0)
        comment(table.comment, UInt8(NFTNL_UDATA_TABLE_COMMENT.rawValue)) {
            _ = nftnl_table_set_data(object, UInt16(NFTNL_TABLE_USERDATA.rawValue), $0.baseAddress, UInt32($0.count))
        }
        nftnl_table_nlmsg_build_payload(message, object)
    }

    static func readTable(_ message: Message) -> Table? {
        guard let family = message.family, let object = nftnl_table_alloc() else { return nil }
        defer { nftnl_table_free(object) }
        guard message.withHeader({ nftnl_table_nlmsg_parse($0, object) }) == 0,
            let name = nftnl_table_get_str(object, UInt16(NFTNL_TABLE_NAME.rawValue))
        else { return nil }
        var length: UInt32 = 0
        let data = nftnl_table_get_data(object, UInt16(NFTNL_TABLE_USERDATA.rawValue), &length)
        return Table(
            family: family,
            name: String(cString: name),
            comment: UserData.comment(
                UInt8(NFTNL_UDATA_TABLE_COMMENT.rawValue),
                in: UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : Int(length))
            )
        )
    }

    static func put(
        _ chain: Chain,
        in table: Table,
        nameOnly: Bool,
        into message: UnsafeMutablePointer<nlmsghdr>
    ) {
        guard let object = nftnl_chain_alloc() else { return }
        defer { nftnl_chain_free(object) }
        nftnl_chain_set_str(object, UInt16(NFTNL_CHAIN_TABLE.rawValue), table.name)
        nftnl_chain_set_str(object, UInt16(NFTNL_CHAIN_NAME.rawValue), chain.name)
        if !nameOnly {
            if let base = chain.base {
                nftnl_chain_set_str(object, UInt16(NFTNL_CHAIN_TYPE.rawValue), base.kind.rawValue)
                nftnl_chain_set_u32(object, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue), base.hook.rawValue)
                nftnl_chain_set_s32(object, UInt16(NFTNL_CHAIN_PRIO.rawValue), base.priority)
                nftnl_chain_set_u32(object, UInt16(NFTNL_CHAIN_POLICY.rawValue), base.policy.rawValue)
            }
            comment(chain.comment, UInt8(NFTNL_UDATA_CHAIN_COMMENT.rawValue)) {
                _ = nftnl_chain_set_data(
                    object,
                    UInt16(NFTNL_CHAIN_USERDATA.rawValue),
                    $0.baseAddress,
                    UInt32($0.count)
                )
            }
        }
        nftnl_chain_nlmsg_build_payload(message, object)
    }

    static func readChain(_ message: Message) -> (table: String, chain: Chain)? {
        guard let object = nftnl_chain_alloc() else { return nil }
        defer { nftnl_chain_free(object) }
        guard message.withHeader({ nftnl_chain_nlmsg_parse($0, object) }) == 0,
            let table = nftnl_chain_get_str(object, UInt16(NFTNL_CHAIN_TABLE.rawValue)),
            let name = nftnl_chain_get_str(object, UInt16(NFTNL_CHAIN_NAME.rawValue))
        else { return nil }
        var base: Chain.Base?
        if nftnl_chain_is_set(object, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue)),
            let kind = nftnl_chain_get_str(object, UInt16(NFTNL_CHAIN_TYPE.rawValue))
                .flatMap({ Chain.Kind(rawValue: String(cString: $0)) }),
            let hook = Chain.Hook(rawValue: nftnl_chain_get_u32(object, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue)))
        {
            base = Chain.Base(
                kind,
                hook,
                priority: nftnl_chain_get_s32(object, UInt16(NFTNL_CHAIN_PRIO.rawValue)),
                policy: nftnl_chain_is_set(object, UInt16(NFTNL_CHAIN_POLICY.rawValue))
                    ? Chain.Policy(rawValue: nftnl_chain_get_u32(object, UInt16(NFTNL_CHAIN_POLICY.rawValue)))
                        ?? .accept
                    : .accept
            )
        }
        var length: UInt32 = 0
        let data = nftnl_chain_get_data(object, UInt16(NFTNL_CHAIN_USERDATA.rawValue), &length)
        let chain = Chain(
            String(cString: name),
            base: base,
            comment: UserData.comment(
                UInt8(NFTNL_UDATA_CHAIN_COMMENT.rawValue),
                in: UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : Int(length))
            )
        )
        return (String(cString: table), chain)
    }

    static func put(_ rule: Rule, in table: Table, into message: UnsafeMutablePointer<nlmsghdr>) {
        guard let object = nftnl_rule_alloc() else { return }
        defer { nftnl_rule_free(object) }
        nftnl_rule_set_str(object, UInt16(NFTNL_RULE_TABLE.rawValue), table.name)
        nftnl_rule_set_str(object, UInt16(NFTNL_RULE_CHAIN.rawValue), rule.chain)
        for expression in rule.expressions {
            guard let expression = expression.makeExpression() else { continue }
            nftnl_rule_add_expr(object, expression)
        }
        comment(rule.comment, UInt8(NFTNL_UDATA_RULE_COMMENT.rawValue)) {
            _ = nftnl_rule_set_data(object, UInt16(NFTNL_RULE_USERDATA.rawValue), $0.baseAddress, UInt32($0.count))
        }
        nftnl_rule_nlmsg_build_payload(message, object)
    }

    /// All rules of a chain, or with a handle one of them.
    static func put(
        ruleOf chain: String,
        handle: UInt64?,
        in table: Table,
        into message: UnsafeMutablePointer<nlmsghdr>
    ) {
        mnl_attr_put_strz(message, UInt16(NFTA_RULE_TABLE.rawValue), table.name)
        mnl_attr_put_strz(message, UInt16(NFTA_RULE_CHAIN.rawValue), chain)
        if let handle { mnl_attr_put_u64(message, UInt16(NFTA_RULE_HANDLE.rawValue), handle.bigEndian) }
    }

    static func readRule(_ message: Message) -> (table: String, rule: ListedRule)? {
        guard let object = nftnl_rule_alloc() else { return nil }
        defer { nftnl_rule_free(object) }
        guard message.withHeader({ nftnl_rule_nlmsg_parse($0, object) }) == 0,
            let table = nftnl_rule_get_str(object, UInt16(NFTNL_RULE_TABLE.rawValue))
        else { return nil }
        var expressions: [Expression] = []
        if let iterator = nftnl_expr_iter_create(object) {
            defer { nftnl_expr_iter_destroy(iterator) }
            while let expression = nftnl_expr_iter_next(iterator) {
                expressions.append(Expression(reading: expression))
            }
        }
        var length: UInt32 = 0
        let data = nftnl_rule_get_data(object, UInt16(NFTNL_RULE_USERDATA.rawValue), &length)
        let rule = Rule(
            chain: nftnl_rule_get_str(object, UInt16(NFTNL_RULE_CHAIN.rawValue)).map { String(cString: $0) } ?? "",
            expressions,
            comment: UserData.comment(
                UInt8(NFTNL_UDATA_RULE_COMMENT.rawValue),
                in: UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : Int(length))
            )
        )
        let handle = nftnl_rule_get_u64(object, UInt16(NFTNL_RULE_HANDLE.rawValue))
        return (String(cString: table), ListedRule(handle: handle, rule: rule))
    }

    static func put(_ set: SetLayout, in table: Table, id: UInt32, into message: UnsafeMutablePointer<nlmsghdr>) {
        guard let object = nftnl_set_alloc() else { return }
        defer { nftnl_set_free(object) }
        func number(_ attribute: nftnl_set_attr, _ value: UInt32?) {
            if let value { nftnl_set_set_u32(object, UInt16(attribute.rawValue), value) }
        }
        func bytes(_ attribute: nftnl_set_attr, _ value: [UInt8]) {
            guard !value.isEmpty else { return }
            _ = value.withUnsafeBytes {
                nftnl_set_set_data(object, UInt16(attribute.rawValue), $0.baseAddress, UInt32($0.count))
            }
        }
        _ = nftnl_set_set_str(object, UInt16(NFTNL_SET_TABLE.rawValue), table.name)
        _ = nftnl_set_set_str(object, UInt16(NFTNL_SET_NAME.rawValue), set.name)
        number(NFTNL_SET_ID, id)
        number(NFTNL_SET_FLAGS, set.flags)
        number(NFTNL_SET_KEY_TYPE, set.keyType)
        number(NFTNL_SET_KEY_LEN, set.keyLength)
        number(NFTNL_SET_DATA_TYPE, set.dataType)
        number(NFTNL_SET_DATA_LEN, set.dataLength)
        number(NFTNL_SET_DESC_SIZE, set.size)
        if let timeout = set.timeout { nftnl_set_set_u64(object, UInt16(NFTNL_SET_TIMEOUT.rawValue), timeout) }
        bytes(NFTNL_SET_DESC_CONCAT, set.fieldLengths)
        bytes(NFTNL_SET_USERDATA, set.userData)
        // What the elements get a copy of.
        if set.countsPackets, let counter = Expression.counter.makeExpression() {
            nftnl_set_add_expr(object, counter)
        }
        nftnl_set_nlmsg_build_payload(message, object)
    }

    static func readSet(_ message: Message) -> (table: String, set: SetLayout)? {
        guard let object = nftnl_set_alloc() else { return nil }
        defer { nftnl_set_free(object) }
        guard message.withHeader({ nftnl_set_nlmsg_parse($0, object) }) == 0,
            let table = nftnl_set_get_str(object, UInt16(NFTNL_SET_TABLE.rawValue)),
            let name = nftnl_set_get_str(object, UInt16(NFTNL_SET_NAME.rawValue))
        else { return nil }
        func number(_ attribute: nftnl_set_attr) -> UInt32? {
            nftnl_set_is_set(object, UInt16(attribute.rawValue))
                ? nftnl_set_get_u32(object, UInt16(attribute.rawValue)) : nil
        }
        func bytes(_ attribute: nftnl_set_attr) -> [UInt8] {
            var length: UInt32 = 0
            guard nftnl_set_is_set(object, UInt16(attribute.rawValue)),
                let data = nftnl_set_get_data(object, UInt16(attribute.rawValue), &length)
            else { return [] }
            return Array(UnsafeRawBufferPointer(start: data, count: Int(length)))
        }
        let set = SetLayout(
            name: String(cString: name),
            flags: number(NFTNL_SET_FLAGS) ?? 0,
            keyType: number(NFTNL_SET_KEY_TYPE) ?? 0,
            keyLength: number(NFTNL_SET_KEY_LEN) ?? 0,
            dataType: number(NFTNL_SET_DATA_TYPE),
            dataLength: number(NFTNL_SET_DATA_TYPE) == 0xffff_ff00 ? 16 : number(NFTNL_SET_DATA_LEN),
            timeout: nftnl_set_is_set(object, UInt16(NFTNL_SET_TIMEOUT.rawValue))
                ? nftnl_set_get_u64(object, UInt16(NFTNL_SET_TIMEOUT.rawValue)) : nil,
            size: number(NFTNL_SET_DESC_SIZE).flatMap { $0 == 0 ? nil : $0 },
            countsPackets: countsPackets(object),
            fieldLengths: bytes(NFTNL_SET_DESC_CONCAT),
            userData: bytes(NFTNL_SET_USERDATA)
        )
        return (String(cString: table), set)
    }

    private static func countsPackets(_ set: OpaquePointer) -> Bool {
        var counts = false
        withUnsafeMutablePointer(to: &counts) { counts in
            _ = nftnl_set_expr_foreach(
                set,
                { expression, counts in
                    let name = nftnl_expr_get_str(expression, UInt16(NFTNL_EXPR_NAME)).map { String(cString: $0) }
                    if name == "counter" { counts?.assumingMemoryBound(to: Bool.self).pointee = true }
                    return 0
                },
                counts
            )
        }
        return counts
    }

    private static func comment(_ text: String?, _ type: UInt8, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard let text else { return }
        var userData = UserData()
        userData.putComment(type, text)
        userData.bytes.withUnsafeBytes(body)
    }
}
