import LoadBalancer
import Logging
import Netlink
import NetworkTypes

/// What an operator decides about the userspace backend, and where it works.
public struct UserspaceOptions: Sendable {
    /// How clients' packets get to this process.
    public enum Reach: Hashable, Sendable {
        /// ``addresses`` with CAP_NET_ADMIN, else ``listening``.
        case automatic
        /// The node gets the addresses of Services, on an interface of their own or on loopback.
        case addresses
        /// Only addresses that the node has are listened on: see ``PortMap``.
        case listening
    }

    /// Where Services are to be found when their addresses cannot be.
    public struct PortMap: Hashable, Sendable {
        /// The node's addresses to listen on; an unspecified one stands for all of its family.
        public var addresses: [IPAddress]
        /// By service port, as `namespace/name:port` or, when its port has no name, `namespace/name`: the port to
        /// listen on.
        public var ports: [String: UInt16]

        public init(addresses: [IPAddress] = [.v4(.loopback), .v6(.loopback)], ports: [String: UInt16] = [:]) {
            self.addresses = addresses
            self.ports = ports
        }
    }

    public var reach = Reach.automatic
    public var portMap = PortMap()
    /// The dummy interface that gets the addresses, where the kernel has such interfaces.
    public var interfaceName = "swiftlet-svc"
    /// How Services without a wish are balanced.
    public var algorithm = BalancingWish.Algorithm.random
    public var surroundings: Surroundings
    /// Where everything is; `nil` for the namespace of the process.
    public var namespace: NetworkNamespace?
    /// Limits and time-outs. How its threads are started is decided by ``namespace``.
    public var loadBalancer: LoadBalancerOptions
    public var logger: Logger

    public init(
        surroundings: Surroundings = Surroundings(),
        logger: Logger = Logger(label: "userspace") { _ in SwiftLogNoOpLogHandler() }
    ) {
        self.surroundings = surroundings
        self.logger = logger
        loadBalancer = LoadBalancerOptions(loopCount: min(LocalNode.processorCount, 8))
    }
}
