// ProxyAPI: what swiftlet-proxy says about itself on its local socket, as values with a JSON form. The daemon makes
// them and `swiftletctl` prints them, so neither has to know the other. No I/O, no decisions.

/// Where and how the daemon is asked: `GET` over HTTP/1.1 on a Unix socket.
public enum ProxyAPI {
    public static let defaultSocket = "/run/swiftlet/proxy.sock"

    /// Answers with a ``ServicePage``. Query: `namespace`, `name`, `limit`, and `after`, a ``ServicePage/next``.
    public static let servicesPath = "/v1/services"
    /// Answers with a ``PacketTrace``. Query: `from`, `to`, and `interface`.
    public static let tracePath = "/v1/trace"

    /// The body of every answer that is not 200.
    public struct Problem: Codable, Hashable, Sendable {
        public var message: String

        public init(_ message: String) {
            self.message = message
        }
    }
}
