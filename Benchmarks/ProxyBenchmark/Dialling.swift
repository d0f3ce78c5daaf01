import Glibc
import Measuring

/// An IPv4 address in host byte order.
typealias AddressBits = UInt32

/// A socket that takes the connections of all addresses of its namespace.
final class Listener: Sendable {
    let descriptor: CInt

    init(port: UInt16) throws {
        descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        var on: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        guard withSocketAddress(0, port, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 65535) == 0 else {
            throw BenchmarkFailure("cannot listen on port \(port): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    /// Where the connection from a port arrived; connections of others are let go.
    func destination(ofConnectionFrom port: UInt16, timeout: CInt) -> AddressBits? {
        let deadline = monotonicMilliseconds() + Double(timeout)
        repeat {
            var peer = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let connection = withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { accept(descriptor, $0, &length) }
            }
            guard connection >= 0 else {
                var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                poll(&wait, 1, 1)
                continue
            }
            defer { reset(connection) }
            guard UInt16(bigEndian: peer.sin_port) == port else { continue }
            return localAddress(of: connection).address
        } while monotonicMilliseconds() < deadline
        return nil
    }
}

/// What came of dialling a Service.
enum DialResult: Equatable {
    /// A connection, from this port.
    case connected(port: UInt16)
    /// The error that the client gets.
    case failed(CInt)
    /// No answer in time: the first packet, or the answer to it, was lost.
    case lost
}

/// Connects once, and resets the connection. To be called on a thread in the client's namespace.
///
/// - Parameter timeout: in milliseconds; shorter than the second after which TCP tries again.
func dial(_ address: AddressBits, port: UInt16 = 80, timeout: CInt) -> DialResult {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    defer { reset(descriptor) }
    if withSocketAddress(address, port, { connect(descriptor, $0, $1) }) != 0 {
        guard errno == EINPROGRESS else { return .failed(errno) }
        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&wait, 1, timeout) > 0 else { return .lost }
        var code: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        // Reset by the endpoint, which had accepted it: what is refused on the way is not established.
        guard code == 0 || code == ECONNRESET else { return .failed(code) }
    }
    return .connected(port: localAddress(of: descriptor).port)
}

private let SOCK_NONBLOCK = CInt(__socket_type(2048).rawValue)
private let SOCK_CLOEXEC = CInt(__socket_type(524_288).rawValue)

/// Closes without the states that would keep ports in use.
private func reset(_ descriptor: CInt) {
    var atOnce = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &atOnce, socklen_t(MemoryLayout<linger>.size))
    close(descriptor)
}

private func localAddress(of descriptor: CInt) -> (address: AddressBits, port: UInt16) {
    var own = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &own) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    return (AddressBits(bigEndian: own.sin_addr.s_addr), UInt16(bigEndian: own.sin_port))
}

private func withSocketAddress(
    _ address: AddressBits,
    _ port: UInt16,
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
) -> CInt {
    var own = sockaddr_in()
    own.sin_family = sa_family_t(AF_INET)
    own.sin_addr.s_addr = address.bigEndian
    own.sin_port = port.bigEndian
    return withUnsafePointer(to: &own) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}
