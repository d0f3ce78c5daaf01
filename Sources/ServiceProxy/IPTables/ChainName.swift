import Digests
import NetworkTypes

/// The names that chains have in kube-proxy's layout, by the same hashes, so that what people have for them still works.
enum ChainName {
    static let services = "KUBE-SERVICES"
    static let externalServices = "KUBE-EXTERNAL-SERVICES"
    static let nodePorts = "KUBE-NODEPORTS"
    static let postrouting = "KUBE-POSTROUTING"
    static let markMasquerade = "KUBE-MARK-MASQ"
    static let forward = "KUBE-FORWARD"
    static let firewall = "KUBE-PROXY-FIREWALL"
    /// Says that the chains of its table are ours, and whether they are still there. kube-proxy has none like it.
    static let canary = "SWIFTLET-CANARY"
    /// Keeps others on the network away from what listens on loopback, while `route_localnet` is on (1.10).
    static let loopback = "SWIFTLET-LOOPBACK"

    /// What a chain of a service port is for.
    enum Role: String {
        /// Picks one endpoint of all.
        case cluster = "KUBE-SVC-"
        /// Picks one endpoint of this node.
        case local = "KUBE-SVL-"
        /// What comes by external addresses and node ports.
        case external = "KUBE-EXT-"
        /// Who may come by the addresses of load balancers.
        case sources = "KUBE-FW-"
    }

    /// - Parameter index: tells apart several chains of one role, which Services never need.
    static func servicePort(_ role: Role, _ port: ServicePortName, _ index: Int = 0) -> String {
        role.rawValue + hash(text(port) + (index == 0 ? "" : "#\(index)"))
    }

    static func endpoint(_ backend: Backend, of port: ServicePortName) -> String {
        "KUBE-SEP-" + hash(text(port) + backend.socket)
    }

    private static func text(_ port: ServicePortName) -> String { "\(port)\(port.transport.lowercased)" }

    private static func hash(_ text: String) -> String { String(SHA256.digest(of: text.utf8).base32.prefix(16)) }

    private static let shared: Set<Substring> = [
        "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ",
        "KUBE-FORWARD", "KUBE-PROXY-FIREWALL", "KUBE-PROXY-CANARY", "SWIFTLET-CANARY", "SWIFTLET-LOOPBACK",
    ]
    private static let prefixes = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-", "KUBE-XLB-"]

    /// Whether a chain belongs to one service port.
    static func isOfServicePort(_ chain: some StringProtocol) -> Bool {
        prefixes.contains { chain.hasPrefix($0) }
    }

    /// Whether a chain is one of a service proxy's; those of the kubelet are not.
    static func isOfProxy(_ chain: Substring) -> Bool { shared.contains(chain) || isOfServicePort(chain) }
}

extension TransportProtocol {
    /// As iptables has it.
    var lowercased: String {
        switch self {
        case .tcp: "tcp"
        case .udp: "udp"
        case .sctp: "sctp"
        }
    }
}

extension Backend {
    /// `10.9.0.1:8080`, `[fd09::1]:8080`.
    var socket: String { address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }
}
