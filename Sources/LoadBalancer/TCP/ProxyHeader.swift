import NetworkTypes

/// The header of the PROXY protocol, version 2 (haproxy's proxy-protocol.txt, section 2.2).
public enum ProxyHeader {
    /// What tells a target who is connected, and to what it had connected.
    ///
    /// - Parameters:
    ///   - source: the client.
    ///   - destination: what the client dialled; of the same family.
    public static func version2(source: TransportAddress, destination: TransportAddress) -> [UInt8] {
        // The signature begins like no other protocol.
        var bytes: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
        bytes.append(0x21)  // version 2, command PROXY
        bytes.append(source.address.family == .ipv4 ? 0x11 : 0x21)  // AF_INET or AF_INET6, STREAM
        let length = 2 * source.address.family.addressBytes + 4
        bytes += [0, UInt8(length)]
        bytes += source.address.bytes + destination.address.bytes
        for port in [source.port, destination.port] {
            bytes += [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]
        }
        return bytes
    }
}
