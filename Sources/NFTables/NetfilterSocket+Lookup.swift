import CNetfilter
import Glibc

extension NetfilterSocket {
    /// Few enough that the answers fit into the socket's buffer.
    private static let lookUpsAtOnce = 512

    public func find(_ runs: [[Concatenation]], in set: NamedSet, of table: Table, _ body: (Element) -> Void) throws {
        var start = 0
        while start < runs.count {
            var end = start
            var count = 0
            while end < runs.count, end == start || count + runs[end].count <= Self.lookUpsAtOnce {
                count += runs[end].count
                end += 1
            }
            try find(runs[start..<end], in: set, of: table, body)
            start = end
        }
    }

    private func find(
        _ runs: ArraySlice<[Concatenation]>,
        in set: NamedSet,
        of table: Table,
        _ body: (Element) -> Void
    ) throws {
        try exchange(
            runs.count,
            make: { first in
                var messages = MessageBuffer()
                for (index, keys) in runs.enumerated() {
                    messages.append(lookUp: keys, in: set, of: table, first &+ UInt32(index))
                }
                return messages
            },
            { _, message in
                if let answer = Acknowledgement(message) {
                    // ENOENT: the end of a run, or all of it when there is no such set.
                    guard answer.code == 0 || answer.code == ENOENT else {
                        throw NFTablesError.listing("elements of \(set.name) in table \(table)", code: answer.code)
                    }
                    return
                }
                message.forEachElement(body)
            }
        )
    }
}

extension MessageBuffer {
    fileprivate mutating func append(lookUp keys: [Concatenation], in set: NamedSet, of table: Table, _ number: UInt32)
    {
        append(
            NFT_MSG_GETSETELEM,
            table.family,
            flags: Int32(NLM_F_ACK),
            sequence: number,
            room: ObjectCoding.room + keys.count * (set.key.keyLength + 32)
        ) { message in
            mnl_attr_put_strz(message, UInt16(NFTA_SET_ELEM_LIST_TABLE.rawValue), table.name)
            mnl_attr_put_strz(message, UInt16(NFTA_SET_ELEM_LIST_SET.rawValue), set.name)
            let list = mnl_attr_nest_start(message, UInt16(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue))
            for key in keys {
                ElementCoding.put(
                    Element(key),
                    keyLength: set.key.keyLength,
                    dataLength: 0,
                    keyOnly: true,
                    into: message
                )
            }
            mnl_attr_nest_end(message, list)
        }
    }
}

extension Message {
    /// Calls `body` with the elements of a message that has some.
    func forEachElement(_ body: (Element) -> Void) {
        for attribute in attributes where UInt32(attribute.type) == NFTA_SET_ELEM_LIST_ELEMENTS.rawValue {
            for nest in attribute.nested {
                if let element = ElementCoding.read(nest.nested) { body(element) }
            }
        }
    }
}
