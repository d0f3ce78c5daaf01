import Logging
import Netlink

/// Packets from and to 127.0.0.0/8 leave the loopback interface only when the kernel is told so, which node ports on
/// loopback need (1.9, route_localnet).
enum LoopbackRoutes {
    @Sendable static func enable() throws {
        try Sysctl("ipv4", "conf", "all", "route_localnet")?.write("1")
    }

    /// Goes on without when it cannot be.
    static func enable(by enable: () throws -> Void, logger: Logger) {
        do {
            try enable()
        } catch {
            logger.warning(
                "node ports are not served on loopback: net.ipv4.conf.all.route_localnet cannot be set",
                metadata: [
                    "error": "\(error)",
                    "remedy": "set it to 1 on the host, or give --iptables-localhost-nodeports=false",
                ]
            )
        }
    }
}
