import Glibc

extension NetlinkSocket {
    /// How long the kernel may take for a removal.
    private static let removalTime = Duration.seconds(10)

    /// Removes an interface of the calling thread's namespace, for a veth both ends. On return nobody can see or use it
    /// any more, and its name is free.
    ///
    /// The kernel acknowledges a removal only when it has also freed the interface's memory, which takes ten times as
    /// long as the removal (it waits for all processors, once and once more) and concerns nobody. So another process asks
    /// and waits, and here the news of the removal is enough. That process ends by itself within some 20 ms.
    /// - Throws: What the kernel answers, as ENODEV when there is no such interface.
    public static func removeLink(_ link: LinkSelector) throws(NetlinkError) {
        let socket = try NetlinkSocket()
        if case .index(let index) = link { socket.channel.hearOnly(ofRemovalOf: index) }
        try socket.subscribe(to: .link)
        try socket.remove(link)
    }

    private func remove(_ link: LinkSelector) throws(NetlinkError) {
        let request = NetlinkRequest.deleteLink(link)
        var bytes: [UInt8] = []
        try encode(request, flags: MessageFlags.acknowledge, into: &bytes)
        if !channel.transmitFromElsewhere(bytes) { try channel.transmit(bytes, for: request.summary) }

        let end = ContinuousClock.now + Self.removalTime
        while ContinuousClock.now < end {
            guard let messages = try news(for: request.summary) else {
                // What got lost may be just what is waited for.
                if try NetlinkSocket().linkIfPresent(link) == nil { return }
                continue
            }
            for message in messages {
                if isAnswer(message) {
                    if let error = try refusal(of: request, in: message) { throw error }
                    return
                }
                if Self.tells(message, theRemovalOf: link) { return }
            }
        }
        throw NetlinkError(request: request.summary(), cause: .timedOut)
    }

    /// The messages of the next datagram; `nil` when some were lost.
    private func news(for purpose: NetlinkChannel.Purpose) throws(NetlinkError) -> [Message]? {
        do throws(NetlinkError) {
            return try channel.receive(for: purpose)
        } catch {
            switch error.cause {
            case .systemCall(_, code: ENOBUFS), .truncated: return nil
            default: throw error
            }
        }
    }

    private func isAnswer(_ message: Message) -> Bool {
        message.type == ControlMessage.error && message.sequence == sequence && message.portID == channel.portID
    }

    /// A bridge tells in the same words that an interface has left it; only the address family differs.
    private static func tells(_ message: Message, theRemovalOf link: LinkSelector) -> Bool {
        guard message.type == RouteMessage.deleteLink, message.body.first == UInt8(AF_UNSPEC),
            let gone = try? Link(message)
        else { return false }
        return switch link {
        case .index(let index): gone.index == index
        case .name(let name): gone.name == name
        }
    }
}
