import CNetfilter

/// Changes of one table that take effect together or not at all.
///
/// The changes are held as the netlink messages they will be sent as; elements of one set that follow each other share
/// messages. A value: it can be copied, kept and committed again.
public struct Transaction: Sendable {
    public let table: Table
    private(set) var messages = MessageBuffer()
    /// What each message is about; message `n` has sequence number `n + 1`.
    private(set) var subjects: [Subject] = []
    private var openRun: Run?

    /// What a message does, for the error that names it.
    struct Subject: Sendable {
        let change: ObjectChange
        let object: ObjectName
        /// Where the message starts.
        let offset: Int
        /// The first element in a message of elements.
        var elements = 0
    }

    /// A message of elements that can take more of them.
    private struct Run {
        let operation: nf_tables_msg_types
        let flags: Int32
        let set: NamedSet
        let keyLength: Int
        let dataLength: Int
        let messageOffset: Int
        let listOffset: Int
    }

    public init(table: Table) {
        self.table = table
    }

    public var isEmpty: Bool { subjects.isEmpty }
    /// The size of the batch in bytes.
    public var byteCount: Int { messages.count }
    /// How many objects and elements the transaction adds, deletes and flushes.
    public private(set) var changeCount = 0

    // MARK: Objects

    /// Makes the table, or does nothing if it exists; with `exclusively` it must not exist.
    public mutating func addTable(exclusively: Bool = false) {
        append(NFT_MSG_NEWTABLE, .add, .table, exclusively: exclusively) { ObjectCoding.put($0, into: $1) }
    }

    /// Removes the table and everything in it.
    public mutating func deleteTable() {
        append(NFT_MSG_DELTABLE, .delete, .table) { ObjectCoding.put($0, into: $1) }
    }

    /// Makes a chain, or does nothing if one with this name exists.
    public mutating func add(_ chain: Chain, exclusively: Bool = false) {
        append(NFT_MSG_NEWCHAIN, .add, .chain(chain.name), exclusively: exclusively) {
            ObjectCoding.put(chain, in: $0, nameOnly: false, into: $1)
        }
    }

    /// Removes a chain with its rules; it must not be the target of any jump.
    public mutating func deleteChain(_ name: String) {
        append(NFT_MSG_DELCHAIN, .delete, .chain(name)) {
            ObjectCoding.put(Chain(name), in: $0, nameOnly: true, into: $1)
        }
    }

    /// Removes all rules of a chain.
    public mutating func flushChain(_ name: String) {
        append(NFT_MSG_DELRULE, .flush, .chain(name)) {
            ObjectCoding.put(ruleOf: name, handle: nil, in: $0, into: $1)
        }
    }

    /// Appends a rule to its chain.
    public mutating func add(_ rule: Rule) {
        let position = Int32(NLM_F_APPEND)
        append(
            NFT_MSG_NEWRULE,
            .add,
            .rule(chain: rule.chain, comment: rule.comment),
            flags: position,
            room: ObjectCoding.room(for: rule)
        ) { ObjectCoding.put(rule, in: $0, into: $1) }
    }

    /// Removes the rule with a handle that came from a listing.
    public mutating func delete(_ rule: ListedRule) {
        append(NFT_MSG_DELRULE, .delete, .rule(chain: rule.rule.chain, comment: rule.rule.comment)) {
            ObjectCoding.put(ruleOf: rule.rule.chain, handle: rule.handle, in: $0, into: $1)
        }
    }

    public mutating func add(_ set: NamedSet, exclusively: Bool = false) {
        let id = UInt32(truncatingIfNeeded: subjects.count + 1)
        append(NFT_MSG_NEWSET, .add, .set(set.name), exclusively: exclusively) {
            ObjectCoding.put(set.layout, in: $0, id: id, into: $1)
        }
    }

    /// Removes a set with its elements; no rule may use it.
    public mutating func deleteSet(_ name: String) {
        append(NFT_MSG_DELSET, .delete, .set(name)) { table, message in
            mnl_attr_put_strz(message, UInt16(NFTA_SET_TABLE.rawValue), table.name)
            mnl_attr_put_strz(message, UInt16(NFTA_SET_NAME.rawValue), name)
        }
    }

    /// Removes all elements of a set.
    public mutating func flushSet(_ name: String) {
        append(NFT_MSG_DELSETELEM, .flush, .set(name)) { table, message in
            mnl_attr_put_strz(message, UInt16(NFTA_SET_ELEM_LIST_TABLE.rawValue), table.name)
            mnl_attr_put_strz(message, UInt16(NFTA_SET_ELEM_LIST_SET.rawValue), name)
        }
    }

    private mutating func append(
        _ type: nf_tables_msg_types,
        _ change: ObjectChange,
        _ object: ObjectName,
        exclusively: Bool = false,
        flags: Int32 = 0,
        room: Int = ObjectCoding.room,
        _ body: (Table, UnsafeMutablePointer<nlmsghdr>) -> Void
    ) {
        var flags = flags
        if change == .add { flags |= Int32(NLM_F_CREATE) }
        if exclusively { flags |= Int32(NLM_F_EXCL) }
        start(type, Subject(change: change, object: object, offset: messages.count), flags: flags, room: room, body)
        openRun = nil
        changeCount += 1
    }

    private mutating func start(
        _ type: nf_tables_msg_types,
        _ subject: Subject,
        flags: Int32,
        room: Int,
        _ body: (Table, UnsafeMutablePointer<nlmsghdr>) -> Void
    ) {
        // The kernel answers the first message when the whole batch is through; otherwise it only speaks of errors.
        let acknowledged = subjects.isEmpty ? Int32(NLM_F_ACK) : 0
        let sequence = UInt32(truncatingIfNeeded: subjects.count + 1)
        messages.append(type, table.family, flags: flags | acknowledged, sequence: sequence, room: room) {
            body(table, $0)
        }
        subjects.append(subject)
    }

    // MARK: Elements

    /// Adds an element. If it exists with the same value nothing happens, or with `exclusively` the transaction is
    /// refused; if it exists with another value, the transaction is refused in any case.
    public mutating func add(_ element: Element, to set: NamedSet, exclusively: Bool = false) {
        let flags = Int32(NLM_F_CREATE) | (exclusively ? Int32(NLM_F_EXCL) : 0)
        append(element, of: set, NFT_MSG_NEWSETELEM, flags)
    }

    /// Deletes the element with this key (and, for ranges, this end); the rest of the element does not matter.
    public mutating func delete(_ element: Element, from set: NamedSet) {
        append(element, of: set, NFT_MSG_DELSETELEM, 0)
    }

    /// Gives a key another value: no packet finds neither the old nor the new one.
    public mutating func replace(_ old: Element, with new: Element, in set: NamedSet) {
        delete(old, from: set)
        add(new, to: set, exclusively: true)
    }

    private mutating func append(_ element: Element, of set: NamedSet, _ type: nf_tables_msg_types, _ flags: Int32) {
        for part in set.kernelElements(of: element) { appendPart(part, of: set, type, flags) }
        changeCount += 1
    }

    private mutating func appendPart(
        _ element: Element,
        of set: NamedSet,
        _ type: nf_tables_msg_types,
        _ flags: Int32
    ) {
        // The list's length is a number of 16 bits.
        let limit = 60_000
        let run: Run
        if let open = openRun, open.operation == type, open.flags == flags, open.set.name == set.name,
            messages.count - open.listOffset < limit
        {
            run = open
        } else {
            run = startRun(of: set, type, flags)
            openRun = run
        }
        messages.extend(from: run.messageOffset, room: ElementCoding.maximumLength) { message in
            ElementCoding.put(
                element,
                keyLength: run.keyLength,
                dataLength: run.dataLength,
                keyOnly: type == NFT_MSG_DELSETELEM,
                into: message
            )
            let list = UnsafeMutableRawPointer(message) + (run.listOffset - run.messageOffset)
            mnl_attr_nest_end(message, list.assumingMemoryBound(to: nlattr.self))
        }
    }

    private mutating func startRun(of set: NamedSet, _ type: nf_tables_msg_types, _ flags: Int32) -> Run {
        let offset = messages.count
        let change: ObjectChange = type == NFT_MSG_DELSETELEM ? .delete : .add
        start(
            type,
            Subject(change: change, object: .element(of: set, key: nil), offset: offset),
            flags: flags,
            room: ObjectCoding.room
        ) { table, message in
            mnl_attr_put_strz(message, UInt16(NFTA_SET_ELEM_LIST_TABLE.rawValue), table.name)
            mnl_attr_put_strz(message, UInt16(NFTA_SET_ELEM_LIST_SET.rawValue), set.name)
        }
        let listOffset = messages.count
        messages.extend(from: offset, room: 16) {
            _ = mnl_attr_nest_start($0, UInt16(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue))
        }
        let dataLength = if case .fields(let fields) = set.content { fields.keyLength } else { 0 }
        return Run(
            operation: type,
            flags: flags,
            set: set,
            keyLength: set.key.keyLength,
            dataLength: dataLength,
            messageOffset: offset,
            listOffset: listOffset
        )
    }
}

extension NamedSet {
    /// The elements that the kernel keeps for one of ours: two for a range of a set with one field.
    public func kernelElements(of element: Element) -> CollectionOfOneOrTwo<Element> {
        guard isInterval, key.count == 1 else { return .one(element) }
        var start = element
        start.end = nil
        guard let end = (element.end ?? element.key).successor(length: key[0].length) else { return .one(start) }
        var close = Element(end)
        close.isIntervalEnd = true
        return .two(start, close)
    }
}

/// One or two values, without an array.
public enum CollectionOfOneOrTwo<Value: Sendable>: Sendable, Sequence, IteratorProtocol {
    case none
    case one(Value)
    case two(Value, Value)

    public mutating func next() -> Value? {
        switch self {
        case .none: return nil
        case .one(let value):
            self = .none
            return value
        case .two(let value, let rest):
            self = .one(rest)
            return value
        }
    }
}
