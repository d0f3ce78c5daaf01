import CNetfilter
import Glibc
import Synchronization

/// A kernel in memory: carries out the same messages by the same rules, so that what is written over
/// ``NFTablesKernel`` can be tested without root, and so that a packet can be walked through a table that is nowhere
/// else (``PacketWalk``). It does not check what a rule's expressions mean.
public final class FakeKernel: NFTablesKernel {
    private struct Contents {
        var generation: UInt32 = 1
        var lastHandle: UInt64 = 0
        var tables: [TableKey: TableContents] = [:]
    }

    private struct TableKey: Hashable {
        let family: Family
        let name: String
    }

    private struct TableContents {
        var table: Table
        var chains: [String: Chain] = [:]
        var chainOrder: [String] = []
        var rules: [ListedRule] = []
        var sets: [String: SetContents] = [:]
        var setOrder: [String] = []

        /// How often chains are the target of a jump.
        func references(to chain: String) -> Bool {
            rules.contains { $0.rule.chain != chain && $0.rule.expressions.contains { $0.verdict?.chain == chain } }
                || sets.values.contains { $0.references[chain, default: 0] > 0 }
        }
    }

    private struct SetContents {
        var layout: SetLayout
        var elements: [ElementKey: Element] = [:]
        var order: [ElementKey] = []
        /// Jumps to chains from the elements.
        var references: [String: Int] = [:]
    }

    /// A range that ends where another begins has the same key; the flag tells them apart.
    private struct ElementKey: Hashable {
        let key: Concatenation
        let end: Concatenation?
        let isIntervalEnd: Bool

        init(_ element: Element) {
            key = element.key
            end = element.end
            isIntervalEnd = element.isIntervalEnd
        }
    }

    private struct Failure: Error {
        let code: CInt
        /// The element that is to blame.
        var key: Concatenation?
    }

    private let contents = Mutex(Contents())

    public init() {}

    // MARK: Transactions

    public func commit(_ transaction: Transaction, ifGeneration generation: UInt32?) throws {
        try carryOut(transaction, ifGeneration: generation, isCommitted: true)
    }

    public func check(_ transaction: Transaction) throws {
        try carryOut(transaction, ifGeneration: nil, isCommitted: false)
    }

    private func carryOut(_ transaction: Transaction, ifGeneration generation: UInt32?, isCommitted: Bool) throws {
        guard !transaction.isEmpty else { return }
        try contents.withLock { contents in
            if let generation, generation != contents.generation { throw NFTablesError.generationChanged }
            var next = contents
            var refusals: [Refusal] = []
            transaction.messages.withBytes { bytes in
                for (subject, message) in zip(transaction.subjects, MessageSequence(bytes)) {
                    do throws(Failure) {
                        try Self.apply(message, to: &next)
                    } catch {
                        var object = subject.object
                        if case .element(let set, _) = object {
                            let key = error.key ?? transaction.key(inMessageAt: subject.offset, attributeAt: nil)
                            object = .element(of: set, key: key)
                        }
                        refusals.append(
                            Refusal(
                                change: subject.change,
                                object: object,
                                table: transaction.table,
                                code: error.code
                            )
                        )
                    }
                }
            }
            if !refusals.isEmpty { throw NFTablesError.refused(refusals) }
            guard isCommitted else { return }
            next.generation &+= 1
            contents = next
        }
    }

    private static func apply(_ message: Message, to contents: inout Contents) throws(Failure) {
        guard let type = message.tableMessage, let family = message.family else { throw Failure(code: EINVAL) }
        let isExclusive = message.flags & UInt16(NLM_F_EXCL) != 0
        guard let name = message.attributes.first(where: { $0.type == 1 })?.string else { throw Failure(code: EINVAL) }
        let key = TableKey(family: family, name: name)
        switch type {
        case NFT_MSG_NEWTABLE:
            guard let table = ObjectCoding.readTable(message) else { throw Failure(code: EINVAL) }
            if contents.tables[key] == nil {
                contents.tables[key] = TableContents(table: table)
            } else if isExclusive {
                throw Failure(code: EEXIST)
            }
            return
        case NFT_MSG_DELTABLE:
            guard contents.tables.removeValue(forKey: key) != nil else { throw Failure(code: ENOENT) }
            return
        default: break
        }
        // Taken out while it changes, so that nothing large is copied.
        guard var table = contents.tables.removeValue(forKey: key) else { throw Failure(code: ENOENT) }
        defer { contents.tables[key] = table }
        switch type {
        case NFT_MSG_NEWCHAIN: try addChain(message, isExclusive, &table)
        case NFT_MSG_DELCHAIN: try deleteChain(message, &table)
        case NFT_MSG_NEWRULE:
            contents.lastHandle += 1
            try addRule(message, handle: contents.lastHandle, &table)
        case NFT_MSG_DELRULE: try deleteRules(message, &table)
        case NFT_MSG_NEWSET:
            guard let set = ObjectCoding.readSet(message)?.set else { throw Failure(code: EINVAL) }
            if let existing = table.sets[set.name] {
                if isExclusive { throw Failure(code: EEXIST) }
                if existing.layout.comparable != set.comparable { throw Failure(code: EEXIST) }
            } else {
                table.sets[set.name] = SetContents(layout: set)
                table.setOrder.append(set.name)
            }
        case NFT_MSG_DELSET:
            let name = message.attributes.first { UInt32($0.type) == NFTA_SET_NAME.rawValue }?.string ?? ""
            guard table.sets[name] != nil else { throw Failure(code: ENOENT) }
            if table.rules.contains(where: { $0.rule.expressions.contains { $0.setName == name } }) {
                throw Failure(code: EBUSY)
            }
            table.sets[name] = nil
            table.setOrder.removeAll { $0 == name }
        case NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM:
            let name = message.attributes.first { UInt32($0.type) == NFTA_SET_ELEM_LIST_SET.rawValue }?.string ?? ""
            guard var set = table.sets.removeValue(forKey: name) else { throw Failure(code: ENOENT) }
            defer { table.sets[name] = set }
            try changeElements(message, type, isExclusive, &set, table.chains)
        default: throw Failure(code: EOPNOTSUPP)
        }
    }

    private static func addChain(
        _ message: Message,
        _ isExclusive: Bool,
        _ table: inout TableContents
    ) throws(Failure) {
        guard let chain = ObjectCoding.readChain(message)?.chain else { throw Failure(code: EINVAL) }
        if let existing = table.chains[chain.name] {
            if isExclusive { throw Failure(code: EEXIST) }
            guard let base = chain.base else { return }
            guard let old = existing.base, old.kind == base.kind, old.hook == base.hook,
                old.priority == base.priority
            else { throw Failure(code: EEXIST) }
            table.chains[chain.name] = Chain(chain.name, base: base, comment: existing.comment)
        } else {
            table.chains[chain.name] = chain
            table.chainOrder.append(chain.name)
        }
    }

    private static func deleteChain(_ message: Message, _ table: inout TableContents) throws(Failure) {
        guard let chain = ObjectCoding.readChain(message)?.chain, table.chains[chain.name] != nil else {
            throw Failure(code: ENOENT)
        }
        if table.references(to: chain.name) { throw Failure(code: EBUSY) }
        table.chains[chain.name] = nil
        table.chainOrder.removeAll { $0 == chain.name }
        table.rules.removeAll { $0.rule.chain == chain.name }
    }

    private static func addRule(_ message: Message, handle: UInt64, _ table: inout TableContents) throws(Failure) {
        guard let rule = ObjectCoding.readRule(message)?.rule.rule else { throw Failure(code: EINVAL) }
        guard table.chains[rule.chain] != nil else { throw Failure(code: ENOENT) }
        for expression in rule.expressions {
            if let target = expression.verdict?.chain { try checkTarget(target, table.chains) }
            if let set = expression.setName, table.sets[set] == nil { throw Failure(code: ENOENT) }
        }
        table.rules.append(ListedRule(handle: handle, rule: rule))
    }

    private static func checkTarget(_ name: String, _ chains: [String: Chain]) throws(Failure) {
        guard let chain = chains[name] else { throw Failure(code: ENOENT) }
        // nft_verdict_init: a base chain cannot be jumped to.
        if chain.base != nil { throw Failure(code: EOPNOTSUPP) }
    }

    private static func deleteRules(_ message: Message, _ table: inout TableContents) throws(Failure) {
        var chain: String?
        var handle: UInt64?
        for attribute in message.attributes {
            if UInt32(attribute.type) == NFTA_RULE_CHAIN.rawValue { chain = attribute.string }
            if UInt32(attribute.type) == NFTA_RULE_HANDLE.rawValue { handle = attribute.long }
        }
        if let chain, table.chains[chain] == nil { throw Failure(code: ENOENT) }
        if let handle {
            guard let index = table.rules.firstIndex(where: { $0.handle == handle && $0.rule.chain == chain }) else {
                throw Failure(code: ENOENT)
            }
            table.rules.remove(at: index)
        } else {
            table.rules.removeAll { chain == nil || $0.rule.chain == chain }
        }
    }

    private static func changeElements(
        _ message: Message,
        _ type: nf_tables_msg_types,
        _ isExclusive: Bool,
        _ set: inout SetContents,
        _ chains: [String: Chain]
    ) throws(Failure) {
        guard
            let list = message.attributes.first(where: {
                UInt32($0.type) == NFTA_SET_ELEM_LIST_ELEMENTS.rawValue
            })
        else {
            guard type == NFT_MSG_DELSETELEM else { throw Failure(code: EINVAL) }
            set = SetContents(layout: set.layout)
            return
        }
        for nest in list.nested {
            guard let element = ElementCoding.read(nest.nested) else { throw Failure(code: EINVAL) }
            do throws(Failure) {
                if type == NFT_MSG_NEWSETELEM {
                    try add(element, isExclusive, &set, chains)
                } else {
                    try delete(element, &set)
                }
            } catch {
                throw Failure(code: error.code, key: element.key)
            }
        }
    }

    private static func add(
        _ element: Element,
        _ isExclusive: Bool,
        _ set: inout SetContents,
        _ chains: [String: Chain]
    ) throws(Failure) {
        if case .verdict(let verdict) = element.value, let target = verdict.chain { try checkTarget(target, chains) }
        let key = ElementKey(element)
        if let existing = set.elements[key] {
            if isExclusive || existing.value != element.value { throw Failure(code: EEXIST) }
            return
        }
        if set.layout.isConcatenatedInterval {
            // The kernel looks for the first and the last point only, and so lets a range cover another one.
            let lengths = set.layout.fieldLengths
            let isTaken = set.order.contains { other in
                [element.key, element.end ?? element.key].contains {
                    $0.isInside(other.key, other.end ?? other.key, lengths)
                }
            }
            if isTaken { throw Failure(code: EEXIST) }
        }
        if set.layout.isInterval, !set.layout.isConcatenatedInterval { try checkRange(element, in: set) }
        var element = element
        if set.layout.countsPackets { element.packets = 0 }
        set.elements[key] = element
        set.order.append(key)
        if case .verdict(let verdict) = element.value, let target = verdict.chain {
            set.references[target, default: 0] += 1
        }
    }

    /// Ranges of one field come as two elements, the second behind the end. A range must not begin inside of another,
    /// nor end where another one, that began later or at the same place, does not.
    private static func checkRange(_ element: Element, in set: SetContents) throws(Failure) {
        let point = element.key.bytes
        let starts = set.order.filter { !$0.isIntervalEnd }.map(\.key.bytes)
        let ends = set.order.filter(\.isIntervalEnd).map(\.key.bytes)
        func precedes(_ left: [UInt8], _ right: [UInt8]) -> Bool { left.lexicographicallyPrecedes(right) }
        guard let start = starts.filter({ precedes($0, point) }).max(by: precedes),
            let end = ends.filter({ precedes(start, $0) }).min(by: precedes),
            !starts.contains(where: { precedes(start, $0) && precedes($0, end) })
        else { return }
        if element.isIntervalEnd || precedes(point, end) { throw Failure(code: ENOTEMPTY) }
    }

    private static func delete(_ element: Element, _ set: inout SetContents) throws(Failure) {
        let key = ElementKey(element)
        guard let old = set.elements.removeValue(forKey: key) else { throw Failure(code: ENOENT) }
        set.order.removeAll { $0 == key }
        if case .verdict(let verdict) = old.value, let target = verdict.chain {
            set.references[target, default: 0] -= 1
        }
    }

    // MARK: Listings

    public func generation() throws -> UInt32 { contents.withLock { $0.generation } }
    public var commitCount: UInt32 { contents.withLock { $0.generation &- 1 } }

    public func tables(_ family: Family) throws -> [Table] {
        contents.withLock { contents in
            contents.tables.values.map(\.table).filter { $0.family == family }.sorted { $0.name < $1.name }
        }
    }

    public func chains(of table: Table) throws -> [Chain] {
        read(table) { contents in contents.chainOrder.compactMap { contents.chains[$0] } } ?? []
    }

    public func rules(of table: Table) throws -> [ListedRule] {
        read(table) { contents in
            contents.chainOrder.flatMap { chain in contents.rules.filter { $0.rule.chain == chain } }
        } ?? []
    }

    public func sets(of table: Table) throws -> [SetLayout] {
        read(table) { contents in contents.setOrder.compactMap { contents.sets[$0]?.layout } } ?? []
    }

    public func elements(
        of set: String,
        in table: Table,
        restart: () -> Void,
        _ body: (Element) -> Void
    ) throws {
        restart()
        let elements = read(table) { contents in
            contents.sets[set].map { set in set.order.compactMap { set.elements[$0] } } ?? []
        }
        for element in elements ?? [] { body(element) }
    }

    public func find(_ runs: [[Concatenation]], in set: NamedSet, of table: Table, _ body: (Element) -> Void) throws {
        let found = read(table) { contents in
            runs.flatMap { keys in
                var run: [Element] = []
                for key in keys {
                    guard let element = contents.sets[set.name]?.elements[ElementKey(Element(key))] else { break }
                    run.append(element)
                }
                return run
            }
        }
        for element in found ?? [] { body(element) }
    }

    private func read<Result: Sendable>(_ table: Table, _ body: (TableContents) -> Result) -> Result? {
        contents.withLock { contents in
            contents.tables[TableKey(family: table.family, name: table.name)].map(body)
        }
    }
}

extension SetLayout {
    /// What the kernel compares when a set is added a second time.
    fileprivate var comparable: [UInt64?] {
        [
            UInt64(flags), UInt64(keyType), UInt64(keyLength), dataType.map(UInt64.init), dataLength.map(UInt64.init),
            timeout, countsPackets ? 1 : 0,
        ]
    }
}
