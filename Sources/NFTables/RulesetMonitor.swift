import CNetfilter
import Glibc

import class Netlink.NetworkNamespace

/// One commit to the ruleset of a network namespace, as the kernel announces it to everyone.
public struct RulesetChange: Hashable, Sendable {
    /// A kind of object that was added or removed.
    public enum Object: Hashable, Sendable {
        case table
        case chain(String)
        case rule(chain: String)
        case set(String)
        case elements(set: String)
    }

    public struct Item: Hashable, Sendable {
        public let family: Family
        public let table: String
        public let object: Object
        public let isRemoval: Bool
    }

    /// The generation that the commit made.
    public let generation: UInt32
    /// The netlink port of the socket that committed; see ``NetfilterSocket/portID``.
    public let portID: UInt32
    /// The thread that committed.
    public let threadID: UInt32
    /// The name of that thread, at most 15 bytes; of a program with one thread, the program's.
    public let processName: String
    /// What changed; several elements of a set, or rules of a chain, in a row are one item.
    public let items: [Item]
    /// Announcements were lost before this one, so anything may have changed.
    public let isIncomplete: Bool
}

/// Tells of every commit to nf_tables (NFNLGRP_NFTABLES), by anyone.
///
/// While somebody listens, the kernel composes a message for each element that is added or removed, also by us. The
/// announcements of one large commit can be more than the socket holds; then the next change says so.
public struct RulesetMonitor: ~Copyable {
    /// Readable when there may be a change to take; for poll or epoll.
    public let fileDescriptor: CInt
    private var items: [RulesetChange.Item] = []
    private var isIncomplete = false
    private var ready: [RulesetChange] = []
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)

    /// Opens a socket that does not listen yet.
    ///
    /// - Parameter portID: a socket whose commits are not of interest (``NetfilterSocket/portID``). The kernel does not
    ///   even queue what it announces of them, so they cannot fill the buffer, however large they are.
    /// - Throws: ``NFTablesError/system(call:code:)``
    public init(in namespace: NetworkNamespace? = nil, ignoring portID: UInt32? = nil) throws {
        fileDescriptor = try Self.open(in: namespace, ignoring: portID)
    }

    /// Begins to listen. What is committed from now on will be seen.
    ///
    /// - Throws: ``NFTablesError/system(call:code:)``
    public func listen() throws {
        var group = CInt(NFNLGRP_NFTABLES.rawValue)
        // SOL_NETLINK
        guard setsockopt(fileDescriptor, 270, NETLINK_ADD_MEMBERSHIP, &group, socklen_t(MemoryLayout<CInt>.size)) == 0
        else { throw NFTablesError.system(call: "NETLINK_ADD_MEMBERSHIP", code: errno) }
    }

    private static func open(in namespace: NetworkNamespace?, ignoring portID: UInt32?) throws -> CInt {
        let descriptor = try NetfilterSocket.open(in: namespace)
        if let portID, !ignore(portID, on: descriptor) {
            let code = errno
            close(descriptor)
            throw NFTablesError.system(call: "SO_ATTACH_FILTER", code: code)
        }
        return descriptor
    }

    /// Attaches a socket filter (linux/filter.h) that drops messages by the port in their header.
    private static func ignore(_ portID: UInt32, on descriptor: CInt) -> Bool {
        func instruction(_ code: UInt16, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0, _ operand: UInt32) -> UInt64 {
            UInt64(code) | UInt64(ifTrue) << 16 | UInt64(ifFalse) << 24 | UInt64(operand) << 32
        }
        var program = [
            // BPF_LD | BPF_W | BPF_ABS: nlmsg_pid, read as if it were in network byte order.
            instruction(0x20, 12),
            // BPF_JMP | BPF_JEQ | BPF_K
            instruction(0x15, ifTrue: 0, ifFalse: 1, portID.bigEndian),
            // BPF_RET | BPF_K: nothing of the message, or all of it.
            instruction(0x06, 0), instruction(0x06, .max),
        ].map(\.littleEndian)
        return program.withUnsafeMutableBytes { bytes in
            // struct sock_fprog: the number of instructions and a pointer to them.
            var filter = (length: UInt(4), instructions: bytes.baseAddress)
            // SO_ATTACH_FILTER
            return setsockopt(descriptor, SOL_SOCKET, 26, &filter, socklen_t(16)) == 0
        }
    }

    deinit {
        close(fileDescriptor)
        buffer.deallocate()
    }

    /// The next change that is complete, or `nil` when there is none yet. Does not wait.
    ///
    /// - Throws: ``NFTablesError/system(call:code:)``
    public mutating func next() throws -> RulesetChange? {
        while ready.isEmpty {
            let count = recv(fileDescriptor, buffer.baseAddress, buffer.count, CInt(MSG_DONTWAIT))
            if count < 0 {
                switch errno {
                case EAGAIN: return nil
                case EINTR: continue
                case ENOBUFS:
                    isIncomplete = true
                    items = []
                    continue
                default: throw NFTablesError.system(call: "recv", code: errno)
                }
            }
            for message in MessageSequence(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { take(message) }
        }
        return ready.removeFirst()
    }

    private mutating func take(_ message: Message) {
        guard let type = message.tableMessage else { return }
        if type == NFT_MSG_NEWGEN {
            finish(message)
            return
        }
        let object: (name: UInt32?, isRemoval: Bool, make: (String) -> RulesetChange.Object)
        switch type {
        case NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE: object = (nil, type == NFT_MSG_DELTABLE, { _ in .table })
        case NFT_MSG_NEWCHAIN, NFT_MSG_DELCHAIN:
            object = (NFTA_CHAIN_NAME.rawValue, type == NFT_MSG_DELCHAIN, { .chain($0) })
        case NFT_MSG_NEWRULE, NFT_MSG_DELRULE:
            object = (NFTA_RULE_CHAIN.rawValue, type == NFT_MSG_DELRULE, { .rule(chain: $0) })
        case NFT_MSG_NEWSET, NFT_MSG_DELSET:
            object = (NFTA_SET_NAME.rawValue, type == NFT_MSG_DELSET, { .set($0) })
        case NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM:
            object = (NFTA_SET_ELEM_LIST_SET.rawValue, type == NFT_MSG_DELSETELEM, { .elements(set: $0) })
        default: return
        }
        // The table is attribute 1 in all of these messages.
        var table = ""
        var name = ""
        for attribute in message.attributes {
            if attribute.type == 1 {
                table = attribute.string
            } else if let number = object.name, UInt32(attribute.type) == number {
                name = attribute.string
            }
        }
        guard let family = message.family else { return }
        let item = RulesetChange.Item(
            family: family,
            table: table,
            object: object.make(name),
            isRemoval: object.isRemoval
        )
        if items.last != item { items.append(item) }
    }

    private mutating func finish(_ message: Message) {
        var generation: UInt32 = 0
        var thread: UInt32 = 0
        var name = ""
        for attribute in message.attributes {
            switch UInt32(attribute.type) {
            case NFTA_GEN_ID.rawValue: generation = attribute.integer ?? 0
            case NFTA_GEN_PROC_PID.rawValue: thread = attribute.integer ?? 0
            case NFTA_GEN_PROC_NAME.rawValue: name = attribute.string
            default: break
            }
        }
        ready.append(
            RulesetChange(
                generation: generation,
                portID: message.portID,
                threadID: thread,
                processName: name,
                items: items,
                isIncomplete: isIncomplete
            )
        )
        items = []
        isIncomplete = false
    }
}
