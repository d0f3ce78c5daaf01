import CLinux
import Glibc
import NetworkTypes

/// A client's datagrams to a target and back, with a socket of its own towards the target.
final class UDPFlow: EventHandler {
    let target: TransportAddress
    private let client: UDPListener.Client
    private let listener: UDPListener
    private let descriptor: Int32
    private var lastUse: ContinuousClock.Instant
    private var hasAnswer = false
    private var isOver = false

    private static let batchLimit = 64

    init(
        of client: UDPListener.Client,
        to target: TransportAddress,
        _ listener: UDPListener,
        on loop: EventLoop
    ) throws(SystemCallError) {
        self.client = client
        self.target = target
        self.listener = listener
        lastUse = loop.now
        descriptor = try Socket.make(.udp, target.address.family)
        super.init()
        do {
            try SystemCallError.check("connect", SocketAddress(target).with { connect(descriptor, $0, $1) })
            try loop.add(descriptor, [.readable], self)
        } catch {
            close(descriptor)
            throw error
        }
        loop.watch(descriptor, in: idleTimeout)
        listener.environment.flows.take(1)
        listener.environment.budget.take(1)
        listener.group.open.add(1, ordering: .relaxed)
    }

    private var idleTimeout: Timeout {
        let options = listener.environment.options
        return Timeout(duration: hasAnswer ? options.answeredFlowTimeout : options.flowTimeout)
    }

    /// - Returns: the target, when it has refused; the flow is over then.
    func forward(_ bytes: UnsafeRawBufferPointer, on loop: EventLoop) -> TransportAddress? {
        lastUse = loop.now
        if send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)) >= 0 { return nil }
        // What a full buffer does not take is lost, as datagrams are; that it is too long is for the client to find out.
        guard [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH].contains(errno) else { return nil }
        failed(errno, on: loop)
        return target
    }

    override func ready(_ descriptor: Int32, _ events: Readiness, on loop: EventLoop) {
        for _ in 0..<Self.batchLimit where !isOver {
            let count = recv(descriptor, loop.buffer.baseAddress, loop.buffer.count, 0)
            if count >= 0 {
                lastUse = loop.now
                if !hasAnswer {
                    hasAnswer = true
                    listener.group.succeeded(target)
                }
                listener.answer(UnsafeRawBufferPointer(rebasing: loop.buffer[..<count]), to: client)
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                return failed(errno, on: loop)
            }
        }
    }

    override func timedOut(_ descriptor: Int32, on loop: EventLoop) {
        if loop.now - lastUse >= idleTimeout.duration {
            end(on: loop)
        } else {
            loop.watch(descriptor, in: idleTimeout)
        }
    }

    private func failed(_ code: Int32, on loop: EventLoop) {
        listener.group.failed(target, at: loop.now, SystemCallError(call: "send", code: code).description)
        end(on: loop)
    }

    func end(on loop: EventLoop) {
        guard !isOver else { return }
        isOver = true
        loop.forget(descriptor)
        close(descriptor)
        listener.ended(client)
        listener.group.left(target)
        listener.group.open.subtract(1, ordering: .relaxed)
        listener.environment.flows.give(1)
        listener.environment.budget.give(1)
    }
}
