import CNetfilter
import Glibc
import Synchronization

import class Netlink.NetworkNamespace

/// The kernel's nf_tables, through a netlink socket.
///
/// A socket stays in the network namespace it was made in, whichever thread uses it.
///
/// Unchecked because `state` is only touched while `lock` is held, which the compiler cannot see.
public final class NetfilterSocket: NFTablesKernel, @unchecked Sendable {
    private struct State: ~Copyable {
        let descriptor: CInt
        var sendBuffer = 0
        var sequence: UInt32 = 0
        var commitCount: UInt32 = 0
        /// For what the kernel sends; a dump comes in pieces of at most 32 KiB.
        let received = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)

        init(descriptor: CInt) {
            self.descriptor = descriptor
        }

        deinit {
            close(descriptor)
            received.deallocate()
        }
    }

    private let lock = Mutex(())
    /// What announcements of our own commits carry (``RulesetChange/portID``).
    public let portID: UInt32
    private var state: State

    /// - Parameter namespace: where to work, or `nil` for the namespace of the caller. A socket stays where it was
    ///   made, so that only its making happens there.
    /// - Throws: ``NFTablesError/system(call:code:)``, or `NetworkNamespaceError` when the namespace cannot be entered.
    public init(in namespace: NetworkNamespace? = nil) throws {
        let descriptor = try Self.open(in: namespace)
        var address = sockaddr_nl()
        var length = socklen_t(MemoryLayout<sockaddr_nl>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        portID = address.nl_pid
        state = State(descriptor: descriptor)
    }

    /// Opens a netfilter socket with what all users of this module want.
    static func open(in namespace: NetworkNamespace?) throws -> CInt {
        guard let namespace else { return try openHere().get() }
        return try namespace.run { try openHere().get() }
    }

    private static func openHere() -> Result<CInt, NFTablesError> {
        let descriptor = socket(
            AF_NETLINK,
            CInt(SOCK_RAW.rawValue) | CInt(SOCK_CLOEXEC.rawValue),
            NETLINK_NETFILTER
        )
        guard descriptor >= 0 else { return .failure(.system(call: "socket", code: errno)) }
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        guard bound == 0 else {
            let code = errno
            close(descriptor)
            return .failure(.system(call: "bind", code: code))
        }
        // Errors say which attribute was wrong, and do not repeat the message. Kernels before 4.12 know neither.
        setOption(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, 1)
        setOption(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, 1)
        setBuffer(descriptor, SO_RCVBUFFORCE, SO_RCVBUF, 4 << 20)
        return .success(descriptor)
    }

    private static let SOL_NETLINK: CInt = 270

    @discardableResult
    private static func setOption(_ descriptor: CInt, _ level: CInt, _ option: CInt, _ value: CInt) -> Bool {
        var value = value
        return setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size)) == 0
    }

    /// Beyond the system's limit if we may, else up to it.
    private static func setBuffer(_ descriptor: CInt, _ force: CInt, _ polite: CInt, _ size: Int) {
        let size = CInt(clamping: size)
        if !setOption(descriptor, SOL_SOCKET, force, size) { setOption(descriptor, SOL_SOCKET, polite, size) }
    }

    // MARK: Transactions

    public func commit(_ transaction: Transaction, ifGeneration generation: UInt32?) throws {
        try carryOut(transaction, ifGeneration: generation)
    }

    public var commitCount: UInt32 { lock.withLock { _ in state.commitCount } }

    public func check(_ transaction: Transaction) throws {
        try carryOut(transaction, isCommitted: false)
    }

    /// - Parameter isCommitted: whether the batch has an end, without which the kernel takes all of it back.
    private func carryOut(
        _ transaction: Transaction,
        ifGeneration generation: UInt32? = nil,
        isCommitted: Bool = true
    ) throws {
        guard !transaction.isEmpty else { return }
        try lock.withLock { _ in
            var attempt = 0
            while true {
                do {
                    try Self.carryOutOnce(transaction, generation, isCommitted, &state)
                    if isCommitted { state.commitCount &+= 1 }
                    return
                } catch NFTablesError.refused(let refusals) where attempt < 5 && refusals.allSatisfy(\.isTransient) {
                    attempt += 1
                    usleep(500 << UInt32(attempt))
                }
            }
        }
    }

    private static func carryOutOnce(
        _ transaction: Transaction,
        _ generation: UInt32?,
        _ isCommitted: Bool,
        _ state: inout State
    ) throws {
        // The answers of an interrupted exchange must not be taken for those of this one.
        while try receive(&state, flags: CInt(MSG_DONTWAIT)) != nil {}
        let size = transaction.byteCount + 4096
        if state.sendBuffer < size {
            setBuffer(state.descriptor, SO_SNDBUFFORCE, SO_SNDBUF, size)
            state.sendBuffer = size
        }
        try send(transaction, generation, isCommitted, state.descriptor)
        // The kernel works inside sendmsg, so every answer is there now.
        var isDone = false
        var isLost = false
        var refusals: [(UInt32, Refusal)] = []
        while true {
            let answer: UnsafeRawBufferPointer?
            do {
                answer = try receive(&state, flags: CInt(MSG_DONTWAIT))
            } catch NFTablesError.system(_, ENOBUFS) {
                isLost = true
                continue
            }
            guard let answer else { break }
            for message in MessageSequence(answer) {
                guard let acknowledgement = Acknowledgement(message) else { continue }
                if acknowledgement.code == ERESTART { throw NFTablesError.generationChanged }
                if acknowledgement.code == 0 {
                    isDone = true
                } else {
                    let refusal = transaction.refusal(acknowledgement)
                    refusals.append((acknowledgement.sequence, refusal))
                }
            }
        }
        if !refusals.isEmpty { throw NFTablesError.refused(refusals.sorted { $0.0 < $1.0 }.map(\.1)) }
        if !isDone || isLost { throw NFTablesError.answerLost }
    }

    private static func send(
        _ transaction: Transaction,
        _ generation: UInt32?,
        _ isCommitted: Bool,
        _ descriptor: CInt
    ) throws {
        var begin: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var end: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        try withUnsafeMutableBytes(of: &begin) { begin in
            try withUnsafeMutableBytes(of: &end) { end in
                try transaction.messages.withBytes { body in
                    guard let first = begin.baseAddress, let last = end.baseAddress,
                        let header = nftnl_batch_begin(first.assumingMemoryBound(to: CChar.self), 0),
                        let trailer = nftnl_batch_end(
                            last.assumingMemoryBound(to: CChar.self),
                            UInt32(truncatingIfNeeded: transaction.subjects.count + 1)
                        )
                    else { return }
                    if let generation {
                        mnl_attr_put_u32(header, UInt16(NFNL_BATCH_GENID.rawValue), generation.bigEndian)
                    }
                    let parts = [
                        iovec(iov_base: begin.baseAddress, iov_len: Int(header.pointee.nlmsg_len)),
                        iovec(iov_base: UnsafeMutableRawPointer(mutating: body.baseAddress), iov_len: body.count),
                        iovec(iov_base: end.baseAddress, iov_len: Int(trailer.pointee.nlmsg_len)),
                    ]
                    try send(isCommitted ? parts : parts.dropLast(), descriptor)
                }
            }
        }
    }

    private static func send(_ parts: [iovec], _ descriptor: CInt) throws {
        var parts = parts
        try parts.withUnsafeMutableBufferPointer { parts in
            var message = msghdr()
            message.msg_iov = parts.baseAddress
            message.msg_iovlen = parts.count
            while sendmsg(descriptor, &message, 0) < 0 {
                if errno != EINTR { throw NFTablesError.system(call: "sendmsg", code: errno) }
            }
        }
    }

    /// `nil` when nothing is there and `flags` say not to wait.
    private static func receive(_ state: inout State, flags: CInt) throws -> UnsafeRawBufferPointer? {
        while true {
            let count = recv(state.descriptor, state.received.baseAddress, state.received.count, flags)
            if count >= 0 { return UnsafeRawBufferPointer(rebasing: state.received[..<count]) }
            if errno == EAGAIN || errno == EWOULDBLOCK { return nil }
            if errno != EINTR { throw NFTablesError.system(call: "recv", code: errno) }
        }
    }

    // MARK: Listings

    public func generation() throws -> UInt32 {
        var generation: UInt32?
        try request(
            NFT_MSG_GETGEN,
            family: 0,
            isDump: false,
            "generation",
            restart: { generation = nil },
            attributes: { _ in }
        ) { message in
            for attribute in message.attributes where UInt32(attribute.type) == NFTA_GEN_ID.rawValue {
                generation = attribute.integer
            }
        }
        guard let generation else { throw NFTablesError.answerLost }
        return generation
    }

    public func tables(_ family: Family) throws -> [Table] {
        var all: [Table] = []
        try dump(NFT_MSG_GETTABLE, family, "tables", restart: { all = [] }, attributes: { _ in }) {
            if let table = ObjectCoding.readTable($0) { all.append(table) }
        }
        return all
    }

    public func chains(of table: Table) throws -> [Chain] {
        var all: [Chain] = []
        try dump(
            NFT_MSG_GETCHAIN,
            table.family,
            "chains of table \(table)",
            restart: { all = [] },
            attributes: { mnl_attr_put_strz($0, UInt16(NFTA_CHAIN_TABLE.rawValue), table.name) }
        ) {
            if let (name, chain) = ObjectCoding.readChain($0), name == table.name { all.append(chain) }
        }
        return all
    }

    public func rules(of table: Table) throws -> [ListedRule] {
        var all: [ListedRule] = []
        try dump(
            NFT_MSG_GETRULE,
            table.family,
            "rules of table \(table)",
            restart: { all = [] },
            attributes: { mnl_attr_put_strz($0, UInt16(NFTA_RULE_TABLE.rawValue), table.name) }
        ) {
            if let (name, rule) = ObjectCoding.readRule($0), name == table.name { all.append(rule) }
        }
        return all
    }

    public func sets(of table: Table) throws -> [SetLayout] {
        var all: [SetLayout] = []
        try dump(
            NFT_MSG_GETSET,
            table.family,
            "sets of table \(table)",
            restart: { all = [] },
            attributes: { mnl_attr_put_strz($0, UInt16(NFTA_SET_TABLE.rawValue), table.name) }
        ) {
            if let (name, set) = ObjectCoding.readSet($0), name == table.name { all.append(set) }
        }
        return all
    }

    public func elements(
        of set: String,
        in table: Table,
        restart: () -> Void,
        _ body: (Element) -> Void
    ) throws {
        try dump(
            NFT_MSG_GETSETELEM,
            table.family,
            "elements of \(set) in table \(table)",
            restart: restart,
            attributes: {
                mnl_attr_put_strz($0, UInt16(NFTA_SET_ELEM_LIST_TABLE.rawValue), table.name)
                mnl_attr_put_strz($0, UInt16(NFTA_SET_ELEM_LIST_SET.rawValue), set)
            }
        ) { message in
            message.forEachElement(body)
        }
    }

    /// Sends requests together, which are numbered from the returned sequence on, and passes on what the kernel answers.
    ///
    /// - Parameters:
    ///   - count: how many requests `make` writes; each must ask for an acknowledgement.
    ///   - make: writes them, given the number of the first.
    func exchange(
        _ count: Int,
        make: (_ first: UInt32) -> MessageBuffer,
        _ body: (_ request: Int, Message) throws -> Void
    ) throws {
        try lock.withLock { _ in
            while try Self.receive(&state, flags: CInt(MSG_DONTWAIT)) != nil {}
            let first = state.sequence &+ 1
            state.sequence &+= UInt32(truncatingIfNeeded: count)
            try make(first).withBytes { bytes in
                let part = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
                try Self.send([part], state.descriptor)
            }
            // The kernel works inside sendmsg, so every answer is there now.
            var open = count
            while open > 0 {
                guard let answer = try Self.receive(&state, flags: CInt(MSG_DONTWAIT)) else {
                    throw NFTablesError.answerLost
                }
                for message in MessageSequence(answer) {
                    let request = Int(message.sequence &- first)
                    guard request < count else { continue }
                    if Acknowledgement(message) != nil { open -= 1 }
                    try body(request, message)
                }
            }
        }
    }

    /// A dump, restarted when the kernel says that it was interrupted by a change (NLM_F_DUMP_INTR). What does not
    /// exist has nothing in it.
    private func dump(
        _ type: nf_tables_msg_types,
        _ family: Family,
        _ what: String,
        restart: () -> Void,
        attributes: (UnsafeMutablePointer<nlmsghdr>) -> Void,
        _ body: (Message) -> Void
    ) throws {
        do {
            try request(
                type,
                family: family.rawValue,
                isDump: true,
                what,
                restart: restart,
                attributes: attributes,
                body
            )
        } catch NFTablesError.listing(_, ENOENT) {
            restart()
        }
    }

    private func request(
        _ type: nf_tables_msg_types,
        family: UInt8,
        isDump: Bool,
        _ what: String,
        restart: () -> Void,
        attributes: (UnsafeMutablePointer<nlmsghdr>) -> Void,
        _ body: (Message) -> Void
    ) throws {
        try lock.withLock { _ in
            for _ in 0..<50 {
                while try Self.receive(&state, flags: CInt(MSG_DONTWAIT)) != nil {}
                state.sequence &+= 1
                try Self.sendRequest(type, family, isDump: isDump, attributes, state)
                restart()
                if try Self.readAnswer(isDump: isDump, what, &state, body) { return }
            }
            throw NFTablesError.unsteady
        }
    }

    private static func sendRequest(
        _ type: nf_tables_msg_types,
        _ family: UInt8,
        isDump: Bool,
        _ attributes: (UnsafeMutablePointer<nlmsghdr>) -> Void,
        _ state: borrowing State
    ) throws {
        // Two names at most, of 255 bytes each.
        var request = [UInt8](repeating: 0, count: 2048)
        try request.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress,
                let header = nftnl_nlmsg_build_hdr(
                    base.assumingMemoryBound(to: CChar.self),
                    UInt16(type.rawValue),
                    UInt16(family),
                    isDump ? UInt16(NLM_F_ROOT | NLM_F_MATCH) : 0,
                    state.sequence
                )
            else { return }
            attributes(header)
            try send([iovec(iov_base: base, iov_len: Int(header.pointee.nlmsg_len))], state.descriptor)
        }
    }

    /// Whether the answer was complete and consistent.
    private static func readAnswer(
        isDump: Bool,
        _ what: String,
        _ state: inout State,
        _ body: (Message) -> Void
    ) throws -> Bool {
        var isInterrupted = false
        while true {
            guard let answer = try receive(&state, flags: 0) else { throw NFTablesError.answerLost }
            for message in MessageSequence(answer) where message.sequence == state.sequence {
                if message.flags & UInt16(NLM_F_DUMP_INTR) != 0 { isInterrupted = true }
                if let acknowledgement = Acknowledgement(message) {
                    if acknowledgement.code == EINTR { return false }
                    guard acknowledgement.code == 0 else {
                        throw NFTablesError.listing(what, code: acknowledgement.code)
                    }
                    return !isInterrupted
                }
                if message.type == UInt16(NLMSG_DONE) { return !isInterrupted }
                body(message)
                if !isDump { return true }
            }
        }
    }
}
