import Foundation
import Glibc
import Netlink
import NetworkTypes
import TestSupport

/// A TCP server at one address and port of a pod, that says its name and what it was told, and ends as a pod does that
/// terminates: when nobody comes any more.
final class EchoEndpoint: Sendable {
    let address: IPAddress
    let port: UInt16
    /// `10.9.1.2:9000`
    let name: String
    private let listener: TestSocket
    private let stop: (read: Int32, write: Int32)
    private let done = DispatchSemaphore(value: 0)

    /// Serves once this returns.
    init(in namespace: NetworkNamespace, _ address: IPAddress, _ port: UInt16) throws {
        self.address = address
        self.port = port
        name = address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
        listener = try TestSocket(.tcp, in: namespace, bound: address, port: port)
        guard listen(listener.descriptor, 1024) == 0 else { throw POSIXError(.EADDRINUSE) }
        _ = fcntl(listener.descriptor, F_SETFL, O_NONBLOCK)
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw POSIXError(.EMFILE) }
        stop = (ends[0], ends[1])
        Thread.detachNewThread { [self] in
            serve()
            done.signal()
        }
    }

    /// Serves who has come by now, and then refuses.
    func close() {
        Glibc.close(stop.write)
        done.wait()
        Glibc.close(stop.read)
    }

    private func serve() {
        var waits = [listener.descriptor, stop.read].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var isStopping = false
        repeat {
            poll(&waits, 2, -1)
            isStopping = waits[1].revents != 0
            while let client = try? listener.accept() { answer(client) }
        } while !isStopping
        shutdown(listener.descriptor, Int32(SHUT_RDWR))
    }

    private func answer(_ client: TestSocket) {
        // What has been accepted waits for its client, but not for ever.
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(client.descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        // A client that does not wait for its answer counts what it missed itself.
        guard let question = try? client.receive() else { return }
        try? client.send("\(name) \(question)")
        // The client hangs up first and keeps its port for a while. Else a later client with that port makes the node
        // forget the connection, and give its own port there to another, which this side still remembers.
        _ = try? client.receive()
    }
}
