import Foundation
import Glibc
import NetworkTypes
import TestSupport

import class Netlink.NetworkNamespace

/// Sends the first packet of SCTP connections from raw sockets and sees at which pod it arrives: a kernel needs no SCTP
/// of its own to translate it.
final class InitProbe {
    private struct Listener {
        let pod: String
        let descriptor: Int32
    }

    private let listeners: [Listener]
    private var sequence: UInt32 = 0

    init(pods: [TestNode.Machine], _ family: IPFamily) throws {
        listeners = try pods.map { pod in
            Listener(
                pod: pod.name,
                descriptor: try pod.namespace.run { try Self.open(pod.addresses[family]!) }
            )
        }
    }

    deinit { for listener in listeners { close(listener.descriptor) } }

    private static func open(_ address: IPAddress) throws -> Int32 {
        let descriptor = socket(
            address.family == .ipv4 ? AF_INET : AF_INET6,
            Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
            132
        )
        guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        let code = withAddress(address) { bind(descriptor, $0, $1) == 0 ? 0 : errno }
        guard code == 0 else {
            close(descriptor)
            throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO)
        }
        return descriptor
    }

    /// Sends an INIT and waits for it to arrive somewhere.
    func send(
        from namespace: NetworkNamespace,
        bound source: IPAddress,
        to target: IPAddress,
        port: UInt16
    ) throws -> Answer {
        let descriptor = try namespace.run { try Self.open(source) }
        defer { close(descriptor) }
        sequence += 1
        let packet = Self.packet(from: UInt16(20_000 + sequence % 20_000), to: port, tag: sequence)
        let sent = Self.withAddress(target) { sendto(descriptor, packet, packet.count, 0, $0, $1) }
        guard sent == packet.count else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        let deadline = ContinuousClock.now + .seconds(5)
        var waits = listeners.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        while ContinuousClock.now < deadline {
            guard poll(&waits, nfds_t(waits.count), 100) > 0 else { continue }
            for (index, wait) in waits.enumerated() where wait.revents != 0 {
                if let source = receive(wait.fd, tag: sequence) {
                    return Answer(pod: listeners[index].pod, source: source)
                }
            }
        }
        throw POSIXError(.ETIMEDOUT)
    }

    /// Where a packet came from; `nil` when it is not the one with this tag.
    private func receive(_ descriptor: Int32, tag: UInt32) -> IPAddress? {
        var buffer = [UInt8](repeating: 0, count: 2048)
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT), $0, &length)
            }
        }
        let isIPv6 = storage.ss_family == sa_family_t(AF_INET6)
        // Raw sockets of IPv4 deliver the IP header too.
        let start = isIPv6 ? 0 : 20
        guard count == start + 32, Array(buffer[(start + 16)..<(start + 20)]) == Self.bytes(tag) else { return nil }
        let bytes = withUnsafeBytes(of: storage) { Array($0) }
        return IPAddress(bytes: isIPv6 ? bytes[8..<24] : bytes[4..<8])
    }

    private static func bytes(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

    /// RFC 9260: the common header, and an INIT chunk with an initiate tag, one stream each way.
    private static func packet(from source: UInt16, to port: UInt16, tag: UInt32) -> [UInt8] {
        var packet: [UInt8] = [source, port].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
        packet += [0, 0, 0, 0, 0, 0, 0, 0]  // No tag yet; the checksum.
        packet += [1, 0, 0, 20] + bytes(tag) + bytes(65_536) + [0, 1, 0, 1] + bytes(1)
        let sum = checksum(packet)
        packet.replaceSubrange(8..<12, with: withUnsafeBytes(of: sum.littleEndian) { Array($0) })
        return packet
    }

    /// CRC32c
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0) { sum, byte in
            (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0x82f6_3b78 : sum >> 1 }
        }
    }

    private static func withAddress<Result>(
        _ address: IPAddress,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var bytes = [UInt8](repeating: 0, count: 28)
        let family = UInt16(address.family == .ipv4 ? AF_INET : AF_INET6)
        withUnsafeBytes(of: family) { bytes.replaceSubrange(0..<2, with: $0) }
        let start = address.family == .ipv4 ? 4 : 8
        bytes.replaceSubrange(start..<start + address.bytes.count, with: address.bytes)
        return bytes.withUnsafeBytes { raw in
            body(
                raw.baseAddress!.assumingMemoryBound(to: sockaddr.self),
                socklen_t(address.family == .ipv4 ? 16 : 28)
            )
        }
    }
}
