import CNetfilter

/// Netlink messages one after the other in one growing piece of memory, written in place by libmnl and libnftnl.
struct MessageBuffer: Sendable {
    private var storage: [UInt8] = []
    /// The bytes in use.
    private(set) var count = 0

    /// Appends a message. libnftnl does not look where its buffer ends, so `room` must be enough for what `body` writes.
    mutating func append(
        _ type: nf_tables_msg_types,
        _ family: Family,
        flags: Int32,
        sequence: UInt32,
        room: Int,
        _ body: (UnsafeMutablePointer<nlmsghdr>) -> Void
    ) {
        reserve(room)
        let start = count
        storage.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            let header = nftnl_nlmsg_build_hdr(
                (base + start).assumingMemoryBound(to: CChar.self),
                UInt16(type.rawValue),
                UInt16(family.rawValue),
                UInt16(truncatingIfNeeded: flags),
                sequence
            )
            guard let header else { return }
            body(header)
            count = start + Int(header.pointee.nlmsg_len)
        }
    }

    /// Goes on writing the last message, which starts at `start`.
    mutating func extend(from start: Int, room: Int, _ body: (UnsafeMutablePointer<nlmsghdr>) -> Void) {
        reserve(room)
        storage.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            let header = (base + start).assumingMemoryBound(to: nlmsghdr.self)
            body(header)
            count = start + Int(header.pointee.nlmsg_len)
        }
    }

    mutating func reserve(_ room: Int) {
        if storage.count - count < room {
            storage.append(contentsOf: repeatElement(0, count: max(room, storage.count)))
        }
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try storage.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
}
