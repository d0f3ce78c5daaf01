/// The transport protocols that a Service port can have; the raw value is the IP protocol number.
public enum TransportProtocol: UInt8, Hashable, Sendable, CaseIterable {
    case tcp = 6
    case udp = 17
    case sctp = 132
}

extension TransportProtocol: LosslessStringConvertible, Comparable {
    /// Parses the spelling of the Kubernetes API: `TCP`, `UDP` or `SCTP`.
    public init?(_ text: String) {
        switch text {
        case "TCP": self = .tcp
        case "UDP": self = .udp
        case "SCTP": self = .sctp
        default: return nil
        }
    }

    public var description: String {
        switch self {
        case .tcp: "TCP"
        case .udp: "UDP"
        case .sctp: "SCTP"
        }
    }

    public static func < (left: TransportProtocol, right: TransportProtocol) -> Bool {
        left.rawValue < right.rawValue
    }
}
