import CNetfilter

/// The kernel's word on one message (struct nlmsgerr).
struct Acknowledgement {
    /// An error number, or 0.
    let code: CInt
    /// Which message is meant.
    let sequence: UInt32
    /// Where in that message the attribute is that was refused (NLMSGERR_ATTR_OFFS).
    let offset: Int?

    init?(_ message: Message) {
        let payload = message.payload
        guard message.type == UInt16(NLMSG_ERROR), payload.count >= 20 else { return nil }
        code = -payload.loadUnaligned(as: CInt.self)
        sequence = payload.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
        // NLM_F_ACK_TLVS: attributes follow the header of the refused message, or that whole message unless it was
        // left out (NLM_F_CAPPED).
        var offset: Int?
        if message.flags & 0x200 != 0 {
            let length = Int(payload.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
            let start = message.flags & 0x100 != 0 ? 20 : 4 + ((length + 3) & ~3)
            if start <= payload.count {
                for attribute in AttributeSequence(UnsafeRawBufferPointer(rebasing: payload[start...]))
                where UInt32(attribute.type) == NLMSGERR_ATTR_OFFS.rawValue && attribute.payload.count == 4 {
                    offset = Int(attribute.payload.loadUnaligned(as: UInt32.self))
                }
            }
        }
        self.offset = offset
    }
}

extension Transaction {
    /// Names what the kernel refused.
    func refusal(_ acknowledgement: Acknowledgement) -> Refusal {
        let index = Int(acknowledgement.sequence) - 1
        guard subjects.indices.contains(index) else {
            return Refusal(change: .add, object: .table, table: table, code: acknowledgement.code)
        }
        let subject = subjects[index]
        var object = subject.object
        if case .element(let set, _) = object {
            object = .element(of: set, key: key(inMessageAt: subject.offset, attributeAt: acknowledgement.offset))
        }
        return Refusal(change: subject.change, object: object, table: table, code: acknowledgement.code)
    }

    /// The key of the element whose attribute is at this place, or of the only element of the message.
    func key(inMessageAt start: Int, attributeAt offset: Int?) -> Concatenation? {
        messages.withBytes { bytes in
            var keys: [Concatenation] = []
            for message in MessageSequence(UnsafeRawBufferPointer(rebasing: bytes[start...])).prefix(1) {
                guard let base = message.bytes.baseAddress else { return nil }
                for list in message.attributes where UInt32(list.type) == NFTA_SET_ELEM_LIST_ELEMENTS.rawValue {
                    for nest in list.nested {
                        guard let key = ElementCoding.read(nest.nested)?.key else { continue }
                        if let offset, let place = nest.payload.baseAddress, place - base - 4 == offset { return key }
                        keys.append(key)
                    }
                }
            }
            return keys.count == 1 ? keys[0] : nil
        }
    }
}
