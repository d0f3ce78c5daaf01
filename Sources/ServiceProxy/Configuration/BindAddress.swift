import NetworkTypes

/// Where a server listens: `0.0.0.0:10256`, `[::]:10256`.
public struct BindAddress: Hashable, Sendable, LosslessStringConvertible {
    public let address: IPAddress
    /// Never 0 when it was parsed.
    public let port: UInt16

    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port != 0
        else { return nil }
        var host = text[..<colon]
        let isBracketed = host.first == "[" && host.last == "]"
        if isBracketed { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(String(host)), isBracketed || address.family == .ipv4 else { return nil }
        self.init(address: address, port: port)
    }

    public var description: String {
        switch address {
        case .v4(let address): "\(address):\(port)"
        case .v6(let address): "[\(address)]:\(port)"
        }
    }
}
