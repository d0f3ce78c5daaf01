import CLinux
import Foundation
import Glibc
import Measuring
import Synchronization

/// What clients do to a port.
enum Load {
    private static func seconds(_ clock: ContinuousClock.Instant) -> Double {
        let (seconds, attoseconds) = (ContinuousClock.now - clock).components
        return Double(seconds) + Double(attoseconds) / 1e18
    }

    /// Gigabits per second that go to the server through so many connections.
    static func throughput(_ port: UInt16, streams: Int, seconds: Double) throws -> Double {
        let sockets = try (0..<streams).map { _ in
            guard let socket = Sockets.connected(to: port) else { throw BenchmarkFailure("port \(port) refuses") }
            return socket
        }
        defer { for socket in sockets { Sockets.reset(socket) } }
        let chunk = [UInt8](repeating: 0, count: 128 * 1024)
        var polled = sockets.map { pollfd(fd: $0, events: Int16(POLLOUT), revents: 0) }
        var sent = 0
        let start = ContinuousClock.now
        while self.seconds(start) < seconds {
            guard poll(&polled, nfds_t(polled.count), 1000) > 0 else {
                throw BenchmarkFailure("port \(port) takes nothing")
            }
            for entry in polled where entry.revents != 0 {
                let count = send(entry.fd, chunk, chunk.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
                guard count > 0 || errno == EAGAIN else { throw BenchmarkFailure("port \(port) broke a stream") }
                sent += max(0, count)
            }
        }
        return Double(sent) * 8 / self.seconds(start) / 1e9
    }

    /// Connections per second, each with one byte there and back.
    static func rate(_ port: UInt16, clients: Int, seconds: Double) throws -> Double {
        let total = Atomic<Int>(0)
        let failed = Atomic<Int>(0)
        let start = ContinuousClock.now
        DispatchQueue.concurrentPerform(iterations: clients) { _ in
            var done = 0
            while self.seconds(start) < seconds {
                guard let socket = Sockets.connected(to: port), Sockets.exchange(socket) else {
                    failed.add(1, ordering: .relaxed)
                    break
                }
                Sockets.reset(socket)
                done += 1
            }
            total.add(done, ordering: .relaxed)
        }
        guard failed.load(ordering: .relaxed) == 0 else { throw BenchmarkFailure("port \(port) failed a client") }
        return Double(total.load(ordering: .relaxed)) / self.seconds(start)
    }

    /// Connections that have exchanged a byte and are idle now.
    static func hold(_ port: UInt16, _ count: Int) throws -> [Int32] {
        try (0..<count).map { number in
            guard let socket = Sockets.connected(to: port), Sockets.exchange(socket) else {
                throw BenchmarkFailure("port \(port) failed connection \(number)")
            }
            return socket
        }
    }
}
