import Glibc
import Netlink
import NetworkTypes

/// A UDP or TCP socket inside a network namespace. It stays there whatever thread uses it; no call waits longer than
/// the timeout.
public final class TestSocket: Sendable {
    /// A call failed with an error number.
    public struct Failure: Error, CustomStringConvertible {
        public let call: String
        public let code: Int32

        public var description: String { "\(call): \(errorText(code))" }
    }

    public let descriptor: Int32

    /// - Parameter timeout: In milliseconds.
    public init(
        _ transport: TransportProtocol,
        in namespace: NetworkNamespace,
        bound address: IPAddress,
        port: UInt16 = 0,
        timeout: Int = 5000
    ) throws {
        let family = address.family == .ipv4 ? AF_INET : AF_INET6
        let type = Int32((transport == .tcp ? SOCK_STREAM : SOCK_DGRAM).rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        descriptor = try namespace.run { try check("socket", socket(family, type, 0)) }
        try limitWaiting(timeout)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        try withSocketAddress(address, port) { try check("bind", bind(descriptor, $0, $1)) }
        if transport == .tcp, port != 0 { try check("listen", listen(descriptor, 16)) }
    }

    private init(adopting descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    public func connect(to address: IPAddress, port: UInt16) throws {
        try withSocketAddress(address, port) { try check("connect", Glibc.connect(descriptor, $0, $1)) }
    }

    public func accept() throws -> TestSocket {
        TestSocket(adopting: try check("accept", Glibc.accept(descriptor, nil, nil)))
    }

    public func send(_ text: String) throws {
        try check("send", Int32(Glibc.send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL))))
    }

    public func receive() throws -> String {
        try receiveWithSender().text
    }

    /// The next datagram or piece of a stream, and for a datagram where it came from.
    public func receiveWithSender() throws -> (text: String, sender: IPAddress?, port: UInt16) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = try withUnsafeMutablePointer(to: &storage) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try check("recvfrom", Int32(recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length)))
            }
        }
        let bytes = withUnsafeBytes(of: storage) { Array($0) }
        let isIPv6 = storage.ss_family == sa_family_t(AF_INET6)
        return (
            String(decoding: buffer.prefix(Int(count)), as: UTF8.self),
            length == 0 ? nil : IPAddress(bytes: isIPv6 ? bytes[8..<24] : bytes[4..<8]),
            UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        )
    }

    public func send(_ text: String, to address: IPAddress, port: UInt16) throws {
        try withSocketAddress(address, port) {
            try check("sendto", Int32(sendto(descriptor, text, text.utf8.count, 0, $0, $1)))
        }
    }

    private func limitWaiting(_ milliseconds: Int) throws {
        var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            try check(
                "setsockopt",
                setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
            )
        }
    }
}

@discardableResult
private func check(_ call: String, _ result: Int32) throws -> Int32 {
    guard result >= 0 else { throw TestSocket.Failure(call: call, code: errno) }
    return result
}

private func withSocketAddress(
    _ address: IPAddress,
    _ port: UInt16,
    _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
) throws {
    // The layouts of struct sockaddr_in and sockaddr_in6: family, port, then (flow label and) address.
    var bytes = [UInt8](repeating: 0, count: 28)
    let family = UInt16(address.family == .ipv4 ? AF_INET : AF_INET6)
    withUnsafeBytes(of: family) { bytes.replaceSubrange(0..<2, with: $0) }
    bytes[2] = UInt8(port >> 8)
    bytes[3] = UInt8(port & 0xff)
    let start = address.family == .ipv4 ? 4 : 8
    bytes.replaceSubrange(start..<start + address.bytes.count, with: address.bytes)
    let length = socklen_t(address.family == .ipv4 ? 16 : 28)
    try bytes.withUnsafeBytes { raw in
        guard let base = raw.baseAddress else { return }
        try body(base.assumingMemoryBound(to: sockaddr.self), length)
    }
}
