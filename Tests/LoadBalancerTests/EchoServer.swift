import CLinux
import Glibc
import Netlink
import NetworkTypes
import Synchronization
import TestSupport

/// A TCP server for thousands of connections that sends back what it gets.
final class EchoServer: Sendable {
    private let listener: TestSocket
    private let state = Mutex((accepted: 0, isStopping: false))

    var accepted: Int { state.withLock { $0.accepted } }

    init(in namespace: NetworkNamespace, _ address: IPAddress, _ port: UInt16) throws {
        listener = try TestSocket(.tcp, in: namespace, bound: address, port: port)
        Glibc.listen(listener.descriptor, 4096)
        Task.detached { [self] in
            await withCheckedContinuation { done in
                namespaceless {
                    self.serve(); done.resume()
                }
            }
        }
    }

    func stop() { state.withLock { $0.isStopping = true } }

    private func serve() {
        var polled = [pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)]
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !state.withLock({ $0.isStopping }) {
            guard poll(&polled, nfds_t(polled.count), 50) > 0 else { continue }
            var open = [polled[0]]
            for entry in polled.dropFirst() {
                guard entry.revents != 0 else {
                    open.append(entry)
                    continue
                }
                let count = recv(entry.fd, &buffer, buffer.count, 0)
                if count > 0, send(entry.fd, buffer, count, Int32(MSG_NOSIGNAL)) == count {
                    open.append(entry)
                } else {
                    close(entry.fd)
                }
            }
            if polled[0].revents != 0 {
                let client = accept(listener.descriptor, nil, nil)
                if client >= 0 {
                    state.withLock { $0.accepted += 1 }
                    open.append(pollfd(fd: client, events: Int16(POLLIN), revents: 0))
                }
            }
            polled = open
        }
        for entry in polled.dropFirst() { close(entry.fd) }
    }
}

/// Runs something that blocks on a thread of its own.
private func namespaceless(_ body: @escaping @Sendable () -> Void) {
    let current = try? NetworkNamespace.current()
    Task.detached { try? await current?.run { body() } }
}
