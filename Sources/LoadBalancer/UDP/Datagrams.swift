import CLinux
import Glibc
import NetworkTypes

/// Datagrams with the local address that they were sent to, or are to come from (IP_PKTINFO, ip(7); IPV6_PKTINFO, ipv6(7)).
enum Datagrams {
    /// Room for one control message: its header, and the larger of `struct in_pktinfo` and `struct in6_pktinfo`.
    private static let controlLength = 16 + 24
    private static let packetInfo4: Int32 = 8  // IP_PKTINFO
    private static let packetInfo6: Int32 = 50  // IPV6_PKTINFO

    struct Received {
        let length: Int
        let source: TransportAddress
        /// The interface that a link-local source is behind; else 0.
        let scope: UInt32
        /// `nil` when the socket was not asked to tell it.
        let destination: IPAddress?
    }

    /// - Returns: `nil` when there is none, or with `errno`.
    static func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Received? {
        var address = SocketAddress()
        return withUnsafeTemporaryAllocation(byteCount: controlLength, alignment: 8) { control in
            var vector = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
            var controlSize = 0
            let length = withUnsafeMutablePointer(to: &vector) { vector in
                address.withMutable { pointer, size in
                    var message = msghdr()
                    message.msg_name = UnsafeMutableRawPointer(pointer)
                    message.msg_namelen = size.pointee
                    message.msg_iov = vector
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    let length = recvmsg(descriptor, &message, 0)
                    size.pointee = message.msg_namelen
                    controlSize = message.msg_controllen
                    return length
                }
            }
            guard length >= 0, let source = address.value else { return nil }
            let filled = UnsafeRawBufferPointer(rebasing: control[..<min(controlSize, control.count)])
            return Received(
                length: length,
                source: source,
                scope: address.scope,
                destination: destination(filled)
            )
        }
    }

    /// Reads `struct cmsghdr` (length, level, type) and what follows it.
    private static func destination(_ control: UnsafeRawBufferPointer) -> IPAddress? {
        guard control.count >= 28 else { return nil }
        let level = control.load(fromByteOffset: 8, as: Int32.self)
        let type = control.load(fromByteOffset: 12, as: Int32.self)
        if level == Int32(IPPROTO_IP), type == packetInfo4 {
            return IPAddress(bytes: control[24..<28])  // ipi_addr, of the header
        }
        guard level == Int32(IPPROTO_IPV6), type == packetInfo6, control.count >= 32 else { return nil }
        return IPAddress(bytes: control[16..<32])
    }

    /// - Parameters:
    ///   - scope: the interface that a link-local client is behind.
    ///   - source: the local address to send from; `nil` for what the socket is bound to.
    static func send(
        _ bytes: UnsafeRawBufferPointer,
        through descriptor: Int32,
        to client: TransportAddress,
        scope: UInt32,
        from source: IPAddress?
    ) {
        withUnsafeTemporaryAllocation(byteCount: controlLength, alignment: 8) { control in
            let controlSize = source.map { write($0, to: control) } ?? 0
            SocketAddress(client, scope: scope).with { pointer, size in
                var vector = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
                withUnsafeMutablePointer(to: &vector) { vector in
                    var message = msghdr()
                    message.msg_name = UnsafeMutableRawPointer(mutating: pointer)
                    message.msg_namelen = size
                    message.msg_iov = vector
                    message.msg_iovlen = 1
                    message.msg_control = controlSize == 0 ? nil : control.baseAddress
                    message.msg_controllen = controlSize
                    // A datagram that does not go out is lost, as datagrams are.
                    _ = sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
                }
            }
        }
    }

    /// - Returns: the length of the control message, with its padding.
    private static func write(_ source: IPAddress, to control: UnsafeMutableRawBufferPointer) -> Int {
        control.initializeMemory(as: UInt8.self, repeating: 0)
        let isIPv4 = source.family == .ipv4
        control.storeBytes(of: 16 + (isIPv4 ? 12 : 20), as: Int.self)
        control.storeBytes(of: Int32(isIPv4 ? IPPROTO_IP : IPPROTO_IPV6), toByteOffset: 8, as: Int32.self)
        control.storeBytes(of: isIPv4 ? packetInfo4 : packetInfo6, toByteOffset: 12, as: Int32.self)
        // ipi_spec_dst, after the interface; ipi6_addr, before it.
        let start = isIPv4 ? 20 : 16
        for (index, byte) in source.bytes.enumerated() { control[start + index] = byte }
        return isIPv4 ? 32 : 40
    }
}
