import Glibc
import NetworkTypes
import Synchronization

/// A client's connection with its connection to a target, both on one loop.
///
/// It is kept alive by the loop's slots: of the target's socket until there is a connection, then of both.
final class TCPConnection: EventHandler {
    private let listener: TCPListener
    private let client: Int32
    private let clientAddress: TransportAddress
    private var target: Int32 = -1
    private var targetAddress: TransportAddress
    private var failed: [TransportAddress] = []
    private var isConnected = false
    private var isOver = false
    private var toTarget = OneWay()
    private var toClient = OneWay()
    private var hasAnswered = false
    /// Until when a client may go on sending after an answer that its target did not let it finish for.
    private var lingerEnd: ContinuousClock.Instant?

    /// Targets that are tried for one client at most.
    private static let attemptLimit = 16
    private static let interest: Readiness = [.readable, .writable, .ended, .edges]

    /// Begins a connection for a client that was accepted; it is this connection's from now on.
    static func begin(_ client: Int32, _ address: TransportAddress, of listener: TCPListener, on loop: EventLoop) {
        let group = listener.group
        guard let question = listener.routing.question(for: address.address),
            let target = group.choose(question, for: address.address, tried: [], on: loop)
        else {
            group.refused.add(1, ordering: .relaxed)
            return Socket.reset(client)
        }
        listener.environment.budget.take(2)
        group.connections.add(1, ordering: .relaxed)
        group.open.add(1, ordering: .relaxed)
        let connection = TCPConnection(client, address, of: listener, first: target)
        connection.connect(on: loop)
    }

    private init(_ client: Int32, _ address: TransportAddress, of listener: TCPListener, first: TransportAddress) {
        self.client = client
        self.listener = listener
        clientAddress = address
        targetAddress = first
    }

    // MARK: Connecting

    /// Dials the chosen target, and others as long as they refuse at once.
    private func connect(on loop: EventLoop) {
        while true {
            let code = dial(on: loop)
            guard code != 0 else { return }
            guard next(after: code, on: loop) else { return }
        }
    }

    /// - Returns: 0 when the connection is on its way, else an error number.
    private func dial(on loop: EventLoop) -> Int32 {
        do {
            target = try Socket.make(.tcp, targetAddress.address.family)
        } catch {
            return error.code
        }
        Socket.adjustStream(target)
        let result = SocketAddress(targetAddress).with { Glibc.connect(target, $0, $1) }
        let code = result == 0 ? 0 : errno
        if code == 0 || code == EINPROGRESS {
            do {
                try loop.add(target, Self.interest, self)
                loop.watch(target, in: listener.environment.connectTimeout)
                return 0
            } catch {
                closeTarget(on: loop)
                return error.code
            }
        }
        closeTarget(on: loop)
        return code
    }

    /// Chooses another target after one could not be reached.
    ///
    /// - Returns: whether there is one; else the client was refused.
    private func next(after code: Int32, on loop: EventLoop) -> Bool {
        let group = listener.group
        group.left(targetAddress)
        if Self.isOurs(code) {
            // Another target would fare no better, and this one is not to blame.
            listener.environment.shed(group, because: SystemCallError(call: "connect", code: code).description)
            finish(on: loop)
            return false
        }
        group.failed(targetAddress, at: loop.now, SystemCallError(call: "connect", code: code).description)
        failed.append(targetAddress)
        guard failed.count < Self.attemptLimit, let question = listener.routing.question(for: clientAddress.address),
            let target = group.choose(question, for: clientAddress.address, tried: failed, on: loop)
        else {
            group.refused.add(1, ordering: .relaxed)
            finish(on: loop)
            return false
        }
        targetAddress = target
        return true
    }

    /// Whether an error says that this process or node has run out of something.
    private static func isOurs(_ code: Int32) -> Bool {
        [EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EADDRNOTAVAIL].contains(code)
    }

    private func connected(on loop: EventLoop) {
        isConnected = true
        listener.group.succeeded(targetAddress)
        failed = []
        if listener.routing.specification.balancing.sendsProxyHeader {
            toTarget.hold(ProxyHeader.version2(source: clientAddress, destination: dialledAddress))
        }
        do {
            // A request has mostly come by now; what comes later is told.
            guard pump(on: loop) else { return }
            try loop.add(client, Self.interest, self)
        } catch {
            end(byReset: true, on: loop)
        }
    }

    private var dialledAddress: TransportAddress {
        let bound = listener.endpoint.at
        return bound.address.isUnspecified ? Socket.localAddress(client) ?? bound : bound
    }

    override func timedOut(_ descriptor: Int32, on loop: EventLoop) {
        guard !isOver else { return }
        if let lingerEnd, loop.now >= lingerEnd { return end(byReset: false, on: loop) }
        guard !isConnected else { return }
        closeTarget(on: loop)
        if next(after: ETIMEDOUT, on: loop) { connect(on: loop) }
    }

    // MARK: Connected

    override func ready(_ descriptor: Int32, _ events: Readiness, on loop: EventLoop) {
        guard !isOver else { return }
        guard isConnected else { return targetReady(events, on: loop) }
        let hasHungUp = !events.isDisjoint(with: [.ended, .hangUp, .error])
        let mayRead = hasHungUp || events.contains(.readable)
        let mayWrite = !events.isDisjoint(with: [.writable, .hangUp, .error])
        if descriptor == client {
            if mayRead { toTarget.mayRead = true }
            if hasHungUp { toTarget.hasHungUp = true }
            if mayWrite { toClient.mayWrite = true }
        } else {
            if mayRead { toClient.mayRead = true }
            if hasHungUp { toClient.hasHungUp = true }
            if mayWrite { toTarget.mayWrite = true }
        }
        _ = pump(on: loop)
    }

    private func targetReady(_ events: Readiness, on loop: EventLoop) {
        let hasFailed = !events.isDisjoint(with: [.error, .hangUp])
        let code = hasFailed ? Socket.pendingError(target) : 0
        if hasFailed {
            closeTarget(on: loop)
            if next(after: code == 0 ? ECONNRESET : code, on: loop) { connect(on: loop) }
        } else if events.contains(.writable) {
            if events.contains(.ended) { toClient.hasHungUp = true }
            connected(on: loop)
        }
    }

    /// Moves what can be moved, and ends the connection when both sides have ended.
    ///
    /// - Returns: whether the connection goes on.
    private func pump(on loop: EventLoop) -> Bool {
        let group = listener.group
        var (received, sent): (UInt64, UInt64) = (0, 0)
        var first = toTarget.transfer(from: client, to: target, through: loop.buffer, count: &received)
        // Before an answer can be heard.
        if received > 0 { group.received.add(received, ordering: .relaxed) }
        let second = toClient.transfer(from: target, to: client, through: loop.buffer, count: &sent)
        if sent > 0 {
            group.sent.add(sent, ordering: .relaxed)
            hasAnswered = true
        }
        if first == .refused {
            // It may have answered before it stopped to read, as HTTP servers do with 413.
            toTarget.discard()
            first = .more
        }
        if first == .broken || [.broken, .refused].contains(second)
            || toTarget.isDiscarding && toClient.isDone && !hasAnswered
        {
            end(byReset: true, on: loop)
            return false
        }
        if toTarget.isDone, toClient.isDone {
            end(byReset: false, on: loop)
            return false
        }
        toTarget.shutDown(target)
        toClient.shutDown(client)
        if toTarget.isDiscarding, toClient.isDone, lingerEnd == nil {
            // To close while bytes arrive would reset the client, which then might not read the answer.
            let timeout = listener.environment.lingerTimeout
            lingerEnd = loop.now + timeout.duration
            loop.watch(target, in: timeout)
        }
        if first == .more || second == .more { loop.resume(target) }
        return true
    }

    // MARK: The end

    /// Cuts the connection if it leads to a target that is gone.
    func abandon(unless isKept: (TransportAddress) -> Bool, on loop: EventLoop) {
        guard !isOver, isConnected, !isKept(targetAddress) else { return }
        end(byReset: true, on: loop)
    }

    /// Cuts the connection, in whatever state.
    func abort(on loop: EventLoop) {
        guard !isOver else { return }
        end(byReset: true, on: loop)
    }

    func belongs(to listener: TCPListener) -> Bool { self.listener === listener }

    private func end(byReset isReset: Bool, on loop: EventLoop) {
        listener.group.left(targetAddress)
        if target >= 0 {
            loop.forget(target)
            if isReset { Socket.reset(target) } else { close(target) }
            target = -1
        }
        loop.forget(client)
        if !isReset {
            close(client)
            finishCounting()
        } else {
            finish(on: loop)
        }
    }

    private func closeTarget(on loop: EventLoop) {
        guard target >= 0 else { return }
        loop.forget(target)
        close(target)
        target = -1
    }

    /// Resets the client, whose target is none any more.
    private func finish(on loop: EventLoop) {
        Socket.reset(client)
        finishCounting()
    }

    private func finishCounting() {
        isOver = true
        toTarget.release()
        toClient.release()
        listener.environment.budget.give(2)
        listener.group.open.subtract(1, ordering: .relaxed)
    }
}
