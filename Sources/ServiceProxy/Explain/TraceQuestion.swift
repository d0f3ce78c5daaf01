import NetworkTypes
import ProxyAPI

/// What a trace is asked about, as a person writes it.
struct TraceQuestion: Hashable, Sendable {
    enum Source: Hashable, Sendable {
        case address(IPAddress, port: UInt16)
        /// Any source that counts as a pod.
        case pod
        case node
    }

    let source: Source
    let destination: IPAddress
    let port: UInt16
    let transport: TransportProtocol

    /// - Parameters:
    ///   - from: `ADDR`, `ADDR:PORT`, `pod` or `node`.
    ///   - to: `ADDR:PORT/PROTO`; without a protocol, TCP.
    init(from: String, to: String) throws(ProxyExplainer.Problem) {
        switch from {
        case "pod": source = .pod
        case "node": source = .node
        default:
            if let address = IPAddress(from) {
                source = .address(address, port: 0)
            } else if let (address, port) = Self.endpoint(from) {
                source = .address(address, port: port)
            } else {
                throw .init(.malformed, "from: \"\(from)\" is not ADDR, ADDR:PORT, pod or node")
            }
        }
        let parts = to.split(separator: "/", omittingEmptySubsequences: false)
        guard let (address, port) = Self.endpoint(String(parts[0])), port != 0, parts.count <= 2 else {
            throw .init(.malformed, "to: \"\(to)\" is not ADDR:PORT/PROTO, as 10.96.0.10:80/TCP or [fd96::10]:53/UDP")
        }
        guard let transport = TransportProtocol(parts.count > 1 ? parts[1].uppercased() : "TCP") else {
            throw .init(.malformed, "to: \"\(parts[1])\" is not TCP, UDP or SCTP")
        }
        (destination, self.port, self.transport) = (address, port, transport)
        if case .address(let source, _) = source, source.family != address.family {
            throw .init(
                .malformed,
                "\(source) and \(address) are not of the same family; the proxy never translates between them"
            )
        }
    }

    /// Reads `10.96.0.10:80` or `[fd96::10]:80`.
    private static func endpoint(_ text: String) -> (IPAddress, UInt16)? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(String(host)), (address.family == .ipv6) == isBracketed else { return nil }
        return (address, port)
    }
}
