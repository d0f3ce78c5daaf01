import Glibc

/// A netlink socket: sends requests to the kernel and reads its answers.
///
/// A socket stays in the network namespace in which it was made, whichever thread uses it later. It is not safe to
/// use from several threads at once, and says so by not being `Sendable`.
public final class NetlinkSocket {
    /// What one request of a batch came to.
    ///
    /// A type of its own, as Swift looks through all types of a program when it first meets a `Result`.
    public enum Outcome {
        /// The messages it was answered with; none for most changes.
        case success([Message])
        case failure(NetlinkError)

        @discardableResult
        public func get() throws(NetlinkError) -> [Message] {
            switch self {
            case .success(let messages): messages
            case .failure(let error): throw error
            }
        }
    }

    let channel: NetlinkChannel
    private(set) var sequence: UInt32 = 0

    private static let batchRequests = 128
    private static let batchBytes = 64 << 10
    private static let listAttempts = 10

    init(_ channel: NetlinkChannel) {
        self.channel = channel
    }

    /// Opens a socket in the network namespace of the calling thread.
    public convenience init(_ netlinkProtocol: NetlinkProtocol = .route) throws(NetlinkError) {
        self.init(try NetlinkChannel(adopting: NetlinkChannel.open(netlinkProtocol)))
    }

    /// Opens a socket that talks about another network namespace. Only the call to `socket` happens there.
    ///
    /// - Throws: ``NetlinkError``, or ``NetworkNamespaceError`` when the namespace cannot be entered.
    public convenience init(_ netlinkProtocol: NetlinkProtocol = .route, in namespace: NetworkNamespace) throws {
        self.init(try NetlinkChannel(adopting: namespace.run { try NetlinkChannel.open(netlinkProtocol) }))
    }

    /// Sends one request and waits for the kernel to acknowledge it.
    public func send(_ request: NetlinkRequest) throws(NetlinkError) {
        try send([request])
    }

    /// Sends requests in one system call and waits for all acknowledgements.
    ///
    /// The kernel carries them out in order and does not stop at the first that it refuses.
    /// - Throws: The first refusal.
    public func send(_ requests: [NetlinkRequest]) throws(NetlinkError) {
        for outcome in try exchange(requests) { try outcome.get() }
    }

    /// Sends requests in one system call (a few, when there are hundreds) and gives what became of each.
    ///
    /// The kernel carries them out in order and does not stop at one that it refuses.
    /// - Throws: When the socket itself fails, or a request cannot be encoded (then nothing of its batch was sent).
    public func exchange(_ requests: [NetlinkRequest]) throws(NetlinkError) -> [Outcome] {
        var outcomes: [Outcome] = []
        outcomes.reserveCapacity(requests.count)
        var rest = requests[...]
        while !rest.isEmpty {
            var bytes: [UInt8] = []
            var count = 0
            for request in rest.prefix(Self.batchRequests) {
                guard count == 0 || bytes.count + request.body.bytes.count <= Self.batchBytes else { break }
                try encode(request, flags: MessageFlags.acknowledge, into: &bytes)
                count += 1
            }
            outcomes += try exchange(batch: rest.prefix(count), encodedAs: bytes)
            rest = rest.dropFirst(count)
        }
        return outcomes
    }

    /// Asks for one object.
    ///
    /// - Throws: What the kernel answers when there is no such object, as ENODEV for a link.
    public func get<Element>(_ query: NetlinkQuery<Element>) throws(NetlinkError) -> Element {
        let outcomes: [Outcome]
        do throws(NetlinkError) {
            outcomes = try exchange([query.request])
        } catch {
            // The buffer has grown to what the answer needs, and asking twice changes nothing.
            guard case .truncated = error.cause else { throw error }
            outcomes = try exchange([query.request])
        }
        for outcome in outcomes {
            if let element = try query.element(in: outcome) { return element }
        }
        throw NetlinkError(request: query.request.summary(), cause: .noAnswer)
    }

    /// Lists objects. When the kernel says that its tables changed meanwhile (NLM_F_DUMP_INTR), it asks again.
    public func list<Element>(_ query: NetlinkQuery<Element>) throws(NetlinkError) -> [Element] {
        for _ in 0..<Self.listAttempts {
            let (elements, isConsistent) = try listOnce(query)
            if isConsistent { return elements }
        }
        throw NetlinkError(
            request: query.request.summary(),
            cause: .interrupted(attempts: Self.listAttempts)
        )
    }

    /// Lists objects of a table that may never hold still: after so many attempts, what the last one gave, though
    /// something may be missing.
    ///
    /// - Parameter limit: how many at most.
    func listWhatever<Element>(
        _ query: NetlinkQuery<Element>,
        limit: Int,
        attempts: Int
    ) throws(NetlinkError) -> [Element] {
        for _ in 1..<attempts {
            let (elements, isConsistent) = try listOnce(query, limit: limit)
            if isConsistent { return elements }
        }
        return try listOnce(query, limit: limit).elements
    }

    /// Joins a multicast group, as ``RouteGroup/link``; its messages come from ``notifications(within:)``.
    ///
    /// Use a socket of its own: a request on this one would drop notifications that arrive before its answer.
    public func subscribe(to group: RouteGroup) throws(NetlinkError) {
        try channel.join(group.rawValue) { "subscribe to \(group)" }
    }

    /// Readable when there are notifications; for poll, epoll or Dispatch, as long as the socket lives.
    public var fileDescriptor: Int32 { channel.descriptor }

    /// Waits for notifications and gives those of the next datagram; empty when none came in time.
    ///
    /// - Throws: A system call error ENOBUFS when notifications were lost, so that the caller must list anew.
    public func notifications(within milliseconds: Int32) throws(NetlinkError) -> [Message] {
        let purpose = { "read notifications" }
        guard try channel.isReadable(within: milliseconds, for: purpose) else { return [] }
        return try channel.receive(for: purpose)
    }

    func encode(
        _ request: NetlinkRequest,
        flags: UInt16,
        into bytes: inout [UInt8]
    ) throws(NetlinkError) {
        if let problem = request.body.problem {
            throw NetlinkError(request: request.summary(), cause: .unencodable(problem))
        }
        sequence &+= 1
        var header = MessageBuilder()
        header.append(UInt32(Message.headerLength + request.body.bytes.count))
        header.append(request.type)
        header.append(request.flags | MessageFlags.request | flags)
        header.append(sequence)
        header.append(channel.portID)
        bytes += header.bytes
        bytes += request.body.bytes
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    /// Sends a batch whose last message has the current sequence number, and reads until all are acknowledged.
    private func exchange(
        batch: ArraySlice<NetlinkRequest>,
        encodedAs bytes: [UInt8]
    ) throws(NetlinkError) -> [Outcome] {
        let first = sequence &- UInt32(batch.count) &+ 1
        var answers = [[Message]](repeating: [], count: batch.count)
        var outcomes = [Outcome?](repeating: nil, count: batch.count)
        var pending = batch.count
        func firstUnanswered() -> String {
            batch[batch.startIndex + (outcomes.firstIndex { $0 == nil } ?? 0)].summary()
        }
        try channel.transmit(bytes, for: firstUnanswered)
        while pending > 0 {
            for message in try channel.receive(for: firstUnanswered) {
                // Answers to an exchange that was given up earlier have other numbers.
                let index = Int(message.sequence &- first)
                guard index < batch.count, message.portID == channel.portID, outcomes[index] == nil else { continue }
                guard message.type == ControlMessage.error || message.type == ControlMessage.done else {
                    answers[index].append(message)
                    continue
                }
                if let error = try refusal(of: batch[batch.startIndex + index], in: message) {
                    outcomes[index] = .failure(error)
                } else {
                    outcomes[index] = .success(answers[index])
                }
                pending -= 1
            }
        }
        return outcomes.compactMap { $0 }
    }

    /// One attempt at a list, and whether the tables held still and nothing was lost.
    private func listOnce<Element>(
        _ query: NetlinkQuery<Element>,
        limit: Int = .max
    ) throws(NetlinkError) -> (elements: [Element], isConsistent: Bool) {
        var bytes: [UInt8] = []
        try encode(query.request, flags: MessageFlags.dump, into: &bytes)
        try channel.transmit(bytes, for: query.request.summary)
        var elements: [Element] = []
        var isConsistent = true
        while true {
            let messages: [Message]
            do throws(NetlinkError) {
                messages = try channel.receive(for: query.request.summary)
            } catch {
                // The buffer has grown meanwhile. The rest of this list must be read before there can be another one.
                guard case .truncated = error.cause else { throw error }
                isConsistent = false
                continue
            }
            for message in messages {
                guard message.sequence == sequence, message.portID == channel.portID else { continue }
                isConsistent = isConsistent && message.flags & MessageFlags.dumpInterrupted == 0
                switch message.type {
                case ControlMessage.error, ControlMessage.done:
                    if let error = try refusal(of: query.request, in: message) { throw error }
                    return (elements, isConsistent)
                default:
                    guard elements.count < limit else { continue }
                    if let element = try query.element(in: message) { elements.append(element) }
                }
            }
        }
    }

    /// The kernel's refusal in an acknowledgement, or `nil` when it says that all went well.
    func refusal(of request: NetlinkRequest, in message: Message) throws(NetlinkError) -> NetlinkError? {
        do throws(MalformedMessage) {
            return try Acknowledgement(message).error(for: request)
        } catch {
            throw NetlinkError(request: request.summary(), cause: .malformed(error.description))
        }
    }
}
