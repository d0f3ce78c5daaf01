import CLinux
import Glibc
import NetworkTypes

/// A system call failed.
public struct SystemCallError: Error, Hashable, Sendable, CustomStringConvertible {
    public let call: String
    /// As `errno(3)` has it.
    public let code: Int32

    public var description: String { "\(call): \(String(cString: strerror(code)))" }

    @discardableResult
    static func check(_ call: String, _ result: Int32) throws(SystemCallError) -> Int32 {
        guard result >= 0 else { throw SystemCallError(call: call, code: errno) }
        return result
    }
}

/// The calls that make and adjust sockets. All sockets are non-blocking.
enum Socket {
    private static let streamType = Int32(SOCK_STREAM.rawValue)
    private static let datagramType = Int32(SOCK_DGRAM.rawValue)
    private static let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)

    static func make(_ transport: ListenEndpoint.Transport, _ family: IPFamily) throws(SystemCallError) -> Int32 {
        try SystemCallError.check(
            "socket",
            socket(family == .ipv4 ? AF_INET : AF_INET6, (transport == .tcp ? streamType : datagramType) | flags, 0)
        )
    }

    /// A socket that is bound, and for TCP listens.
    ///
    /// - Parameter drops: whether everything that arrives is thrown away without an answer.
    static func listening(on endpoint: ListenEndpoint, drops: Bool) throws(SystemCallError) -> Int32 {
        let address = endpoint.at.address
        let descriptor = try make(endpoint.transport, address.family)
        do {
            if address.family == .ipv6 { try set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
            if endpoint.transport == .tcp {
                try set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
                // All addresses and one of them can have listeners at the same port, and the successor of a load
                // balancer can begin before it ends.
                try set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1)
                // What is accepted inherits these.
                adjustStream(descriptor)
            } else {
                try set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1)
            }
            if endpoint.transport == .udp, address.isUnspecified {
                // Which address was dialled, for the reply to come from it.
                if address.family == .ipv4 {
                    try set(descriptor, Int32(IPPROTO_IP), IP_PKTINFO, 1)
                } else {
                    try set(descriptor, Int32(IPPROTO_IPV6), IPV6_RECVPKTINFO, 1)
                }
            }
            if drops { try dropEverything(descriptor) }
            try SystemCallError.check("bind", SocketAddress(endpoint.at).with { bind(descriptor, $0, $1) })
            if endpoint.transport == .tcp { try SystemCallError.check("listen", listen(descriptor, 4096)) }
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Small writes leave at once, and a peer that is gone without a word is noticed.
    static func adjustStream(_ descriptor: Int32) {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, 4)
    }

    /// The other side gets a reset, and nothing is left behind.
    static func reset(_ descriptor: Int32) {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }

    /// The error that happened meanwhile; 0 without one.
    static func pendingError(_ descriptor: Int32) -> Int32 {
        var code: Int32 = 0
        var length = socklen_t(4)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        return code
    }

    static func localAddress(_ descriptor: Int32) -> TransportAddress? {
        var address = SocketAddress()
        guard address.withMutable({ getsockname(descriptor, $0, $1) }) == 0 else { return nil }
        return address.value
    }

    private static func set(
        _ descriptor: Int32,
        _ level: Int32,
        _ name: Int32,
        _ value: Int32
    ) throws(SystemCallError) {
        var value = value
        try SystemCallError.check("setsockopt", setsockopt(descriptor, level, name, &value, 4))
    }

    /// Attaches a filter of one instruction that takes no byte of any packet (`BPF_RET | BPF_K`, linux/filter.h): the
    /// kernel then answers neither a SYN nor a datagram. This needs no privilege.
    private static func dropEverything(_ descriptor: Int32) throws(SystemCallError) {
        var filter = sock_filter(code: 0x06, jt: 0, jf: 0, k: 0)
        let result = withUnsafeMutablePointer(to: &filter) { filter in
            var program = sock_fprog(len: 1, filter: filter)
            return setsockopt(
                descriptor,
                SOL_SOCKET,
                SO_ATTACH_FILTER,
                &program,
                socklen_t(MemoryLayout<sock_fprog>.size)
            )
        }
        try SystemCallError.check("setsockopt", result)
    }
}
