import CLinux
import Glibc
import NetworkTypes
import Synchronization

/// A TCP socket that all loops accept from.
final class TCPListener: Listener, @unchecked Sendable {
    /// Connections that one loop takes at a time, so that the others get theirs.
    private static let acceptLimit = 16
    private static let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)

    override func ready(_ descriptor: Int32, _ events: Readiness, on loop: EventLoop) {
        var address = SocketAddress()
        for _ in 0..<Self.acceptLimit {
            let client = address.withMutable { accept4(descriptor, $0, $1, Self.flags) }
            guard client >= 0 else {
                switch errno {
                case EAGAIN: return
                case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                    // The limit of this load balancer was meant to prevent it: others of this process hold the rest.
                    environment.shed(group, because: SystemCallError(call: "accept", code: errno).description)
                    return pause(descriptor, on: loop)
                default: continue  // Of a client that has gone again (accept(2), "Error handling").
                }
            }
            guard let source = address.value else {
                close(client)
                continue
            }
            guard environment.budget.has(2) else {
                environment.shed(group, because: "all of \(environment.budget.limit) descriptors are in use")
                Socket.reset(client)
                continue
            }
            TCPConnection.begin(client, source, of: self, on: loop)
        }
    }

    /// Without descriptors nothing can be accepted, and epoll would tell of it for ever.
    private func pause(_ descriptor: Int32, on loop: EventLoop) {
        loop.remove(descriptor)
        loop.schedule(after: .milliseconds(100)) { loop in self.listen(to: descriptor, on: loop) }
    }

    override func listen(to descriptor: Int32, on loop: EventLoop) {
        guard self.descriptor == descriptor else { return }
        try? loop.add(descriptor, [.readable, .exclusive], self)  // Fails for want of kernel memory alone.
    }

    override func targetsChanged(on loop: EventLoop) {
        guard let timeout = environment.options.drainTimeout else { return }
        loop.schedule(after: timeout) { loop in
            // Those whose targets have come back meanwhile are spared.
            let routing = self.routing
            for case let connection as TCPConnection in loop.handlers where connection.belongs(to: self) {
                connection.abandon(unless: routing.has, on: loop)
            }
        }
    }
}
